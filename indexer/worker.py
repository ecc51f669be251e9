"""The loop: poll, process, commit behind what is done, and hand over cleanly.

The order is the guarantee. A position is committed only once every record before it has an outcome that is durable
(`Pipeline.process` has returned); what was read and not committed is read again, by this worker or another, and writing
it again changes nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import structlog

from indexer.duty import EVENTS, Duty
from indexer.expiry import keep_dropping_expired
from indexer.offset_tracker import OffsetTracker
from indexer.patience import Patience
from indexer.planning import Outcome
from shared.errors import EventLogUnavailableError
from shared.event_log import LogReader, Poll, Record
from shared.metrics import IndexerMetrics
from shared.rolling_window import to_milliseconds
from shared.settings import Settings
from shared.store import Store

# Also the longest that a stop request or a finished record waits to be noticed while the source is quiet.
_POLL_SECONDS = 0.2
_LAG_INTERVAL_SECONDS = 5.0

_Answer = TypeVar("_Answer")


class RecordProcessor(Protocol):
    """Brings records to their outcomes."""

    async def process(self, record: Record) -> Outcome:
        """Returns once the outcome is durable."""

    async def run(self) -> None:
        """Whatever has to run beside `process`, until cancelled."""


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What the worker works with; `__main__` and the tests put it together."""

    reader: LogReader
    processor: RecordProcessor
    store: Store | None
    """Where expired months are dropped; None where another worker of the process does it."""
    patience: Patience
    metrics: IndexerMetrics
    now: Callable[[], datetime]
    log: structlog.typing.FilteringBoundLogger
    reader_thread: Executor
    """One thread: a reader belongs to one thread."""
    store_threads: Executor | None = None
    """The event loop's own where there are none."""
    duty: Duty = EVENTS


class Worker:
    """Reads the event source and keeps the index current until it is told to stop."""

    def __init__(self, parts: WorkerParts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings
        share = parts.duty.share
        self._records_max = max(1, int(settings.in_flight_records_max * share))
        self._bytes_max = int(settings.in_flight_bytes_max * share)
        self._redone_max = max(1, int(settings.redone_records_max * share))
        self._tracker = OffsetTracker()
        self._in_flight: dict[asyncio.Task[None], Record] = {}
        self._in_flight_bytes = 0
        self._committed: Mapping[str, int] = {}
        self._committed_at = 0.0
        self._finished = asyncio.Event()
        self._stopping = asyncio.Event()
        self._finishing = False
        self._failure: BaseException | None = None
        self.heartbeat = 0.0

    @property
    def ready(self) -> bool:
        """Whether records are being processed: not stopping, and nothing waited for."""
        return not self._stopping.is_set() and not self._parts.patience.waiting_for

    def stop(self) -> None:
        """Stop reading; `run` returns once what is in flight is done and committed, or after the drain time."""
        self._stopping.set()

    def finish(self) -> None:
        """Read on until nothing is left; `run` returns then."""
        self._finishing = True

    def abort(self, failure: BaseException) -> None:
        """End at once; `run` raises `failure`."""
        if self._failure is None:
            self._failure = failure
            self._stopping.set()

    async def run(self, *, until_caught_up: bool = False) -> None:
        """Work until `stop`, or until all that was in the source at the start is done."""
        background = [asyncio.create_task(work) for work in self._background()]
        for task in background:
            task.add_done_callback(self._note_failure)
        try:
            reading = asyncio.create_task(self._read(until_caught_up))
            stop_request = asyncio.create_task(self._stopping.wait())
            await asyncio.wait({reading, stop_request}, return_when=asyncio.FIRST_COMPLETED)
            # A poll under way ends by itself; waiting for brokers that are away does not.
            await asyncio.wait({reading}, timeout=2 * _POLL_SECONDS)
            await _cancel([reading, stop_request])
            if not reading.cancelled():
                self._note_failure(reading)
            self._stopping.set()
            await self._drain()
        finally:
            await _cancel([*background, *self._in_flight])
        if self._failure is not None:
            raise self._failure

    def _background(self) -> Iterable[Coroutine[Any, Any, None]]:
        parts = self._parts
        yield parts.processor.run()
        yield self._watch_lag()
        if parts.store is not None:
            yield keep_dropping_expired(
                parts.store,
                window_months=self._settings.window_months,
                now=parts.now,
                threads=parts.store_threads,
                patience=parts.patience,
                log=parts.log,
            )

    async def _read(self, until_caught_up: bool) -> None:
        goal = await self._ask_reader(self._parts.reader.end_positions) if until_caught_up else None
        while not self._stopping.is_set():
            await self._step()
            if self._finishing and not self._in_flight:
                # What was in flight may have put more into the log.
                goal = await self._ask_reader(self._parts.reader.end_positions)
            if goal is not None and await self._caught_up(goal):
                return

    async def _step(self) -> None:
        """One turn: poll what there is room for, start it, commit what is due."""
        self.heartbeat = self._loop_time()
        poll = await self._poll()
        # Lost partitions first: the same poll may bring one of them back as a new assignment.
        self._tracker.lose(poll.lost)
        # What was committed of them may have come too late, and is to be committed again even at the same position.
        self._committed = {name: position for name, position in self._committed.items() if name not in poll.lost}
        for record in poll.records:
            self._start(record)
        await self._commit_when_due()
        if self._room() == 0:
            await self._room_again()

    async def _poll(self) -> Poll:
        room = self._room()
        return await self._ask_reader(lambda: self._parts.reader.poll(room, _POLL_SECONDS if room else 0))

    def _room(self) -> int:
        if self._in_flight_bytes >= self._bytes_max:
            return 0
        in_flight = self._records_max - len(self._in_flight)
        return max(0, min(in_flight, self._redone_max - self._tracker.uncommitted))

    def _start(self, record: Record) -> None:
        self._tracker.begin(record)
        task = asyncio.create_task(self._process(record))
        self._in_flight[task] = record
        self._in_flight_bytes += record.size_bytes
        self._parts.metrics.records_consumed.inc()
        self._note_in_flight()
        task.add_done_callback(self._end)

    async def _process(self, record: Record) -> None:
        outcome = await self._parts.processor.process(record)
        if outcome is not Outcome.ABANDONED:
            self._tracker.done(record)
            # At once: a poll under way may be handing its partition over, and waits for this.
            self._parts.reader.stage(self._tracker.positions())
        self._parts.metrics.records.labels(outcome).inc()

    def _end(self, task: asyncio.Task[None]) -> None:
        record = self._in_flight.pop(task)
        self._in_flight_bytes -= record.size_bytes
        if task.cancelled():
            self._parts.metrics.records.labels(Outcome.ABANDONED).inc()
        self._note_failure(task)
        self._note_in_flight()
        self._finished.set()

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        """A bug or a refused configuration in any task ends the worker; nothing more is committed for it."""
        if not task.cancelled() and (failure := task.exception()) is not None:
            self.abort(failure)

    def _note_in_flight(self) -> None:
        metrics, log = self._parts.metrics, self._parts.duty.log
        metrics.in_flight_records.labels(log).set(len(self._in_flight))
        metrics.in_flight_bytes.labels(log).set(self._in_flight_bytes)

    async def _room_again(self) -> None:
        """Wait for room for a good part of a full load, but not longer than the reader may go without a poll."""
        try:
            async with asyncio.timeout(_POLL_SECONDS):
                while self._room() <= self._records_max // 4:
                    self._finished.clear()
                    await self._finished.wait()
        except TimeoutError:
            return

    async def _commit_when_due(self) -> None:
        if self._loop_time() - self._committed_at >= self._settings.commit_interval_seconds:
            await self._commit()

    async def _commit(self) -> None:
        positions = self._tracker.positions()
        self._committed_at = self._loop_time()
        if positions == self._committed:
            return
        start = self._loop_time()
        await self._ask_reader(lambda: self._parts.reader.commit(positions))
        self._committed = positions
        self._tracker.committed(positions)
        self._parts.metrics.stage_seconds.labels("commit").observe(self._loop_time() - start)

    async def _caught_up(self, goal: Mapping[str, int]) -> bool:
        if self._in_flight:
            return False
        await self._commit()
        committed = await self._ask_reader(self._parts.reader.committed_positions)
        if all(committed.get(partition, 0) >= position for partition, position in goal.items()):
            return True
        # Positions that no record can reach (transaction markers) are passed without one; then only the lag tells.
        lag = await self._ask_reader(self._parts.reader.lag)
        return bool(lag) and set(lag) >= set(goal) and not any(lag.values())

    async def _drain(self) -> None:
        """Finish what is in flight within the drain time, polling so that the group keeps us, then commit."""
        deadline = self._loop_time() + self._settings.drain_seconds
        while self._in_flight and self._failure is None and self._loop_time() < deadline:
            self.heartbeat = self._loop_time()
            await asyncio.wait(self._in_flight, timeout=_POLL_SECONDS)
            try:
                poll = await self._in_reader_thread(lambda: self._parts.reader.poll(0, 0))
            except EventLogUnavailableError:
                continue
            self._tracker.lose(poll.lost)
        if self._in_flight:
            self._parts.log.warning("drain_ended_early", records_left=len(self._in_flight))
        try:
            positions = self._tracker.positions()
            await self._in_reader_thread(lambda: self._parts.reader.commit(positions))
        except EventLogUnavailableError as error:
            self._parts.log.warning("last_commit_failed", detail=str(error))

    async def _watch_lag(self) -> None:
        while True:
            await self._note_lag()
            await asyncio.sleep(_LAG_INTERVAL_SECONDS)

    async def _note_lag(self) -> None:
        try:
            lag = await self._in_reader_thread(self._parts.reader.lag)
        except EventLogUnavailableError:
            return  # The poll notices it too, waits, and says so.
        metrics, log = self._parts.metrics, self._parts.duty.log
        for partition, records in lag.items():
            metrics.lag_records.labels(log, partition).set(records)
        now_ms = to_milliseconds(self._parts.now())
        oldest = [record.timestamp_ms for record in self._tracker.oldest_in_flight() if record.timestamp_ms is not None]
        metrics.lag_seconds.labels(log).set(max(0, now_ms - min(oldest, default=now_ms)) / 1000)

    async def _ask_reader(self, question: Callable[[], _Answer]) -> _Answer:
        patience, dependency = self._parts.patience, self._parts.duty.dependency
        return await patience.until_available(dependency, lambda: self._in_reader_thread(question))

    async def _in_reader_thread(self, question: Callable[[], _Answer]) -> _Answer:
        return await asyncio.get_running_loop().run_in_executor(self._parts.reader_thread, question)

    def _loop_time(self) -> float:
        return asyncio.get_running_loop().time()


async def _cancel(tasks: Iterable[asyncio.Task[Any]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
