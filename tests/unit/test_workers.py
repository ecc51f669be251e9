"""Failed fetches come again without holding up what lies behind them, and what can't be kept is not passed."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
import structlog
from prometheus_client import CollectorRegistry

from indexer.dead_letters import DeadLetter, from_record
from indexer.patience import Patience
from indexer.pipeline import Pipeline
from indexer.pipeline_parts import PipelineParts
from indexer.workers import Workers, WorkersParts
from shared.errors import BadInputHaltError, ConfigurationError, EventLogUnavailableError, RejectionReason
from shared.event_log import NewRecord, Record
from shared.images.hosts import UnavailableError
from shared.metrics import IndexerMetrics
from shared.rolling_window import to_milliseconds
from shared.settings import Settings
from tests.fake_store import FakeStore
from tests.fakes import FakeDecoder, FakeEncoder, FakeFetcher, FakeReader, FakeWriter

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Host(FakeFetcher):
    """Has every picture; URLs in `down` fail so many times first."""

    down: dict[str, int] = field(default_factory=dict)

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if self.down.get(url, 0) > 0:
            self.down[url] -= 1
            raise UnavailableError("the host answers 503", retriable=True)
        return url.encode()


@dataclass
class RetriesLog(FakeReader):
    """Gives what was appended to it."""

    full: bool = False
    broken: bool = False

    def append(self, records: Sequence[NewRecord]) -> None:
        if self.full:
            raise EventLogUnavailableError("the disk is full")
        for new in records:
            offset = self._ends["retries"]
            self._ends["retries"] += 1
            self.records.append(Record("retries", offset, offset + 1, 0, new.key, new.value, new.headers))

    def commit(self, positions: Mapping[str, int]) -> None:
        if self.broken:
            raise ConfigurationError("the retries are refused")
        super().commit(positions)


@dataclass
class Rig:
    events: FakeReader = field(default_factory=FakeReader)
    retries: RetriesLog = field(default_factory=RetriesLog)
    host: Host = field(default_factory=Host)
    store: FakeStore = field(default_factory=FakeStore)
    dead_letters: FakeWriter = field(default_factory=FakeWriter)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    patience: Patience = field(init=False)
    workers: Workers = field(init=False)

    def put(self, image_id: str, url: str = "https://host/a.jpg", **more: object) -> None:
        event = {"image_id": image_id, "image": {"url": url}} | more
        self.events.put(json.dumps(event).encode(), timestamp_ms=to_milliseconds(NOW))

    async def until_caught_up(self) -> None:
        await asyncio.wait_for(self.workers.run(until_caught_up=True), 10)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.workers.run())
        yield
        self.workers.stop()
        await asyncio.wait_for(task, 10)

    def letters(self) -> list[DeadLetter]:
        new = [
            Record("d", n, n + 1, 0, one.key, one.value, one.headers)
            for n, one in enumerate(self.dead_letters.appended)
        ]
        return [letter for record in new if (letter := from_record(record)) is not None]

    def outcomes(self) -> dict[str, int]:
        (family,) = (one for one in self.registry.collect() if one.name == "catalogue_indexer_records")
        return {one.labels["outcome"]: int(one.value) for one in family.samples if one.name.endswith("_total")}

    def gauge(self, name: str, log: str) -> float:
        return self.registry.get_sample_value(f"catalogue_indexer_{name}", {"log": log}) or 0.0


@asynccontextmanager
async def rig(**changed: object) -> AsyncIterator[Rig]:
    quick = {"linger_seconds": 0.001, "write_linger_seconds": 0.001, "commit_interval_seconds": 0}
    settings = Settings(_env_file=None, **{**quick, "fetch_retry_seconds": 0.02, **changed})  # type: ignore[arg-type]
    r, log = Rig(), structlog.get_logger()
    metrics = IndexerMetrics(r.registry)
    r.patience = Patience(0.01, asyncio.sleep, random.Random(1), metrics, log)

    def now() -> datetime:
        return NOW

    with ThreadPoolExecutor(2) as many, ThreadPoolExecutor(1) as events, ThreadPoolExecutor(1) as retries:
        letters, fakes = r.dead_letters, (r.store, r.host, FakeDecoder(), FakeEncoder())
        pipeline = Pipeline(
            PipelineParts(*fakes, letters, r.patience, metrics, now, many, many, many, r.retries), settings
        )
        parts = WorkersParts(
            r.events, events, r.retries, retries, pipeline, r.store, many, r.patience, metrics, now, log
        )
        r.workers = Workers(parts, settings)
        yield r


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds; fails after 5 seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (the state of the code under test sets no event)
            await asyncio.sleep(0.005)


async def test_a_picture_that_cannot_be_had_now_is_fetched_again_until_it_can() -> None:
    async with rig() as r:
        r.host.down = {"https://host/a.jpg": 2}
        r.put("a")
        r.put("b", "https://host/b.jpg")
        await r.until_caught_up()
        assert set(r.store.settle(["a", "b"])) == {"a", "b"}
        assert r.outcomes() == {"retried": 2, "indexed": 2}
        assert r.registry.get_sample_value("catalogue_indexer_records_consumed_total") == 4
        assert r.letters() == []
        assert (r.events.committed, r.retries.committed) == ({"p-0": 2}, {"retries": 2})


async def test_after_its_last_retry_a_record_is_a_dead_letter_that_tells_where_it_came_from() -> None:
    async with rig(fetch_retries=2) as r:
        r.host.down = {"https://host/a.jpg": 99}
        r.put("good", "https://host/good.jpg")
        r.put("a", version=5)
        await r.until_caught_up()
        (letter,) = r.letters()
        assert (letter.reason, letter.source) == (RejectionReason.IMAGE_UNAVAILABLE, ("p-0", 1))
        assert letter.resolved is not None
        assert letter.resolved.version == 5
        assert json.loads(letter.record.value or b"")["image_id"] == "a"
        assert r.host.fetched.count("https://host/a.jpg") == 3
        assert r.outcomes() == {"indexed": 1, "retried": 2, "dead_lettered": 1}


async def test_without_retries_a_failed_fetch_is_a_dead_letter_at_once() -> None:
    async with rig(fetch_retries=0) as r:
        r.host.down = {"https://host/a.jpg": 99}
        r.put("a")
        await r.until_caught_up()
        assert r.outcomes() == {"dead_lettered": 1}


async def test_the_time_of_the_original_is_the_version_also_when_it_comes_later() -> None:
    async with rig() as r:
        r.host.down = {"https://host/a.jpg": 1}
        r.put("a")
        await r.until_caught_up()
        document = r.store.settle(["a"])["a"]
        assert (document.version, document.version_explicit) == (to_milliseconds(NOW) * 1000, False)


async def test_an_update_that_overtakes_a_retry_wins_and_spares_the_fetch() -> None:
    async with rig(fetch_retry_seconds=0.5) as r:
        r.host.down = {"https://host/old.jpg": 99}
        r.put("a", "https://host/old.jpg", version=1)
        async with r.running():
            await until(lambda: r.outcomes().get("retried") == 1)
            r.put("a", "https://host/new.jpg", version=2)
            await until(lambda: r.outcomes() == {"retried": 1, "indexed": 1, "superseded": 1})
        assert r.host.fetched == ["https://host/old.jpg", "https://host/new.jpg"]
        assert r.store.settle(["a"])["a"].version == 2


async def test_the_source_goes_on_while_more_retries_wait_than_may_be_in_flight() -> None:
    async with rig(fetch_retry_seconds=3600, in_flight_records_max=16) as r:
        for number in range(100):
            r.host.down[f"https://down/{number}.jpg"] = 99
            r.put(f"down-{number}", f"https://down/{number}.jpg")
        for number in range(100):
            r.put(f"good-{number}", f"https://good/{number}.jpg")
        async with r.running():
            await until(lambda: r.outcomes() == {"retried": 100, "indexed": 100})
            await until(lambda: r.events.committed == {"p-0": 200})
            await until(lambda: r.gauge("in_flight_records", "retries") == 4)
            assert r.workers.ready
        # Those that waited are nobody's, and are read again.
        assert r.retries.committed == {}
        assert r.outcomes() == {"retried": 100, "indexed": 100, "abandoned": 4}


async def test_a_record_is_not_passed_before_the_retries_have_taken_it() -> None:
    async with rig() as r:
        r.host.down = {"https://host/a.jpg": 1}
        r.retries.full = True
        r.put("a")
        r.put("b", "https://host/b.jpg")
        async with r.running():
            await until(lambda: "retries" in r.patience.waiting_for and r.outcomes() == {"indexed": 1})
            polls = len(r.events.polls)
            await until(lambda: len(r.events.polls) > polls + 5)
            assert (r.events.committed, r.workers.ready) == ({}, False)
            r.retries.full = False
            await until(lambda: r.outcomes() == {"indexed": 2, "retried": 1})
        assert r.events.committed == {"p-0": 2}


async def test_f16_nothing_is_committed_while_the_dead_letters_are_away() -> None:
    async with rig() as r:
        r.dead_letters.failures = 10**9
        r.events.put(b"{")
        r.put("b")
        async with r.running():
            await until(lambda: "dead_letters" in r.patience.waiting_for and r.outcomes() == {"indexed": 1})
            polls = len(r.events.polls)
            await until(lambda: len(r.events.polls) > polls + 5)
            assert (r.events.committed, r.workers.ready) == ({}, False)
            r.dead_letters.failures = 0
            await until(lambda: r.outcomes() == {"indexed": 1, "dead_lettered": 1})
        assert r.events.committed == {"p-0": 2}
        assert len(r.letters()) == 1


async def test_f15_a_bad_release_halts_the_worker_after_few_letters_and_passes_no_record_without_one() -> None:
    async with rig(dead_letters_consecutive_max=20) as r:
        for number in range(2000):
            r.events.put(b"{%d" % number)
        with pytest.raises(BadInputHaltError, match="the last 20 records were refused, most of them as event_not_json"):
            await r.until_caught_up()
        assert len(r.letters()) == 20
        written = {letter.record.offset for letter in r.letters()}
        assert set(range(r.events.committed.get("p-0", 0))) <= written


async def test_f15_a_bad_half_halts_nothing_while_the_good_half_passes() -> None:
    async with rig(dead_letters_consecutive_max=20, dead_letters_share_max=0.6) as r:
        for number in range(600):
            r.events.put(b"{%d" % number)
            r.put(f"good-{number}", f"https://good/{number}.jpg")
        await r.until_caught_up()
        assert r.outcomes() == {"indexed": 600, "dead_lettered": 600}


async def test_a_failure_with_the_retries_ends_both_workers() -> None:
    async with rig() as r:
        r.retries.broken = True
        r.host.down = {"https://host/a.jpg": 1}
        r.put("a")
        with pytest.raises(ConfigurationError, match="the retries are refused"):
            await asyncio.wait_for(r.workers.run(), 10)


async def test_a_failure_with_the_events_ends_both_workers() -> None:
    async with rig(fetch_retry_seconds=3600) as r:
        r.host.down = {"https://host/a.jpg": 1}
        r.put("a")
        task = asyncio.create_task(r.workers.run())
        await until(lambda: r.gauge("in_flight_records", "retries") == 1)

        def refuse(*_: object) -> None:
            raise ConfigurationError("the mapping does not fit")

        r.store.write = refuse  # type: ignore[method-assign, assignment]
        r.put("b", "https://host/b.jpg")
        with pytest.raises(ConfigurationError, match="the mapping does not fit"):
            await asyncio.wait_for(task, 10)
        assert r.outcomes()["retried"] == 1
