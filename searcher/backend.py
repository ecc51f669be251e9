"""What a searcher answers from: an open store and a loaded encoder. Both may come later than the first request.

Calls of the store and of the encoder run in threads, each with a time limit, so that a slow one holds up nobody else.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from shared.errors import EXIT_DEPENDENCY, CatalogueError, DependencyUnavailableError, StoreUnavailableError
from shared.metrics import SearcherMetrics
from shared.rolling_window import to_milliseconds, window_start
from shared.store import Restriction, Store, StoredEncoder

if TYPE_CHECKING:
    from searcher.strategies.resident import Resident

_Answer = TypeVar("_Answer")

# While something is missing, how long until the next look; and how often the visible images are counted afterwards.
_LOOK_SECONDS = 1.0
_COUNT_SECONDS = 15.0


class EncoderMissingError(DependencyUnavailableError):
    """No encoder is active yet, or it is still being loaded."""


class QueryTimeoutError(CatalogueError):
    """The store or the encoder took longer than a query may wait."""

    retriable = True
    exit_code = EXIT_DEPENDENCY


class PictureEncoder(Protocol):
    """Turns decoded pictures into hash codes. Not thread-safe: one thread at a time."""

    @property
    def encoder_id(self) -> str:
        """The name that its codes are stored under."""

    @property
    def bits(self) -> int:
        """The length of a code."""

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Codes (count, bits / 8) of pictures (count, 224, 224, 3), and which rows came from a finite embedding."""


class Backend:
    """The store and the encoder, as far as they are there.

    `store_threads` run calls of the store, `model_thread` (one thread: encoders are not thread-safe) those of the
    encoder; a call may take `seconds`, waiting for a free thread included.
    """

    def __init__(self, store_threads: Executor, model_thread: Executor, seconds: float) -> None:
        self._store_threads = store_threads
        self._model_thread = model_thread
        self._seconds = seconds
        self.store: Store | None = None
        self.encoder: PictureEncoder | None = None
        self.resident: Resident | None = None
        self.visible_images: int | None = None

    def encoder_or_raise(self) -> PictureEncoder:
        """The encoder; EncoderMissingError before there is one."""
        if self.encoder is None:
            raise EncoderMissingError("no encoder is active yet; run `indexer fit`")
        return self.encoder

    async def ask(self, question: Callable[[Store], _Answer], seconds: float | None = None) -> _Answer:
        """What `question` gives of the store; StoreUnavailableError before it is open, QueryTimeoutError when late."""
        if self.store is None:
            raise StoreUnavailableError("the store has not answered yet")
        return await self.within(self._store_threads, partial(question, self.store), seconds)

    async def encode(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """What the encoder gives for pictures (count, 224, 224, 3)."""
        return await self.within(self._model_thread, partial(self.encoder_or_raise().encode, pixels))

    async def within(self, threads: Executor, call: Callable[[], _Answer], seconds: float | None = None) -> _Answer:
        """What `call` gives in one of the threads; QueryTimeoutError when late."""
        limit = seconds or self._seconds
        try:
            async with asyncio.timeout(limit):
                return await asyncio.get_running_loop().run_in_executor(threads, call)
        except TimeoutError as error:
            raise QueryTimeoutError(f"not answered within {limit:g} seconds") from error


class Attendant:
    """Opens the store, loads the encoder as soon as there is one, and keeps counting the visible images."""

    def __init__(
        self,
        backend: Backend,
        open_store: Callable[[], Store],
        load_encoder: Callable[[StoredEncoder], PictureEncoder],
        start_resident: "Callable[[Store, PictureEncoder], Resident] | None" = None,
        *,
        metrics: SearcherMetrics,
        now: Callable[[], datetime],
        window_months: int,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._backend = backend
        self._open_store = open_store
        self._load_encoder = load_encoder
        self._start_resident = start_resident
        self._metrics = metrics
        self._now = now
        self._window_months = window_months
        self._sleep = sleep
        self._log = structlog.get_logger()
        self._said: str | None = None

    async def attend(self) -> None:
        """Run until cancelled. ConfigurationError where the store or the encoder can't ever be used as configured."""
        while True:
            try:
                await self.look()
            except (DependencyUnavailableError, QueryTimeoutError) as error:
                self._say("dependency_away", str(error))
                await self._sleep(_LOOK_SECONDS)
            else:
                await self._sleep(_LOOK_SECONDS if self._backend.encoder is None else _COUNT_SECONDS)

    async def look(self) -> None:
        """One look: bring forward whatever is missing, count what is visible."""
        backend = self._backend
        if backend.store is None:
            backend.store = await asyncio.to_thread(self._open_store)
        if backend.encoder is None:
            await self._look_for_an_encoder()
        visible = Restriction(to_milliseconds(window_start(self._now(), self._window_months)))
        backend.visible_images = await backend.ask(lambda store: store.visible_count(visible))
        self._metrics.visible_images.set(backend.visible_images)
        if backend.encoder is not None:
            self._say("ready", backend.encoder.encoder_id)

    async def _look_for_an_encoder(self) -> None:
        active = await self._backend.ask(lambda store: store.active_encoder())
        if active is None:
            self._say("waiting_for_encoder", "no encoder is active; run `indexer fit`")
            return
        # Loading takes seconds (weights, a first batch), so it has no place under a query's time limit.
        self._backend.encoder = await asyncio.to_thread(self._load_encoder, active)
        if self._start_resident is not None and self._backend.store is not None:
            self._backend.resident = self._start_resident(self._backend.store, self._backend.encoder)
        self._metrics.encoder.labels(active.encoder_id).set(1)

    def _say(self, event: str, detail: str) -> None:
        """Log a change of state once, not at every look."""
        if event != self._said:
            self._said = event
            log = self._log.warning if event == "dependency_away" else self._log.info
            log(event, detail=detail)
