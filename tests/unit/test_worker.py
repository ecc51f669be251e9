"""The loop commits behind what is done, waits for what is away, and stops cleanly."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
import structlog
from prometheus_client import CollectorRegistry

from indexer.patience import Patience
from indexer.planning import Outcome
from indexer.worker import Worker, WorkerParts
from shared.errors import ConfigurationError
from shared.event_log import Record
from shared.metrics import IndexerMetrics
from shared.settings import Settings
from tests.fake_store import FakeStore
from tests.fakes import FakeReader

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class HeldProcessor:
    """Finishes a record when the test lets its value go; everything at once when `open`."""

    open: bool = True
    gates: dict[bytes, asyncio.Event] = field(default_factory=dict)
    started: list[bytes] = field(default_factory=list)
    failure: Exception | None = None

    async def process(self, record: Record) -> Outcome:
        value = record.value or b""
        self.started.append(value)
        if self.failure:
            raise self.failure
        if not self.open:
            await self.gates.setdefault(value, asyncio.Event()).wait()
        return Outcome.INDEXED

    async def run(self) -> None:
        await asyncio.Event().wait()

    def let_go(self, value: bytes) -> None:
        self.gates.setdefault(value, asyncio.Event()).set()


@dataclass
class Rig:
    reader: FakeReader
    processor: HeldProcessor
    worker: Worker
    registry: CollectorRegistry
    patience: Patience

    def outcomes(self, outcome: str) -> float:
        return self.registry.get_sample_value("catalogue_indexer_records_total", {"outcome": outcome}) or 0.0


@asynccontextmanager
async def rig(**changed: object) -> AsyncIterator[Rig]:
    settings = Settings(_env_file=None, **{"commit_interval_seconds": 0, **changed})  # type: ignore[arg-type]
    registry = CollectorRegistry()
    metrics = IndexerMetrics(registry)
    reader, processor = FakeReader(), HeldProcessor()
    log = structlog.get_logger()
    patience = Patience(0.01, asyncio.sleep, random.Random(1), metrics, log)
    with ThreadPoolExecutor(1) as reader_thread:
        parts = WorkerParts(reader, processor, FakeStore(), patience, metrics, lambda: NOW, log, reader_thread)
        yield Rig(reader, processor, Worker(parts, settings), registry, patience)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until the condition holds; fails after 5 seconds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (the state of the code under test sets no event)
            await asyncio.sleep(0.005)


async def test_all_that_is_there_is_processed_and_committed_when_caught_up() -> None:
    async with rig() as r:
        for number in range(10):
            r.reader.put(b"%d" % number, partition=f"p-{number % 2}")
        await asyncio.wait_for(r.worker.run(until_caught_up=True), 5)
        assert r.reader.committed == {"p-0": 5, "p-1": 5}
        assert r.outcomes("indexed") == 10
        assert r.registry.get_sample_value("catalogue_indexer_records_consumed_total") == 10


async def test_no_commit_passes_a_record_that_is_not_done() -> None:
    async with rig() as r:
        r.processor.open = False
        for value in (b"a", b"b", b"c"):
            r.reader.put(value)
        running = asyncio.create_task(r.worker.run())
        await until(lambda: len(r.processor.started) == 3)
        r.processor.let_go(b"c")
        r.processor.let_go(b"a")
        await until(lambda: r.reader.committed == {"p-0": 1})
        assert r.reader.staged == {"p-0": 1}
        r.processor.let_go(b"b")
        await until(lambda: r.reader.committed == {"p-0": 3})
        r.worker.stop()
        await asyncio.wait_for(running, 5)


async def test_what_is_done_during_a_poll_is_staged_at_once() -> None:
    """The poll may be handing the partition over, and would leave to others what it does not know to be done."""
    async with rig() as r:
        r.processor.open = False
        r.reader.put(b"a")
        r.reader.staging = {"p-0": 1}
        running = asyncio.create_task(r.worker.run())
        await until(lambda: len(r.reader.polls) == 2)
        r.processor.let_go(b"a")
        await until(lambda: r.reader.committed == {"p-0": 1})
        r.worker.stop()
        await asyncio.wait_for(running, 5)


async def test_a_partition_that_comes_back_is_committed_again_at_the_same_position() -> None:
    """A commit that came too late for the old assignment may have been dropped."""
    async with rig(commit_interval_seconds=0.3) as r:
        record = r.reader.put(b"a")
        running = asyncio.create_task(r.worker.run())
        await until(lambda: r.reader.committed == {"p-0": 1})
        r.reader.lose("p-0")
        r.reader.committed.clear()
        r.reader.records.append(replace(record))
        await until(lambda: r.reader.committed == {"p-0": 1})
        r.worker.stop()
        await asyncio.wait_for(running, 5)


async def test_reading_pauses_at_the_bound_and_goes_on_below_it() -> None:
    async with rig(in_flight_records_max=4) as r:
        r.processor.open = False
        for number in range(8):
            r.reader.put(b"%d" % number)
        running = asyncio.create_task(r.worker.run())
        await until(lambda: r.reader.polls[-1:] == [0])
        assert len(r.processor.started) == 4
        for number in range(8):
            r.processor.let_go(b"%d" % number)
        await until(lambda: r.reader.committed == {"p-0": 8})
        r.worker.stop()
        await asyncio.wait_for(running, 5)
        assert max(r.reader.polls) == 4


async def test_reading_pauses_at_the_bound_of_bytes() -> None:
    async with rig(in_flight_bytes_max=1024 * 1024, in_flight_records_max=1) as r:
        r.processor.open = False
        r.reader.put(b"x" * 1024 * 1024)
        r.reader.put(b"y")
        running = asyncio.create_task(r.worker.run())
        await until(lambda: r.reader.polls[-1:] == [0])
        assert len(r.processor.started) == 1
        r.processor.let_go(b"x" * 1024 * 1024)
        r.processor.let_go(b"y")
        await until(lambda: r.reader.committed == {"p-0": 2})
        r.worker.stop()
        await asyncio.wait_for(running, 5)


async def test_reading_pauses_where_a_crash_would_make_too_much_be_redone() -> None:
    async with rig(redone_records_max=4) as r:
        r.processor.open = False
        for number in range(8):
            r.reader.put(b"%d" % number)
        running = asyncio.create_task(r.worker.run())
        for number in range(1, 8):
            r.processor.let_go(b"%d" % number)
        await until(lambda: r.reader.polls[-3:] == [0, 0, 0])
        assert len(r.processor.started) == 4
        r.processor.let_go(b"0")
        await until(lambda: r.reader.committed == {"p-0": 8})
        r.worker.stop()
        await asyncio.wait_for(running, 5)


async def test_a_stop_drains_what_is_in_flight_and_commits_it() -> None:
    async with rig() as r:
        r.processor.open = False
        r.reader.put(b"a")
        running = asyncio.create_task(r.worker.run())
        await until(lambda: r.processor.started == [b"a"])
        r.worker.stop()
        assert not r.worker.ready
        r.processor.let_go(b"a")
        await asyncio.wait_for(running, 5)
        assert r.reader.committed == {"p-0": 1}


async def test_a_drain_that_takes_too_long_abandons_the_record_uncommitted() -> None:
    async with rig(drain_seconds=0.05) as r:
        r.processor.open = False
        r.reader.put(b"a")
        running = asyncio.create_task(r.worker.run())
        await until(lambda: r.processor.started == [b"a"])
        r.worker.stop()
        await asyncio.wait_for(running, 5)
        assert r.reader.committed == {}
        assert r.outcomes("abandoned") == 1


async def test_a_stop_does_not_wait_for_a_log_that_is_away() -> None:
    async with rig() as r:
        r.reader.away = True
        running = asyncio.create_task(r.worker.run())
        await until(lambda: r.patience.waiting_for == {"event_log"})
        assert not r.worker.ready
        r.worker.stop()
        await asyncio.wait_for(running, 5)


async def test_work_goes_on_when_the_log_is_back() -> None:
    async with rig() as r:
        r.reader.away = True
        r.reader.put(b"a")
        running = asyncio.create_task(r.worker.run())
        await until(lambda: r.patience.waiting_for == {"event_log"})
        r.reader.away = False
        await until(lambda: r.reader.committed == {"p-0": 1})
        assert r.worker.ready
        r.worker.stop()
        await asyncio.wait_for(running, 5)


async def test_nothing_of_a_lost_partition_is_committed() -> None:
    async with rig() as r:
        r.processor.open = False
        r.reader.put(b"lost", partition="lost")
        r.reader.put(b"kept", partition="kept")
        running = asyncio.create_task(r.worker.run())
        await until(lambda: len(r.processor.started) == 2)
        r.reader.lose("lost")
        await until(lambda: not r.reader._lost)
        r.processor.let_go(b"lost")
        r.processor.let_go(b"kept")
        await until(lambda: r.reader.committed == {"kept": 1})
        r.worker.stop()
        await asyncio.wait_for(running, 5)
        assert r.reader.committed == {"kept": 1}
        assert r.outcomes("indexed") == 2


@pytest.mark.parametrize("failure", [ConfigurationError("the key was refused"), ZeroDivisionError("a bug")])
async def test_a_failure_ends_the_worker_and_commits_nothing_for_its_record(failure: Exception) -> None:
    async with rig() as r:
        r.processor.failure = failure
        r.reader.put(b"a")
        with pytest.raises(type(failure)):
            await asyncio.wait_for(r.worker.run(), 5)
        assert r.reader.committed == {}
