"""Every answer of Elasticsearch, and none, becomes one of the project's errors; a scripted server stands in for it."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from shared.document import Document, Kind
from shared.errors import ConfigurationError, QueryInvalidError, RejectedError, RejectionReason, StoreUnavailableError
from shared.store import ChangeFeed, Changes, Restriction
from shared.store.elasticsearch import Connection, RefusalError
from shared.store.elasticsearch_documents import SCHEMA, to_source
from shared.store.elasticsearch_indices import BULK_BYTES_MAX, ElasticsearchIndices
from shared.store.elasticsearch_store import ElasticsearchStore
from shared.store.monthly_indices import Put, PutOutcome

Answer = tuple[int, Any]


class ScriptedServer:
    """Answers each request by `answer(method, path, body)`; keeps the bodies it was sent."""

    def __init__(self) -> None:
        self.answer: Callable[[str, str, bytes], Answer] = lambda *_: (200, {})
        self.bodies: list[bytes] = []
        self.credentials: list[str | None] = []
        self.product = "Elasticsearch"
        script = self

        class Handler(BaseHTTPRequestHandler):
            def _reply(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                script.bodies.append(body)
                script.credentials.append(self.headers.get("authorization"))
                status, reply = script.answer(self.command, self.path, body)
                content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.send_header("x-elastic-product", script.product)
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                self._reply()

            def do_POST(self) -> None:
                self._reply()

            def do_PUT(self) -> None:
                self._reply()

            def do_DELETE(self) -> None:
                self._reply()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def connection(server: ScriptedServer) -> Iterator[Connection]:
    connection = Connection([server.url], api_key=None, ca_file=None, seconds=5)
    yield connection
    connection.close()


@pytest.fixture
def indices(connection: Connection) -> ElasticsearchIndices:
    return ElasticsearchIndices(connection, "0-1", pause=lambda _: None)


def failure(error_type: str, reason: str = "because") -> dict[str, Any]:
    return {"error": {"type": error_type, "reason": reason}}


@pytest.mark.parametrize(
    ("status", "error_type", "says"),
    [
        (401, "security_exception", "refuses the credentials"),
        (403, "security_exception", "does not allow this"),
        (403, "cluster_block_exception", "can't do it now"),
        (408, "timeout", "can't do it now"),
        (429, "es_rejected_execution_exception", "can't do it now"),
        (429, "cluster_block_exception", "can't do it now"),
        (500, "exception", "can't do it now"),
        (502, "exception", "can't do it now"),
        (503, "search_phase_execution_exception", "can't do it now"),
        (400, "index_closed_exception", "can't do it now"),
        (400, "validation_exception", "can't do it now"),
    ],
)
def test_what_may_pass_is_an_outage(
    server: ScriptedServer, connection: Connection, status: int, error_type: str, says: str
) -> None:
    server.answer = lambda *_: (status, failure(error_type))
    store = ElasticsearchStore(connection)
    for ask in (
        store.check,
        store.active_encoder,
        lambda: store.documents(["a"]),
        lambda: store.nearest("e", b"\0\0", 5, None, Restriction(0)),
    ):
        with pytest.raises(StoreUnavailableError, match=says):
            ask()


def test_what_will_not_pass_is_a_refusal_with_its_reason(server: ScriptedServer, connection: Connection) -> None:
    server.answer = lambda *_: (400, failure("illegal_argument_exception", "no such thing"))
    with pytest.raises(RefusalError, match="no such thing") as refused:
        connection.ask(lambda client: client.search(index="catalogue"))
    assert (refused.value.status, refused.value.error_type) == (400, "illegal_argument_exception")
    assert isinstance(refused.value, ConfigurationError)


def test_the_reason_of_a_failed_search_is_that_of_its_shard(server: ScriptedServer, connection: Connection) -> None:
    shard = {"reason": {"type": "query_shard_exception", "reason": "the vector has 16 dimensions"}}
    server.answer = lambda *_: (400, {"error": {"type": "x", "reason": "all shards failed", "failed_shards": [shard]}})
    with pytest.raises(RefusalError, match="the vector has 16 dimensions"):
        connection.ask(lambda client: client.search(index="catalogue"))


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"", b"{"])
def test_an_answer_that_is_no_json_is_an_outage(server: ScriptedServer, connection: Connection, body: bytes) -> None:
    server.answer = lambda *_: (502, body)
    with pytest.raises(StoreUnavailableError):
        connection.ask(lambda client: client.search(index="catalogue"))


def test_a_renewed_key_counts_from_the_next_request_on(server: ScriptedServer) -> None:
    keys = iter(["old", "old", "new"])
    connection = Connection([server.url], api_key=lambda: next(keys), ca_file=None, seconds=5)
    for _ in range(3):
        connection.ask(lambda client: client.search(index="catalogue"))
    assert server.credentials == ["ApiKey old", "ApiKey old", "ApiKey new"]
    connection.close()


def test_another_product_is_a_wrong_url(server: ScriptedServer, connection: Connection) -> None:
    server.product = "Something else"
    with pytest.raises(ConfigurationError, match="CATALOGUE_STORE_URL: no Elasticsearch answers at"):
        connection.ask(lambda client: client.search(index="catalogue"))


def test_a_server_that_accepts_and_says_nothing_is_an_outage_after_the_time_given() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = Connection(
            [f"http://127.0.0.1:{silent.getsockname()[1]}"], api_key=None, ca_file=None, seconds=0.05
        )
        with pytest.raises(StoreUnavailableError, match=r"gave no answer in 0\.05 s"):
            connection.ask(lambda client: client.search(index="catalogue"))
        connection.close()


def test_a_part_of_a_look_up_that_failed_is_never_taken_for_absence(
    server: ScriptedServer, indices: ElasticsearchIndices
) -> None:
    failed = {"_index": "catalogue-2026.11", "_id": "a"} | failure("no_shard_available_action_exception")
    gone = {"_index": "catalogue-2026.10", "_id": "a"} | failure("index_not_found_exception")
    server.answer = lambda *_: (200, {"docs": [gone, failed]})
    with pytest.raises(StoreUnavailableError, match=r"could not read catalogue-2026\.11"):
        indices.copies(["a"], ["2026.10", "2026.11"])
    server.answer = lambda *_: (200, {"docs": [gone]})
    assert indices.copies(["a"], ["2026.10"]) == {}


@pytest.mark.parametrize(
    ("shards", "reason"),
    [
        ({"total": 2, "successful": 1, "skipped": 0, "failed": 0}, "1 of 2 shards failed"),
        ({"total": 2, "successful": 1, "failed": 1}, "1 of 2 shards failed"),
        ({"total": 2, "successful": 2, "skipped": 1, "failed": 0}, None),
    ],
)
def test_a_shard_that_is_not_accounted_for_makes_an_answer_incomplete(
    server: ScriptedServer, connection: Connection, shards: dict[str, int], reason: str | None
) -> None:
    server.answer = lambda *_: (200, {"_shards": shards, "hits": {"hits": [], "total": {"value": 0}}})
    found = ElasticsearchStore(connection).nearest("e", b"\0\0", 5, None, Restriction(0))
    assert (found.complete, found.reason) == (reason is None, reason)


# Bulk writes ----------------------------------------------------------------------------------------------------------


def put(image_id: str, thumbnail_bytes: int = 0) -> Put:
    return Put("2026.11", Document(image_id, Kind.IMAGE, 1, True, 0, thumbnail=b"x" * thumbnail_bytes))


def ids_of(body: bytes) -> list[str]:
    return [json.loads(line)["index"]["_id"] for line in body.splitlines()[::2]]


def bulk_answer(body: bytes, status_of: Callable[[str], Answer]) -> Answer:
    items = []
    for image_id in ids_of(body):
        status, error = status_of(image_id)
        items.append({"index": {"status": status} | error})
    return 200, {"items": items}


def test_each_item_of_a_bulk_write_has_its_own_answer(server: ScriptedServer, indices: ElasticsearchIndices) -> None:
    answers = {
        "stored": (201, {}),
        "conflict": (409, failure("version_conflict_engine_exception")),
        "gone": (404, failure("index_not_found_exception")),
        "refused": (400, failure("document_parsing_exception", "bad field")),
    }
    server.answer = lambda _method, _path, body: bulk_answer(body, answers.__getitem__)
    stored, conflict, gone, refused = indices.put([put(name) for name in answers])
    assert (stored, conflict, gone) == (PutOutcome.STORED, PutOutcome.CONFLICT, PutOutcome.MONTH_MISSING)
    assert isinstance(refused, RejectedError)
    assert (refused.reason, str(refused)) == (RejectionReason.DOCUMENT_REFUSED, "bad field")


@pytest.mark.parametrize("status", [429, 503])
def test_only_overloaded_items_are_sent_again(server: ScriptedServer, connection: Connection, status: int) -> None:
    pauses: list[float] = []
    indices = ElasticsearchIndices(connection, "0-1", pauses.append)
    overloads = {"b": 2, "c": 1}

    def status_of(image_id: str) -> Answer:
        if overloads.get(image_id, 0):
            overloads[image_id] -= 1
            return status, failure("es_rejected_execution_exception")
        return 201, {}

    server.answer = lambda _method, _path, body: bulk_answer(body, status_of)
    assert indices.put([put(name) for name in "abc"]) == [PutOutcome.STORED] * 3
    assert [ids_of(body) for body in server.bodies] == [["a", "b", "c"], ["b", "c"], ["b"]]
    assert pauses == [0.1, 0.2]


def test_items_that_stay_overloaded_are_an_outage(server: ScriptedServer, indices: ElasticsearchIndices) -> None:
    full = (429, failure("cluster_block_exception", "disk is full"))
    server.answer = lambda _method, _path, body: bulk_answer(
        body, lambda image_id: full if image_id == "b" else (201, {})
    )
    with pytest.raises(StoreUnavailableError, match="disk is full"):
        indices.put([put(name) for name in "abc"])
    assert [ids_of(body) for body in server.bodies] == [["a", "b", "c"], *[["b"]] * 8]


def test_items_that_pass_one_by_one_are_no_outage(server: ScriptedServer, indices: ElasticsearchIndices) -> None:
    names = [f"{number:02}" for number in range(12)]

    def takes_the_first(body: bytes) -> Answer:
        first = ids_of(body)[0]
        return bulk_answer(body, lambda image_id: (201, {}) if image_id == first else (429, failure("overload")))

    server.answer = lambda _method, _path, body: takes_the_first(body)
    assert indices.put([put(name) for name in names]) == [PutOutcome.STORED] * 12
    assert [ids_of(body) for body in server.bodies] == [names[at:] for at in range(12)]


def test_a_bulk_write_is_split_by_bytes(server: ScriptedServer, indices: ElasticsearchIndices) -> None:
    server.answer = lambda _method, _path, body: bulk_answer(body, lambda _: (201, {}))
    assert indices.put([put(f"{number}", 2_000_000) for number in range(10)]) == [PutOutcome.STORED] * 10
    assert [image_id for body in server.bodies for image_id in ids_of(body)] == [f"{number}" for number in range(10)]
    assert all(len(body) <= BULK_BYTES_MAX for body in server.bodies)


def test_a_request_too_large_for_the_server_is_halved_down_to_the_document_that_is_too_large(
    server: ScriptedServer, indices: ElasticsearchIndices
) -> None:
    def answer(_method: str, _path: str, body: bytes) -> Answer:
        return (413, b"") if len(body) > 3000 else bulk_answer(body, lambda _: (201, {}))

    server.answer = answer
    answers = list(indices.put([put("a"), put("b"), put("large", 3000), put("c", 500)]))
    assert answers[:2] + answers[3:] == [PutOutcome.STORED] * 3
    assert isinstance(answers[2], RejectedError)
    assert answers[2].reason is RejectionReason.DOCUMENT_REFUSED


def test_more_subcodes_than_an_index_takes_are_refused_unasked(server: ScriptedServer, connection: Connection) -> None:
    with pytest.raises(QueryInvalidError, match="at most 65536 subcodes"):
        ElasticsearchStore(connection).nearest("e", b"\0\0", 5, None, Restriction(0, subcodes=range(65_537)))
    assert server.bodies == []


# Following ------------------------------------------------------------------------------------------------------------


class Followed:
    """Answers a follower of one month with its operations by number; those of `moved` are MOVED markers."""

    def __init__(self, operations: dict[int, str]) -> None:
        self.operations = operations
        self.highest = self.checkpoint = max(operations)
        self.moved: set[int] = set()
        self.asked: list[dict[str, int]] = []
        self.failures: dict[int, Answer] = {}
        self.shard_failures = 0

    def __call__(self, _method: str, path: str, body: bytes) -> Answer:
        if path.startswith("/catalogue/_mapping"):
            mappings = {"_meta": {"schema": SCHEMA}, "properties": {"codes": {}}}
            return 200, {"catalogue-2026.11": {"mappings": mappings}}
        if path.startswith("/catalogue/_stats"):
            return 200, {"indices": {"catalogue-2026.11": {"shards": {"0": [self._shard()]}}}}
        if path.startswith("/_search"):
            return self._search(json.loads(body)["query"]["range"]["_seq_no"])
        return 200, {"_shards": {"failed": 0}, "id": "point"}

    def _shard(self) -> dict[str, Any]:
        numbers = {"max_seq_no": self.highest, "global_checkpoint": self.checkpoint}
        commit = {"user_data": {"history_uuid": "one"}}
        return {"routing": {"primary": True}, "seq_no": numbers, "commit": commit}

    def _search(self, bounds: dict[str, int]) -> Answer:
        self.asked.append(bounds)
        if bounds["gt"] in self.failures:
            return self.failures.pop(bounds["gt"])
        hits = [
            {"sort": [number, 0], "fields": {"change": [self._change(number, image_id)]}}
            for number, image_id in self.operations.items()
            if bounds["gt"] < number <= bounds.get("lte", number)
        ]
        shards = {"failed": self.shard_failures}
        return 200, {"pit_id": "point", "timed_out": False, "_shards": shards, "hits": {"hits": hits}}

    def _change(self, number: int, image_id: str) -> Any:
        kind = Kind.MOVED if number in self.moved else Kind.IMAGE
        return json.loads(to_source(Document(image_id, kind, 1, True, 0), ()))["change"]


def ids_read(feed: ChangeFeed) -> list[str]:
    step = feed.read()
    assert (step.caught_up, step.lost) == (True, False)
    return [change.image_id for change in step.changes]


def test_what_lies_above_the_checkpoint_is_given_at_once_and_again_until_nothing_can_be_in_flight(
    server: ScriptedServer, connection: Connection
) -> None:
    server.answer = month = Followed({0: "a", 2: "c"})
    month.checkpoint = 0
    feed = ElasticsearchStore(connection).follow("e", terms=False)
    assert ids_read(feed) == ["a", "c"]
    assert ids_read(feed) == ["c"]
    # What was in flight has landed below what was read.
    month.operations, month.checkpoint = {0: "a", 1: "b", 2: "c"}, 2
    assert ids_read(feed) == ["b", "c"]
    assert ids_read(feed) == []
    assert [bounds["gt"] for bounds in month.asked] == [-1, 0, 0]


@pytest.mark.parametrize(
    ("answer", "unavailable"),
    [((503, failure("unavailable")), True), ((404, failure("search_context_missing_exception")), False)],
)
def test_a_page_that_could_not_be_read_is_read_again(
    server: ScriptedServer, connection: Connection, answer: Answer, unavailable: bool
) -> None:
    server.answer = month = Followed({0: "a", 7000: "b", 12_000: "c"})
    # The second page.
    month.failures[4999] = answer
    feed = ElasticsearchStore(connection).follow("e", terms=False)
    assert [change.image_id for change in feed.read().changes] == ["a"]
    if unavailable:
        with pytest.raises(StoreUnavailableError):
            feed.read()
    else:
        assert feed.read() == Changes((), caught_up=False)
    steps = [feed.read()]
    while not steps[-1].caught_up:
        steps.append(feed.read())
    assert [change.image_id for step in steps for change in step.changes] == ["b", "c"]
    assert not any(step.lost for step in steps)


def test_a_moved_marker_is_not_given_and_the_copy_it_speaks_of_is_looked_for_once_more(
    server: ScriptedServer, connection: Connection
) -> None:
    server.answer = month = Followed({0: "a", 1: "moved"})
    month.moved = {1}
    feed = ElasticsearchStore(connection).follow("e", terms=False)
    step = feed.read()
    assert ([change.image_id for change in step.changes], step.caught_up) == (["a"], False)
    # The copy was written while the other months were read.
    month.operations, month.highest, month.checkpoint = {0: "a", 1: "moved", 2: "moved"}, 2, 2
    assert ids_read(feed) == ["moved"]


def test_a_page_without_a_shard_is_an_outage_and_not_an_empty_one(
    server: ScriptedServer, connection: Connection
) -> None:
    server.answer = month = Followed({0: "a"})
    month.shard_failures = 1
    feed = ElasticsearchStore(connection).follow("e", terms=False)
    with pytest.raises(StoreUnavailableError, match=r"could not read all changes of 2026\.11"):
        feed.read()
    month.shard_failures = 0
    assert ids_read(feed) == ["a"]
