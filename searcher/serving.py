"""`searcher serve`: the process around the web application, from the listening socket to the last drained request."""

import asyncio
import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import partial

import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from searcher.backend import Attendant, Backend, PictureEncoder
from searcher.guard import is_loopback
from searcher.proxies import TrustedProxies
from searcher.resident.follower import Follower
from searcher.resident.index import ResidentIndex
from searcher.resident.shown_file import ShownFile
from searcher.search import SearcherParts
from searcher.services import Services
from searcher.strategies.resident import Resident
from searcher.watching.running import attended, check_webhooks, duties_of
from searcher.web import create_app
from searcher.workbench.database import WorkbenchUnavailableError
from searcher.workbench.workbench import Workbench
from shared.encoding.encoder import load_encoder
from shared.encoding.opening import check_embedder
from shared.errors import ConfigurationError
from shared.garbage import calm_collector
from shared.images.decoder import DecoderPool
from shared.images.fetcher import Fetcher, FetchLimits
from shared.images.picture import DecodeLimits
from shared.metrics import SearcherMetrics
from shared.settings import Settings
from shared.store import Store
from shared.store.opening import open_store

_STORE_THREADS = 8
# A search in memory uses all cores by itself; others wait for it with short questions of their own.
_RESIDENT_THREADS = 4
_FOLLOWER_SECONDS = 2.0
_BACKLOG = 1024


def run_server(settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C, then answer what is in flight and return.

    Listens before the store is open and the encoder is loaded: they are waited for, and /readyz tells.
    ConfigurationError where the address can't be listened on, or the store or the encoder can't be used as configured.
    """
    # Said at once, and not only when the store answers and an encoder is active.
    check_embedder(settings)
    folder = settings.resident_documents_folder
    if folder is not None and not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"CATALOGUE_RESIDENT_DOCUMENTS_FOLDER: {folder} is no folder that can be written to")
    check_webhooks(settings)
    keys_asked_for = _keys_asked_for(settings)
    asyncio.run(_serve(settings, keys_asked_for))


def server_config(app: FastAPI, drain_seconds: float) -> uvicorn.Config:
    """How uvicorn serves the application."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        # By itself uvicorn believes X-Forwarded-For of anybody on this machine. Who may say where a request comes from
        # is CATALOGUE_TRUSTED_PROXIES alone.
        proxy_headers=False,
        timeout_graceful_shutdown=math.ceil(drain_seconds),
    )


def _keys_asked_for(settings: Settings) -> bool:
    """Whether requests need a key, or a trusted proxy's word.

    ConfigurationError where they do not and others than this machine could send them. While the database is away
    nobody knows; then nobody gets in.
    """
    try:
        with closing(Workbench.of(settings, _now)) as bench:
            asked_for = bench.keys.any() or bool(TrustedProxies.of(settings))
    except WorkbenchUnavailableError:
        return True
    if not asked_for and not is_loopback(settings.http_host):
        raise ConfigurationError(
            f"CATALOGUE_HTTP_HOST: {settings.http_host} is reached from the network, and there is no key to ask for; "
            "make one with `searcher keys create NAME --scope administer`"
        )
    return asked_for


async def _serve(settings: Settings, keys_asked_for: bool) -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    metrics = SearcherMetrics(registry)
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listen(settings.http_host, settings.http_port))
        fetcher = await stack.enter_async_context(Fetcher(FetchLimits.of(settings)))
        decoder = DecoderPool(DecodeLimits.of(settings, len(os.sched_getaffinity(0))))
        stack.push_async_callback(decoder.close)
        backend = Backend(*_threads(stack), settings.search_seconds)
        stack.callback(lambda: backend.store.close() if backend.store else None)
        parts = SearcherParts(backend, fetcher, decoder, metrics, _now)
        services = Services.of(parts, registry, settings)
        stack.callback(services.casework.desk.close)
        server = _Server(server_config(create_app(services, metrics), settings.drain_seconds))
        attendant = Attendant(
            backend,
            lambda: open_store(settings),
            lambda stored: load_encoder(stored, settings),
            _resident_starter(stack, backend, metrics, settings) if settings.resident else None,
            metrics=metrics,
            now=_now,
            window_months=settings.window_months,
        )
        _tell_address(settings, listener, keys_asked_for=keys_asked_for)
        duties = await stack.enter_async_context(attended(duties_of(services, parts), metrics))
        await _until_stopped(server, listener, attendant, duties)


def _resident_starter(
    stack: AsyncExitStack, backend: Backend, metrics: SearcherMetrics, settings: Settings
) -> Callable[[Store, PictureEncoder], Resident]:
    """What begins to keep the window's codes in memory, once it is known of which encoder."""

    def start(store: Store, encoder: PictureEncoder) -> Resident:
        calm_collector()
        shown_file = _shown_file(settings)
        index = ResidentIndex(
            encoder.bits, settings.resident_bytes_max, settings.resident_fields, shown_file=shown_file
        )
        stack.callback(index.close)
        with_terms = bool(settings.resident_fields)
        follower = Follower(
            index,
            lambda: store.follow(encoder.encoder_id, terms=with_terms, shown=shown_file is not None),
            _now,
            window_months=settings.window_months,
            poll_seconds=settings.resident_poll_seconds,
        )
        stop = threading.Event()
        thread = threading.Thread(target=follower.run, args=[stop, stop.wait], name="follower", daemon=True)
        thread.start()
        # Undone in the other order. A call of the store that hangs does not hold up the end.
        stack.callback(thread.join, _FOLLOWER_SECONDS)
        stack.callback(stop.set)
        _measure(metrics, index, follower)
        threads = ThreadPoolExecutor(_RESIDENT_THREADS, "resident")
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        return Resident(backend, index, follower, threads)

    return start


def _shown_file(settings: Settings) -> Callable[[], ShownFile] | None:
    """What makes the file of documents, where they are kept beside the codes."""
    if not settings.resident_documents_bytes_max:
        return None
    return partial(ShownFile, settings.resident_documents_bytes_max, settings.resident_documents_folder)


def _measure(metrics: SearcherMetrics, index: ResidentIndex, follower: Follower) -> None:
    def as_of() -> float:
        moment = follower.state.as_of
        return 0.0 if moment is None else moment.timestamp()

    metrics.resident_images.set_function(lambda: len(index))
    metrics.resident_bytes.set_function(lambda: index.nbytes)
    metrics.resident_as_of.set_function(as_of)


async def _until_stopped(
    server: "_Server", listener: socket.socket, attendant: Attendant, duties: Sequence[asyncio.Task[None]]
) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    attending = asyncio.create_task(attendant.attend())
    for task in (attending, *duties):
        # They end by themselves only with an error that no waiting mends; then the process must not go on without them.
        task.add_done_callback(lambda _: server.stop())
    await server.serve(sockets=[listener])
    for task in (attending, *duties):
        if task.done():
            task.result()
    attending.cancel()
    structlog.get_logger().info("stopped")


class _Server(uvicorn.Server):
    """uvicorn, with signals left to us: its own way ends a drained process by the signal, not with exit code 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    def stop(self) -> None:
        """Drain; asked twice, leave at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _threads(stack: AsyncExitStack) -> tuple[ThreadPoolExecutor, ThreadPoolExecutor]:
    """Threads for the store, and the one of the encoder; a call that hangs does not hold up the end."""
    pools = ThreadPoolExecutor(_STORE_THREADS, "store"), ThreadPoolExecutor(1, "encoder")
    for pool in pools:
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
    return pools


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; ConfigurationError where none can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # asyncio sends small replies at once (TCP_NODELAY) only where the protocol is named; otherwise each one waits
        # for the client's delayed acknowledgement, 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise _not_listening(host, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _not_listening(host, port, error) from error
    return listener


def _not_listening(host: str, port: int, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"CATALOGUE_HTTP_PORT: can't listen on {host}:{port}: {error.strerror}")


def _tell_address(settings: Settings, listener: socket.socket, *, keys_asked_for: bool) -> None:
    log = structlog.get_logger()
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    log.info("serving", url=url, settings=settings.model_dump(mode="json"))
    if not keys_asked_for:
        log.warning(
            "open_without_keys",
            detail="whoever is on this machine may do everything; it is listened to this address alone. "
            "`searcher keys create NAME --scope administer` makes a first key, and from then on keys are asked for",
        )


def _now() -> datetime:
    return datetime.now(UTC)
