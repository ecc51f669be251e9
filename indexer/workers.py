"""The workers of a process: one reads the event source, one the retries; they start, fail and stop together."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime

import structlog

from indexer.duty import RETRIES
from indexer.patience import Patience
from indexer.pipeline import Pipeline
from indexer.planning import Outcome
from indexer.retries import Retrier
from indexer.worker import Worker, WorkerParts
from shared.event_log import LogReader, Record
from shared.metrics import IndexerMetrics
from shared.settings import Settings
from shared.store import Store


@dataclass(frozen=True, slots=True)
class WorkersParts:
    """What the workers work with; `indexer.running` and the tests put it together."""

    events: LogReader
    events_thread: Executor
    """One thread, as for each reader."""
    retries: LogReader
    retries_thread: Executor
    pipeline: Pipeline
    store: Store
    store_threads: Executor
    patience: Patience
    metrics: IndexerMetrics
    now: Callable[[], datetime]
    log: structlog.typing.FilteringBoundLogger


class Workers:
    """Both workers around one pipeline. Records of the retries that wait until they are due hold up nothing."""

    def __init__(self, parts: WorkersParts, settings: Settings) -> None:
        self._pipeline = parts.pipeline
        self._retrier = Retrier(parts.pipeline, parts.now, settings.fetch_retry_seconds)
        common = parts.patience, parts.metrics, parts.now, parts.log
        self._events = Worker(
            WorkerParts(
                parts.events, _AtOnce(parts.pipeline), parts.store, *common, parts.events_thread, parts.store_threads
            ),
            settings,
        )
        self._retries = Worker(
            WorkerParts(parts.retries, self._retrier, None, *common, parts.retries_thread, duty=RETRIES), settings
        )
        self._at_work = [self._events, self._retries]

    @property
    def ready(self) -> bool:
        """Whether records are being processed: not stopping, and nothing waited for."""
        return all(worker.ready for worker in self._at_work)

    @property
    def heartbeat(self) -> float:
        """When the slower of the loops turned last, in seconds of the event loop's clock."""
        return min((worker.heartbeat for worker in self._at_work), default=0.0)

    def stop(self) -> None:
        """Stop reading; `run` returns once what is in flight is done and committed, or after the drain time."""
        self._retrier.stop()
        self._events.stop()
        self._retries.stop()

    async def run(self, *, until_caught_up: bool = False) -> None:
        """Work until `stop`, or until all that was in the source at the start is done, and nothing left to retry."""
        tasks = [
            asyncio.create_task(work)
            for work in (
                self._pipeline.run(),
                self._run(self._events, until_caught_up=until_caught_up),
                self._run(self._retries),
            )
        ]
        pipeline, events, retries = tasks
        for task in tasks:
            task.add_done_callback(self._note_failure)
        try:
            await asyncio.wait({events})
            self._retries.finish()
            await asyncio.wait({retries})
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in (pipeline, events, retries):
            if not task.cancelled():
                task.result()

    async def _run(self, worker: Worker, *, until_caught_up: bool = False) -> None:
        try:
            await worker.run(until_caught_up=until_caught_up)
        finally:
            self._at_work.remove(worker)

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (failure := task.exception()) is not None:
            self._retrier.stop()
            self._events.abort(failure)
            self._retries.abort(failure)


class _AtOnce:
    """The pipeline as the worker of the event source sees it; its stages serve both workers, and run beside them."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def process(self, record: Record) -> Outcome:
        return await self._pipeline.process(record)

    async def run(self) -> None:
        await asyncio.Event().wait()
