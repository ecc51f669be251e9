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

from indexer.event_log import NewRecord, Record
from indexer.patience import Patience
from indexer.pipeline import Pipeline, PipelineParts
from indexer.planning import Outcome
from indexer.worker import Worker, WorkerParts
from shared.errors import RejectedError, RejectionReason
from shared.images.decoded import DecodedImage
from shared.metrics import IndexerMetrics
from shared.settings import Settings
from tests.simulator.broker import Broker, SimulatedReader, SimulatedWriter, Wire
from tests.simulator.clockwork import Agenda, Machine, SimulatedExecutor, SimulatedLoop
from tests.simulator.scenario import BROKEN, MISSING
from tests.simulator.server import Server, SimulatedIndices, SimulatedStore

ENCODER_ID = "simulated-64"
_SILENT = structlog.make_filtering_bound_logger(logging.CRITICAL)
_BATCH = 4


def code_of(url: str) -> bytes:
    """The hash code of the picture behind a URL."""
    return hashlib.sha256(url.encode()).digest()[:8]


@dataclass(frozen=True)
class Surroundings:
    """What all processes share, and who is told what they do."""

    agenda: Agenda
    broker: Broker
    server: Server
    dead_letters: list[NewRecord]
    settings: Settings
    wall: Callable[[], datetime]
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
        self.metrics = IndexerMetrics(CollectorRegistry())
        self.indices = SimulatedIndices(around.server, self.machine, store_wire)
        self.reader = _WatchedReader(around, self, log_wire)
        self.loop = SimulatedLoop(self.machine)
        self._around = around
        self._letters = SimulatedWriter(around.dead_letters, self.machine, log_wire)
        self.worker: Worker = self.loop.enter(self._worker)
        self.loop.enter(self._start)

    def now(self) -> datetime:
        """What this machine's clock says."""
        return self._around.wall() + self.skew

    def terminate(self) -> None:
        """SIGTERM."""
        self.machine.run(lambda: self.loop.enter(self.worker.stop))

    def bury(self) -> None:
        """Leave nothing behind in memory."""
        self.machine.bury()
        self.loop.end()

    def _worker(self) -> Worker:
        around, machine = self._around, self.machine
        patience = Patience(
            around.settings.retry_seconds_max,
            asyncio.sleep,
            random.Random(around.agenda.dice.random()),
            self.metrics,
            _SILENT(None, [], {}),
        )
        store = SimulatedStore(self.indices)
        pipeline = Pipeline(
            PipelineParts(
                store,  # type: ignore[arg-type]  # (a worker asks for no search)
                _Fetcher(around.agenda),
                _Decoder(around.agenda),
                _Encoder(machine),
                self._letters,
                patience,
                self.metrics,
                self.now,
                SimulatedExecutor(machine, 4),
                SimulatedExecutor(machine, 1),
                SimulatedExecutor(machine, 1),
            ),
            around.settings,
        )
        return Worker(
            WorkerParts(
                self.reader,
                _Witness(self, pipeline),
                store,  # type: ignore[arg-type]
                patience,
                self.metrics,
                self.now,
                _SILENT(None, [], {}),
                SimulatedExecutor(machine, 1),
            ),
            around.settings,
        )

    def _start(self) -> None:
        self._task = self.loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self.worker.run()
        except Exception as error:  # noqa: BLE001 (a worker that ends by itself has met a bug: the world tells which)
            self._around.on_end(self, error)
        else:
            self.reader.close()
            self._around.on_end(self, None)


class _Witness:
    """The pipeline, with somebody who notes what is begun and what is done."""

    def __init__(self, process: WorkerProcess, pipeline: Pipeline) -> None:
        self._process = process
        self._pipeline = pipeline

    async def run(self) -> None:
        await self._pipeline.run()

    async def process(self, record: Record) -> Outcome:
        process = self._process
        process.in_flight[id(record)] = record
        process._around.on_begin(process, record)
        try:
            outcome = await self._pipeline.process(record)
        except asyncio.CancelledError:
            raise
        del process.in_flight[id(record)]
        process._around.on_outcome(process, record, outcome)
        return outcome


class _WatchedReader(SimulatedReader):
    """The reader, with somebody who looks whenever the worker says what may be committed."""

    def __init__(self, around: Surroundings, process: WorkerProcess, wire: Wire) -> None:
        super().__init__(around.broker, process.machine, wire)
        self._around = around
        self._process = process

    def stage(self, positions: Any) -> None:
        super().stage(positions)
        self._around.on_stage(self._process)


class _Fetcher:
    """Gives a URL's own text for its content, mostly at once."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda

    async def fetch(self, url: str) -> bytes:
        dice = self._agenda.dice
        await asyncio.sleep(dice.choice([0.001, 0.01, 0.05, dice.uniform(0, 1.5)]))
        if url == MISSING:
            raise RejectedError(RejectionReason.IMAGE_NOT_FOUND, "404")
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
