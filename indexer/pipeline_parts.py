"""What the pipeline works with; `indexer.running`, the simulator and the tests put it together."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from indexer.patience import Patience
from indexer.watching import Watching
from shared.event_log import LogWriter
from shared.images.decoded import DecodedImage
from shared.metrics import IndexerMetrics
from shared.store import Store


class PictureFetcher(Protocol):
    """Gives the bytes behind a URL of an event."""

    async def fetch(self, url: str) -> bytes:
        """The bytes; RejectedError where they can't be had."""


class PictureDecoder(Protocol):
    """Decodes picture bytes."""

    async def decode(
        self, content: bytes, *, thumbnail: bool, crop: tuple[float, float, float, float] | None = None
    ) -> DecodedImage:
        """The decoded picture; RejectedError where it can't be decoded."""


class PictureEncoder(Protocol):
    """Turns decoded pictures into hash codes."""

    @property
    def encoder_id(self) -> str:
        """The name that its codes are stored under."""

    @property
    def batch_size(self) -> int:
        """How many pictures it works on at once."""

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Codes (count, bits / 8) of pictures (count, 224, 224, 3), and which rows came from a finite embedding."""


@dataclass(frozen=True, slots=True)
class PipelineParts:
    """The surroundings of a pipeline."""

    store: Store
    fetcher: PictureFetcher
    decoder: PictureDecoder
    encoder: PictureEncoder
    dead_letters: LogWriter
    patience: Patience
    metrics: IndexerMetrics
    now: Callable[[], datetime]
    store_threads: Executor
    """Look-ups and writes run here, at the same time."""
    model_thread: Executor
    """One thread: an embedder is not thread-safe."""
    dead_letter_thread: Executor
    """Dead letters and retries are appended here; of each log one call at a time, whatever the threads."""
    retries: LogWriter | None = None
    """None: no fetch is tried again later."""
    watching: Watching | None = None
    """None: nobody watches."""
