"""One worker process on a simulated machine: the real worker and pipeline, put together as `indexer run` does it."""

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from indexer.patience import Patience
from indexer.pipeline import Pipeline
from indexer.pipeline_parts import PipelineParts
from indexer.planning import Outcome
from indexer.retries import Retry
from indexer.watching import Watching, WatchingParts
from indexer.workers import Workers, WorkersParts
from shared.errors import RejectedError, RejectionReason
from shared.event_log import NewRecord, Record
from shared.images.decoded import DecodedImage
from shared.metrics import IndexerMetrics
from shared.settings import Settings
from tests.simulator.broker import Broker, SimulatedReader, SimulatedWriter, Wire
from tests.simulator.clockwork import Agenda, Machine, SimulatedExecutor, SimulatedLoop
from tests.simulator.scenario import BROKEN, MISSING
from tests.simulator.server import Server, SimulatedIndices, SimulatedStore

ENCODER_ID = "simulated-64"
FOREIGN_ID = "another-64"
_LOGGERS: Any = structlog.make_filtering_bound_logger(logging.CRITICAL)
_SILENT: structlog.typing.FilteringBoundLogger = _LOGGERS(None, [], {})
_BATCH = 4


def code_of(url: str) -> bytes:
    """The hash code of the picture behind a URL."""
    return hashlib.sha256(url.encode()).digest()[:8]


@dataclass(frozen=True)
class Surroundings:
    """What all processes share, and who is told what they do."""

    agenda: Agenda
    events: Broker
    retries: Broker
    server: Server
    dead_letters: list[NewRecord]
    matches: list[NewRecord]
    settings: Settings
    wall: Callable[[], datetime]
    fails: Callable[[str], bool]
    """Whether the host of a picture fails just now."""
    on_begin: Callable[["WorkerProcess", Record], None]
    on_outcome: Callable[["WorkerProcess", Record, Outcome], None]
    on_stage: Callable[["WorkerProcess"], None]
    on_end: Callable[["WorkerProcess", BaseException | None], None]


class WorkerProcess:
    """A worker from its start to its end, or to its death."""

    def __init__(self, name: str, around: Surroundings, store_wire: Wire, log_wire: Wire, skew: timedelta) -> None:
        self.name = name
        self.skew = skew
        self.machine = Machine(name, around.agenda)
        self.in_flight: dict[int, Record] = {}
        self.retried: set[int] = set()
        self.metrics = IndexerMetrics(CollectorRegistry())
        self.indices = SimulatedIndices(around.server, self.machine, store_wire)
        self.reader = _WatchedReader(around, around.events, self, log_wire)
        self.retry_reader = _WatchedReader(around, around.retries, self, log_wire)
        # Any: a type checker misses the methods of an event loop that this one goes without.
        loop_class: Any = SimulatedLoop
        self.loop: SimulatedLoop = loop_class(self.machine)
        self.around = around
        self._log_wire = log_wire
        self.workers: Workers = self.loop.enter(self._workers)
        self.loop.enter(self._start)

    def now(self) -> datetime:
        """What this machine's clock says."""
        return self.around.wall() + self.skew

    def terminate(self) -> None:
        """SIGTERM."""
        self.machine.run(lambda: self.loop.enter(self.workers.stop))

    def bury(self) -> None:
        """Leave nothing behind in memory."""
        self.machine.bury()
        self.loop.end()

    def _workers(self) -> Workers:
        around, machine = self.around, self.machine
        patience = Patience(
            around.settings.retry_seconds_max,
            asyncio.sleep,
            random.Random(around.agenda.dice.random()),
            self.metrics,
            _SILENT,
        )
        store: Any = SimulatedStore(self.indices)
        store_threads = SimulatedExecutor(machine, 4)
        pipeline = _WatchedPipeline(
            PipelineParts(
                store,
                _Fetcher(around),
                _Decoder(around.agenda),
                _Encoder(machine),
                SimulatedWriter(around.dead_letters.append, machine, self._log_wire),
                patience,
                self.metrics,
                self.now,
                store_threads,
                SimulatedExecutor(machine, 1),
                SimulatedExecutor(machine, 2),
                SimulatedWriter(self._append_retry, machine, self._log_wire),
                self._watching(store, patience, store_threads),
            ),
            around.settings,
        )
        pipeline.watch(self)
        return Workers(
            WorkersParts(
                self.reader,
                SimulatedExecutor(machine, 1),
                self.retry_reader,
                SimulatedExecutor(machine, 1),
                pipeline,
                store,
                store_threads,
                patience,
                self.metrics,
                self.now,
                _SILENT,
            ),
            around.settings,
        )

    def _watching(self, store: Any, patience: Patience, store_threads: SimulatedExecutor) -> Watching:
        return Watching(
            WatchingParts(
                store,
                SimulatedWriter(self.around.matches.append, self.machine, self._log_wire),
                ENCODER_ID,
                patience,
                self.metrics,
                self.now,
                self.around.settings.window_months,
                store_threads,
                SimulatedExecutor(self.machine, 1),
                _SILENT,
            )
        )

    def _append_retry(self, new: NewRecord) -> None:
        self.around.retries.append(sum(new.key or b"") % self.around.retries.partitions, new)

    def _start(self) -> None:
        self._task = self.loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self.workers.run()
        except Exception as error:  # noqa: BLE001 (a worker that ends by itself has met a bug: the world tells which)
            self.around.on_end(self, error)
        else:
            # In the order of `indexer.running`: the process leaves the groups, then its threads end what is under way.
            self.retry_reader.close()
            self.reader.close()
            while self.machine.jobs:  # noqa: ASYNC110 (jobs set no event, and virtual time costs nothing)
                await asyncio.sleep(0.05)
            self.around.on_end(self, None)


class _WatchedPipeline(Pipeline):
    """The pipeline, with somebody who notes what is begun and what is done."""

    def watch(self, process: WorkerProcess) -> None:
        """Tell the process."""
        self._process_of_machine = process

    async def process(self, record: Record, retry: Retry | None = None) -> Outcome:
        process = self._process_of_machine
        process.in_flight[id(record)] = record
        if retry is not None:
            process.retried.add(id(record))
        process.around.on_begin(process, record)
        outcome = await super().process(record, retry)
        del process.in_flight[id(record)]
        process.retried.discard(id(record))
        process.around.on_outcome(process, record, outcome)
        return outcome


class _WatchedReader(SimulatedReader):
    """The reader, with somebody who looks whenever the worker says what may be committed."""

    def __init__(self, around: Surroundings, broker: Broker, process: WorkerProcess, wire: Wire) -> None:
        super().__init__(broker, process.machine, wire)
        self._around = around
        self._process = process

    def stage(self, positions: Any) -> None:
        super().stage(positions)
        self._around.on_stage(self._process)


class _Fetcher:
    """Gives a URL's own text for its content, mostly at once."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def fetch(self, url: str) -> bytes:
        dice = self._around.agenda.dice
        await asyncio.sleep(dice.choice([0.001, 0.001, 0.001, 0.05, dice.uniform(0, 1.5)]))
        if url == MISSING:
            raise RejectedError(RejectionReason.IMAGE_NOT_FOUND, "404")
        if self._around.fails(url):
            raise RejectedError(RejectionReason.IMAGE_UNAVAILABLE, "503", retriable=True)
        return url.encode()


class _Decoder:
    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda

    async def decode(
        self, content: bytes, *, thumbnail: bool, crop: tuple[float, float, float, float] | None = None
    ) -> DecodedImage:
        await asyncio.sleep(self._agenda.dice.random() * 0.02)
        if content == BROKEN.encode():
            raise RejectedError(RejectionReason.IMAGE_UNDECODABLE, "the picture does not decode")
        pixels = np.frombuffer(code_of(content.decode()), dtype=np.uint8)
        return DecodedImage(pixels, b"thumbnail of " + content if thumbnail else None, 1, 1)


class _Encoder:
    encoder_id = ENCODER_ID
    batch_size = _BATCH

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        self._machine.pause(self._machine.agenda.dice.random() * 0.05)
        return pixels, np.ones(len(pixels), dtype=np.bool_)
