"""A searcher whose Elasticsearch is killed, slow, or lacks a part of the index: it is complete, or says that it is not.

F30: every reply is the whole answer, or has `complete: false` with the reason and the count of shards, or is a problem
document, within the time that a query may take.
"""

import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.rolling_window import month_of
from shared.store.elasticsearch_documents import month_index
from tests.elasticsearch_server import ElasticsearchServer
from tests.fault_proxy import NO_HTTP_FAULT, ElasticsearchProxy, HttpFault
from tests.model import CatalogueModel
from tests.pictures import jpeg_picture
from tests.programs import Programs, programs, until

pytestmark = pytest.mark.containers

SEARCH_SECONDS = 2.0
AWAY = "catalogue-2020.01"
# For the searcher itself, on a busy machine.
MARGIN_SECONDS = 2.0
RECOVERY_SECONDS = 60.0
START_SECONDS = 180.0
"""Of Elasticsearch itself, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply to the one query that is asked again and again: its status, its JSON and its seconds."""

    status: int
    body: dict[str, Any]
    seconds: float

    @property
    def found(self) -> set[str]:
        """The image ids of its hits."""
        return {hit["image_id"] for hit in self.body["hits"]}


@dataclass
class Search:
    """A searcher over a catalogue of two months that stays as it is, and the faults between it and Elasticsearch."""

    base: str
    proxy: ElasticsearchProxy
    server: ElasticsearchServer
    images: set[str]

    def ask(self, path: str = "/v1/search", strategy: str = "flat") -> Reply:
        """The reply to a search for every image, or to a GET of another path."""
        search = {"seeds": [{"image": jpeg_picture(0)}], "k": 1000, "strategy": strategy}
        body = search if path == "/v1/search" else None
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}{path}", content, {"Content-Type": "application/json"})
        start = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, read = answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                status, read = error.code, json.load(error)
        return Reply(status, read, time.monotonic() - start)

    def assert_honest(self, reply: Reply) -> str:
        """Whole, or it says why not; in time. Gives what it was."""
        assert reply.seconds < SEARCH_SECONDS + MARGIN_SECONDS
        if reply.status != 200:
            assert reply.status in {503, 504}, reply
            return f"{reply.status} {reply.body['reason']}"
        if reply.body["complete"]:
            assert reply.found == self.images
            return "complete"
        assert reply.body["reason"]
        assert reply.found <= self.images
        return "incomplete"

    def is_whole(self, strategy: str = "flat") -> bool:
        return self.assert_honest(self.ask(strategy=strategy)) == "complete"


@pytest.fixture(scope="module")
def search(own_elasticsearch: ElasticsearchServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Search]:
    server = own_elasticsearch
    server.remove_indices()
    with ElasticsearchProxy("127.0.0.1", server.port) as proxy:
        made = programs(
            tmp_path_factory.mktemp("search"),
            store_url=f"elasticsearch://127.0.0.1:{proxy.port}",
            search_seconds=str(SEARCH_SECONDS),
        )
        now = datetime.now(UTC)
        older_images = index(made, CatalogueModel(random.Random(1), now, images=60, prefix="older"))
        older = f"{now.year - (now.month == 1)}.{(now.month - 2) % 12 + 1:02}"
        server.age(month_of(now), older)
        images = older_images | index(made, CatalogueModel(random.Random(2), now, images=60, prefix="newer"))
        with made.serving() as base:
            found = Search(base, proxy, server, images)
            until(found.is_whole, RECOVERY_SECONDS, "the refresh")
            yield found


def index(job: Programs, model: CatalogueModel) -> set[str]:
    """Index the events of a model; gives the images that are visible then."""
    with (job.folder / "events.jsonl").open("a") as file:
        file.writelines(json.dumps(event) + "\n" for event in model.events(120))
    job.run("indexer", "fit", "--sample", "40")
    job.ok("indexer", "run", "--until-caught-up")
    return set(model.visible())


@contextmanager
def fault(search: Search, fault: HttpFault) -> Iterator[None]:
    """A fault between the searcher and Elasticsearch."""
    search.proxy.fault = fault
    try:
        yield
    finally:
        search.proxy.fault = NO_HTTP_FAULT


def test_a_search_that_ran_out_of_time_at_the_store_says_so(search: Search) -> None:
    def out_of_time(answer: Any) -> Any:
        return answer | {"timed_out": True, "hits": answer["hits"] | {"hits": answer["hits"]["hits"][:3]}}

    with fault(search, HttpFault(rewrite=out_of_time, path="_search")):
        reply = search.ask()
        assert search.ask("/v1/images").status == 503
    assert (reply.status, reply.body["complete"]) == (200, False)
    assert "time" in reply.body["reason"]
    assert search.is_whole()


def test_a_slow_shard_is_a_problem_in_time_and_no_short_answer(search: Search) -> None:
    with fault(search, HttpFault(delay_seconds=3 * SEARCH_SECONDS, path="_search")):
        replies = [search.ask(), search.ask("/v1/images")]
    assert [search.assert_honest(reply) for reply in replies] == ["504 timeout"] * 2
    until(search.is_whole, RECOVERY_SECONDS, "the searcher")


@pytest.mark.parametrize("refusal", [HttpFault(status=429), HttpFault(status=503), HttpFault(lose_replies=1)])
def test_a_store_that_refuses_or_breaks_off_is_a_problem_in_time(search: Search, refusal: HttpFault) -> None:
    until(lambda: search.is_whole("resident"), RECOVERY_SECONDS, "the codes in memory")
    with fault(search, refusal):
        assert search.assert_honest(search.ask()) == "503 store_unavailable"
        from_memory = search.ask(strategy="auto")
        assert search.assert_honest(from_memory) == "complete"
        assert from_memory.found == search.images
        assert search.ask("/readyz").status == search.ask("/livez").status == 200
    assert search.is_whole()


def test_a_month_whose_shard_is_away_is_told_with_the_count_of_shards(search: Search) -> None:
    body = month_index({}, "0")
    # Only a new shard obeys: Elasticsearch takes up again what a node has on its disk, whatever this says.
    body["settings"]["routing.allocation.require._name"] = "no-such-node"
    search.server.ask("PUT", f"{AWAY}?wait_for_active_shards=0", body | {"aliases": {"catalogue": {}}})
    try:
        reply = search.ask()
        assert (reply.status, reply.body["complete"]) == (200, False)
        assert reply.body["reason"].startswith(f"1 of 3 shards failed: {AWAY}")
        assert reply.found == search.images
        assert search.assert_honest(search.ask("/v1/images")) == "503 store_unavailable"
    finally:
        search.server.ask("DELETE", AWAY)
    until(search.is_whole, RECOVERY_SECONDS, "the rest")


@pytest.mark.parametrize("strategy", ["flat", "auto"])
def test_while_the_server_is_killed_and_comes_back_no_answer_is_silently_short(search: Search, strategy: str) -> None:
    kinds: Counter[str] = Counter()
    seconds: list[float] = []
    failures: list[BaseException] = []
    stopping = threading.Event()

    def ask_all_the_time() -> None:
        while not stopping.wait(0.02):
            reply = search.ask(strategy=strategy)
            seconds.append(reply.seconds)
            try:
                kinds[search.assert_honest(reply)] += 1
            except AssertionError as error:
                failures.append(error)

    asking = threading.Thread(target=ask_all_the_time)
    asking.start()
    try:
        until(lambda: kinds["complete"] > 3, 30, "answers")
        search.server.kill()
        before = kinds.total()
        until(lambda: kinds.total() > before + 20, 30, "answers during the outage")
        search.server.start()
        until(search.server.answers, START_SECONDS, "Elasticsearch")
        until(lambda: search.is_whole(strategy), RECOVERY_SECONDS, "the server")
    finally:
        stopping.set()
        asking.join(30)
        print(dict(kinds), "slowest", max(seconds), failures[:3])
    assert failures == []
    # Memory answers on.
    assert (kinds["503 store_unavailable"] > 0) is (strategy == "flat")
    assert (kinds.keys() == {"complete"}) is (strategy == "auto")
