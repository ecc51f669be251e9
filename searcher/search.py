"""A search: the seed becomes a code, the store gives the nearest visible images, and they become hits.

Knows neither HTTP nor files; `Searcher` is what the API, the page and the command line all call.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import numpy as np

from searcher.backend import Backend
from searcher.wire import Crop, Hit, SearchReply, SearchRequest, Seed, SeedCode
from shared.document import Document
from shared.errors import ImageNotVisibleError, QueryInvalidError, RejectedError, RejectionReason
from shared.hash_code import from_hex
from shared.images.decoded import DecodedImage
from shared.metrics import SearcherMetrics
from shared.rolling_window import to_milliseconds, window_start
from shared.settings import Settings
from shared.store import NEIGHBOURS_MAX, Neighbour, Neighbours, Restriction

_IMAGE_ID_BYTES_MAX = 512
# A query grouped by item asks at first for so many pictures an item, and each time it falls short for four times more.
_PICTURES_PER_ITEM = 4


class PictureFetcher(Protocol):
    """Gives the bytes behind a URL (http and https only)."""

    async def fetch(self, url: str) -> bytes:
        """The bytes; RejectedError where they can't be had."""


class PictureDecoder(Protocol):
    """Decodes picture bytes."""

    async def decode(self, content: bytes, *, thumbnail: bool, crop: Crop | None = None) -> DecodedImage:
        """The decoded picture; RejectedError where it can't be decoded."""


@dataclass(frozen=True, slots=True)
class SearcherParts:
    """What a searcher works with; `serving`, `querying` and the tests put it together."""

    backend: Backend
    fetcher: PictureFetcher
    decoder: PictureDecoder
    metrics: SearcherMetrics
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class ResolvedSeed:
    """A seed as a code of the active encoder.

    `preview` is a WebP thumbnail of the seed's whole picture where one was asked for; `watch` holds the times so far.
    """

    code: bytes
    watch: "Stopwatch"
    preview: bytes | None = None


class Searcher:
    """Answers queries over the images that are visible when they are asked."""

    def __init__(self, parts: SearcherParts, settings: Settings) -> None:
        self._parts = parts
        self._backend = parts.backend
        self._settings = settings

    async def search(self, request: SearchRequest) -> SearchReply:
        """The hits of a query, by distance, then image id, cut by the same order.

        QueryInvalidError; ImageNotVisibleError; RejectedError where the seed's picture can't be fetched or decoded;
        DependencyUnavailableError and QueryTimeoutError where it may work later.
        """
        self._check(request)
        return await self.search_from(await self.resolve(request.seeds[0]), request)

    async def resolve(self, seed: Seed, *, preview: bool = False) -> ResolvedSeed:
        """The code of a seed; errors as of `search`."""
        watch = Stopwatch()
        if seed.image_id is not None:
            with watch.stage("seed"):
                return ResolvedSeed(await self._code_of_image(seed.image_id), watch)
        if seed.code is not None:
            return ResolvedSeed(self._code_of_hex(seed.code, seed.encoder), watch)
        self._backend.encoder_or_raise()
        with watch.stage("seed"):
            content = seed.image if seed.image is not None else await self._parts.fetcher.fetch(seed.url or "")
        with watch.stage("decode"):
            decoded = await self._parts.decoder.decode(content, thumbnail=preview, crop=seed.crop)
        with watch.stage("embed"):
            codes, finite = await self._backend.encode(decoded.pixels[np.newaxis])
        if not finite[0]:
            raise RejectedError(RejectionReason.EMBEDDING_NOT_FINITE, "the embedding has values that are not finite")
        return ResolvedSeed(codes[0].tobytes(), watch, decoded.thumbnail)

    async def search_from(self, seed: ResolvedSeed, request: SearchRequest) -> SearchReply:
        """The hits of a query whose seed is resolved already."""
        self._check(request)
        encoder = self._backend.encoder_or_raise()
        restriction = request.restriction(self.visible_after_ms())
        with seed.watch.stage("nearest"):
            found = await self._nearest(seed.code, request, restriction)
        reply = SearchReply(
            encoder=encoder.encoder_id,
            bits=encoder.bits,
            seed=SeedCode(code=seed.code.hex(), encoder=encoder.encoder_id),
            hits=[Hit.near(neighbour, encoder.bits) for neighbour in found.neighbours],
            complete=found.complete,
            reason=found.reason,
            took_ms=seed.watch.milliseconds(),
        )
        self._observe(reply)
        return reply

    async def visible_document(self, image_id: str) -> Document:
        """The document of a visible image; ImageNotVisibleError otherwise."""
        if len(image_id.encode()) > _IMAGE_ID_BYTES_MAX:
            raise ImageNotVisibleError("no image id is so long")
        found = await self._backend.ask(lambda store: store.documents([image_id]))
        document = found.get(image_id)
        if document is None or not document.visible(self.visible_after_ms()):
            raise ImageNotVisibleError("no visible image has this id")
        return document

    def visible_after_ms(self) -> int:
        """The window's start now, in milliseconds since the epoch, exclusive."""
        return to_milliseconds(window_start(self._parts.now(), self._settings.window_months))

    def _check(self, request: SearchRequest) -> None:
        if request.k > self._settings.neighbours_max:
            raise QueryInvalidError(f"k is at most {self._settings.neighbours_max} here")

    async def _code_of_image(self, image_id: str) -> bytes:
        encoder = self._backend.encoder_or_raise()
        document = await self.visible_document(image_id)
        if encoder.encoder_id not in document.codes:
            raise QueryInvalidError("this image has no code of the active encoder")
        return document.codes[encoder.encoder_id]

    def _code_of_hex(self, text: str, encoder_id: str | None) -> bytes:
        encoder = self._backend.encoder_or_raise()
        if encoder_id not in (None, encoder.encoder_id):
            raise QueryInvalidError("the code is of another encoder than the active one")
        return from_hex(text, encoder.bits)

    async def _nearest(self, code: bytes, request: SearchRequest, restriction: Restriction) -> Neighbours:
        if not request.group_by_item:
            return await self._ask_nearest(code, request.k, request.radius, restriction)
        count = min(NEIGHBOURS_MAX, request.k * _PICTURES_PER_ITEM)
        while True:
            found = await self._ask_nearest(code, count, request.radius, restriction)
            best = _best_of_each_item(found.neighbours)[: request.k]
            if len(best) == request.k or len(found.neighbours) < count or not found.complete:
                return Neighbours(best, found.complete, found.reason)
            if count == NEIGHBOURS_MAX:
                return Neighbours(best, False, f"the nearest {NEIGHBOURS_MAX} pictures show {len(best)} items only")
            count = min(NEIGHBOURS_MAX, count * 4)

    async def _ask_nearest(self, code: bytes, count: int, radius: int | None, restriction: Restriction) -> Neighbours:
        encoder_id = self._backend.encoder_or_raise().encoder_id
        return await self._backend.ask(lambda store: store.nearest(encoder_id, code, count, radius, restriction))

    def _observe(self, reply: SearchReply) -> None:
        for stage, milliseconds in reply.took_ms.items():
            self._parts.metrics.query_seconds.labels(stage).observe(milliseconds / 1000)
        if not reply.complete:
            self._parts.metrics.incomplete.inc()


def _best_of_each_item(neighbours: Sequence[Neighbour]) -> list[Neighbour]:
    """The first, which is the nearest, picture of each item, in order."""
    best: dict[str, Neighbour] = {}
    for neighbour in neighbours:
        best.setdefault(neighbour.document.item_id or neighbour.document.image_id, neighbour)
    return list(best.values())


@dataclass(slots=True)
class Stopwatch:
    """Seconds of each stage since it was made, and of all together."""

    began: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times the `with` block as a stage."""
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began

    def milliseconds(self) -> dict[str, float]:
        """Every stage, and the total so far."""
        total = time.perf_counter() - self.began
        return {stage: round(seconds * 1000, 3) for stage, seconds in {**self.seconds, "total": total}.items()}
