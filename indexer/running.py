"""`indexer run`: the process around the worker, from waiting for an encoder to the drained end."""

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from indexer.drift import WatchedEncoder
from indexer.event_fetcher import EventFetcher
from indexer.health import HealthServer
from indexer.patience import Patience
from indexer.pipeline import Pipeline
from indexer.pipeline_parts import PictureEncoder, PipelineParts
from indexer.watching import Watching, WatchingParts
from indexer.workers import Workers, WorkersParts
from shared import hamming_scan
from shared.encoding.copy_code import check_copy_codes
from shared.encoding.encoder import Encoder, load_encoder
from shared.encoding.opening import check_embedder
from shared.errors import EXIT_BUG, ConfigurationError
from shared.event_log import LogWriter
from shared.event_log import opening as event_logs
from shared.garbage import calm_collector
from shared.images.decoder import DecoderPool
from shared.images.fetcher import Fetcher, FetchLimits
from shared.images.picture import DecodeLimits
from shared.images.url_rules import UrlRules
from shared.metrics import IndexerMetrics
from shared.settings import Settings
from shared.store import Store
from shared.store.opening import open_store

# A loop that has not turned for so long is stuck, and a supervisor should restart the worker.
_LIVE_SECONDS = 60.0
_STORE_THREADS = 4

_Result = TypeVar("_Result")


def run_worker(settings: Settings, *, until_caught_up: bool) -> None:
    """Work until SIGTERM or Ctrl-C, or until all that was in the source at the start is indexed.

    ConfigurationError where no encoder is active and `until_caught_up` leaves no time to wait for one.
    """
    _refuse_wrong_settings(settings)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    asyncio.run(_WorkerProcess(settings, registry).run(until_caught_up=until_caught_up))


def _refuse_wrong_settings(settings: Settings) -> None:
    """Say at once what would otherwise be found out only when the store answers and an encoder is active."""
    event_logs.open_reader(settings).close()
    UrlRules.of(settings.fetch_allowed_hosts, settings.fetch_public_hosts)
    check_embedder(settings)
    check_copy_codes(settings)


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


@asynccontextmanager
async def pictures(settings: Settings, *, copy_codes: bool = False) -> AsyncIterator[tuple[EventFetcher, DecoderPool]]:
    """The way from an event's URL to its decoded picture, with its copy code where that is asked for."""
    async with (
        Fetcher(FetchLimits.of(settings)) as web,
        DecoderPool(DecodeLimits.of(settings, cores=os.cpu_count() or 1), copy_codes=copy_codes) as decoder,
    ):
        yield EventFetcher(web, settings.fetch_allowed_roots, settings.fetch_bytes_max), decoder


class _WorkerProcess:
    """One worker process: its parts, its health server, and its signals."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._registry = registry
        self._metrics = IndexerMetrics(registry)
        self._metrics.ready.set_function(self._ready)
        self._log = structlog.get_logger()
        self._patience = Patience(settings.retry_seconds_max, asyncio.sleep, random.Random(), self._metrics, self._log)
        self._workers: Workers | None = None
        self._started = time.monotonic()
        self._stop_requested = asyncio.Event()

    async def run(self, *, until_caught_up: bool) -> None:
        """Wait for an encoder, work, and leave cleanly."""
        self._listen_to_signals()
        with self._health():
            found = await self._until_stopped(self._store_and_encoder(wait=not until_caught_up))
            if found is not None:
                store, encoder = found
                with closing(store):
                    await self._work(store, encoder, until_caught_up)
        self._log.info("stopped")

    async def _store_and_encoder(self, *, wait: bool) -> tuple[Store, Encoder]:
        settings = self._settings
        store = await self._patience.until_available("store", lambda: asyncio.to_thread(open_store, settings))
        said = False
        while True:
            active = await self._patience.until_available("store", lambda: asyncio.to_thread(store.active_encoder))
            if active is not None:
                return store, await asyncio.to_thread(load_encoder, active, settings)
            if not wait:
                raise ConfigurationError("no encoder is active; run `indexer fit` first")
            if not said:
                self._log.info("waiting_for_encoder", detail="no encoder is active; run `indexer fit`")
                said = True
            await asyncio.sleep(1)

    async def _work(self, store: Store, encoder: Encoder, until_caught_up: bool) -> None:
        settings, metrics = self._settings, self._metrics
        metrics.encoder.labels(encoder.encoder_id).set(1)
        async with pictures(settings, copy_codes=settings.copy_codes) as (fetcher, decoder):
            with ExitStack() as stack:
                # Readers first: where credentials are wrong from the start, they say so.
                events = stack.enter_context(closing(event_logs.open_reader(settings)))
                retries = stack.enter_context(closing(event_logs.open_retry_reader(settings)))
                dead_letter_log = stack.enter_context(closing(event_logs.open_dead_letter_writer(settings)))
                retry_log = stack.enter_context(closing(event_logs.open_retry_writer(settings)))
                match_log = stack.enter_context(closing(event_logs.open_match_writer(settings)))
                # Entered last, ended first: nothing is written any more once the readers leave and others take over.
                threads = [stack.enter_context(ThreadPoolExecutor(count)) for count in (_STORE_THREADS, 1, 2, 1, 1)]
                store_threads, model_thread, log_threads, events_thread, retries_thread = threads
                match_thread = stack.enter_context(hamming_scan.workers(1))
                pipeline = Pipeline(
                    PipelineParts(
                        store,
                        fetcher,
                        decoder,
                        _watched(encoder, metrics),
                        dead_letter_log,
                        self._patience,
                        metrics,
                        now,
                        store_threads,
                        model_thread,
                        log_threads,
                        retry_log,
                        self._watching(store, match_log, encoder.encoder_id, store_threads, match_thread),
                    ),
                    settings,
                )
                self._workers = Workers(
                    WorkersParts(
                        events,
                        events_thread,
                        retries,
                        retries_thread,
                        pipeline,
                        store,
                        store_threads,
                        self._patience,
                        metrics,
                        now,
                        self._log,
                    ),
                    settings,
                )
                self._log.info("started", encoder=encoder.encoder_id, settings=settings.model_dump(mode="json"))
                calm_collector()
                if self._stop_requested.is_set():
                    self._workers.stop()
                await self._workers.run(until_caught_up=until_caught_up)

    def _watching(
        self, store: Store, match_log: LogWriter, encoder_id: str, store_threads: Executor, match_thread: Executor
    ) -> Watching:
        return Watching(
            WatchingParts(
                store,
                match_log,
                encoder_id,
                self._patience,
                self._metrics,
                now,
                self._settings.window_months,
                store_threads,
                match_thread,
                self._log,
            )
        )

    async def _until_stopped(self, waiting: Awaitable[_Result]) -> _Result | None:
        """What `waiting` gives, or None where a signal came first."""
        task = asyncio.ensure_future(waiting)
        stop = asyncio.create_task(self._stop_requested.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if task.done():
            return task.result()
        task.cancel()
        return None

    def _health(self) -> HealthServer:
        settings = self._settings
        return HealthServer(settings.metrics_host, settings.metrics_port, self._registry, self._live, self._ready)

    def _live(self) -> bool:
        heartbeat = self._workers.heartbeat if self._workers is not None else 0.0
        return time.monotonic() - max(heartbeat, self._started) < _LIVE_SECONDS or self._waiting()

    def _waiting(self) -> bool:
        """Whether the loop stands still for a reason: no encoder yet, or a dependency that is away."""
        return self._workers is None or bool(self._patience.waiting_for)

    def _ready(self) -> bool:
        return self._workers is not None and self._workers.ready

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)

    def _stop(self) -> None:
        if self._stop_requested.is_set():
            # Asked twice: leave at once. What is in flight is not committed and will be read again.
            os._exit(EXIT_BUG)
        self._stop_requested.set()
        if self._workers is not None:
            self._workers.stop()


def _watched(encoder: Encoder, metrics: IndexerMetrics) -> PictureEncoder:
    """The encoder, compared with its fit where that is known."""
    return encoder if encoder.statistics is None else WatchedEncoder(encoder, encoder.statistics, metrics)
