"""A search: the seed becomes a code, the store gives the nearest visible images, and they become hits.

Knows neither HTTP nor files; `Searcher` is what the API, the page and the command line all call.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np

from searcher.backend import Backend
from searcher.cursors import HitCursor, decode_hit_cursor, encode_cursor
from searcher.feedback import weigh_bits
from searcher.folding import Folded, fold
from searcher.resident.hamming_sum import HammingSum, HammingTerm
from searcher.resident.index import ResidentImage
from searcher.stopwatch import Stopwatch
from searcher.strategies import Found, Query
from searcher.strategies.choosing import Strategies
from searcher.strategies.resident import NotResidentError
from searcher.wire import DEFAULT_K, Crop, Hit, SearchReply, SearchRequest, Seed, SeedCode, shown_time
from shared.document import Document
from shared.errors import ConfigurationError, ImageNotVisibleError, QueryInvalidError, RejectedError, RejectionReason
from shared.hash_code import from_hex
from shared.images.decoded import DecodedImage
from shared.metrics import SearcherMetrics
from shared.rolling_window import to_milliseconds, window_start
from shared.settings import Settings
from shared.store import Neighbour

_IMAGE_ID_BYTES_MAX = 512
# Where one hit may stand for several pictures, so many a hit are asked for; and four times more where that is short.
_PICTURES_PER_HIT = 4
# Hits of one reply where all within a radius are streamed.
_STREAM_HITS = 1000


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
class Page:
    """Hits, what they were found by, and the cursor of the page behind them."""

    found: Found
    hits: Sequence[Folded]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class ResolvedSeed:
    """A seed as a code of the active encoder; `preview` is a WebP thumbnail of its whole picture if asked for.

    `picture` has the bytes that it was made from, where it was made from a picture now.
    """

    code: bytes
    weight: int = 1
    preview: bytes | None = None
    picture: bytes | None = None


class Searcher:
    """Answers queries over the images that are visible when they are asked."""

    def __init__(self, parts: SearcherParts, settings: Settings) -> None:
        self._parts = parts
        self._backend = parts.backend
        self._settings = settings
        # Images that are left out of all hits.
        self.held_back = _ids_in(settings.hold_back_file)
        self.strategies = Strategies(parts.backend, parts.now)

    async def search(self, request: SearchRequest) -> SearchReply:
        """The hits of a query, by distance, then image id, cut by the same order.

        QueryInvalidError; ImageNotVisibleError; RejectedError where a seed's picture can't be fetched or decoded;
        DependencyUnavailableError and QueryTimeoutError where it may work later.
        """
        self.check(request)
        watch = Stopwatch()
        seeds = [await self.resolve(seed, watch) for seed in request.seeds]
        return await self.search_from(seeds, request, watch)

    async def stream(self, request: SearchRequest) -> AsyncIterator[SearchReply]:
        """All hits within the radius, in replies of some hits each; errors as of `search`, before the first reply."""
        watch = Stopwatch()
        seeds = [await self.resolve(seed, watch) for seed in request.seeds]
        page = request.model_copy(update={"k": min(_STREAM_HITS, self._settings.neighbours_max)})
        while True:
            reply = await self.search_from(seeds, page, watch)
            yield reply
            if reply.cursor is None:
                return
            page = page.model_copy(update={"cursor": reply.cursor})

    async def resolve(self, seed: Seed, watch: Stopwatch, *, preview: bool = False) -> ResolvedSeed:
        """The code of a seed; `watch` takes the times. Errors as of `search`."""
        if seed.image_id is not None:
            with watch.stage("seed"):
                return ResolvedSeed(await self._code_of_image(seed.image_id), seed.weight)
        if seed.code is not None:
            return ResolvedSeed(self._code_of_hex(seed.code, seed.encoder), seed.weight)
        self._backend.encoder_or_raise()
        with watch.stage("seed"):
            content = seed.image if seed.image is not None else await self._parts.fetcher.fetch(seed.url or "")
        with watch.stage("decode"):
            decoded = await self._parts.decoder.decode(content, thumbnail=preview, crop=seed.crop)
        with watch.stage("embed"):
            codes, finite = await self._backend.encode(decoded.pixels[np.newaxis])
        if not finite[0]:
            raise RejectedError(RejectionReason.EMBEDDING_NOT_FINITE, "the embedding has values that are not finite")
        return ResolvedSeed(codes[0].tobytes(), seed.weight, decoded.thumbnail, content)

    async def search_from(self, seeds: Sequence[ResolvedSeed], request: SearchRequest, watch: Stopwatch) -> SearchReply:
        """The hits of a query whose seeds are resolved already."""
        self.check(request)
        distance = distance_from(seeds, request)
        with watch.stage("nearest"):
            page = await self._nearest(distance, request)
        return self.reply(page, seeds, distance, watch)

    def reply(self, page: Page, seeds: Sequence[ResolvedSeed], distance: HammingSum, watch: Stopwatch) -> SearchReply:
        """What is found, as it is answered."""
        encoder, found, bounds = self._backend.encoder_or_raise(), page.found, distance.bounds
        reply = SearchReply(
            encoder=encoder.encoder_id,
            bits=encoder.bits,
            seeds=[SeedCode(code=one.code.hex(), encoder=encoder.encoder_id, weight=one.weight) for one in seeds],
            hits=Hit.all_of(page.hits, bounds),
            strategy=found.strategy,
            exact=found.exact,
            exact_up_to=found.exact_up_to,
            candidates=found.compared,
            as_of=shown_time(found.as_of),
            complete=found.complete,
            reason=found.reason,
            cursor=page.cursor,
            took_ms=watch.milliseconds(),
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

    def check(self, request: SearchRequest) -> None:
        """QueryInvalidError where more is asked for than this process allows."""
        if request.k is not None and request.k > self._settings.neighbours_max:
            raise QueryInvalidError(f"k is at most {self._settings.neighbours_max} here")

    async def _code_of_image(self, image_id: str) -> bytes:
        encoder = self._backend.encoder_or_raise()
        if (held := await self._in_memory(image_id)) is not None:
            return held.code
        document = await self.visible_document(image_id)
        if encoder.encoder_id not in document.codes:
            raise QueryInvalidError("this image has no code of the active encoder")
        return document.codes[encoder.encoder_id]

    def _code_of_hex(self, text: str, encoder_id: str | None) -> bytes:
        encoder = self._backend.encoder_or_raise()
        if encoder_id not in (None, encoder.encoder_id):
            raise QueryInvalidError("the code is of another encoder than the active one")
        return from_hex(text, encoder.bits)

    async def _in_memory(self, image_id: str) -> ResidentImage | None:
        """The image as it is in memory, where this process keeps the window there and the image is visible."""
        resident = self._backend.resident
        if resident is None or resident.follower.state.as_of is None:
            return None
        with suppress(NotResidentError):
            held = await resident.image(image_id)
            if held is not None and held.event_time_ms > self.visible_after_ms():
                return held
        return None

    async def _nearest(self, distance: HammingSum, request: SearchRequest) -> Page:
        """A page of hits behind the request's cursor."""
        after, k = _cursor_of(request), request.k or DEFAULT_K
        count = k + (0 if after is None else after.shown)
        if request.stands_for_several:
            count *= _PICTURES_PER_HIT
        while True:
            found = await self.strategies.nearest(request.strategy, self.query(distance, count, request, after))
            page = page_of(found, await self._chosen(found.neighbours, request), k, after)
            if len(page.hits) == k or found.exhausted or not found.complete:
                return page
            if found.limit is not None and count >= found.limit:
                reason = f"the store gives the nearest {found.limit} pictures only"
                return replace(page, found=replace(found, complete=False, reason=reason))
            count *= _PICTURES_PER_HIT

    async def _chosen(self, neighbours: Sequence[Neighbour], request: SearchRequest) -> list[Folded]:
        """The neighbours that may be hits, near-duplicates folded."""
        chosen = neighbours
        if self.held_back:
            chosen = [one for one in neighbours if one.document.image_id not in self.held_back]
        if request.group_by_item:
            chosen = _best_of_each_item(chosen)
        if request.fold_radius is None:
            return [Folded(one) for one in chosen]
        encoder_id = self._backend.encoder_or_raise().encoder_id
        codes = {one.document.image_id: one.document.codes.get(encoder_id) for one in chosen}
        # From memory, documents come with their codes.
        lacking = [image_id for image_id, code in codes.items() if code is None]
        if lacking:
            documents = await self._backend.ask(lambda store: store.documents(lacking))
            codes |= {image_id: one.codes.get(encoder_id) for image_id, one in documents.items()}
        return fold(chosen, codes, request.fold_radius)

    def query(self, distance: HammingSum, count: int, request: SearchRequest, after: HitCursor | None = None) -> Query:
        """What a strategy is asked."""
        encoder_id = self._backend.encoder_or_raise().encoder_id
        restriction = request.restriction(self.visible_after_ms())
        # Where a hit stands for several pictures, those before decide which ones it stands for.
        known = after is not None and not request.stands_for_several
        place = (after.distance, after.image_id) if after is not None and known else None
        return Query(encoder_id, distance, count, request.radius, restriction, place)

    def _observe(self, reply: SearchReply) -> None:
        for stage, milliseconds in reply.took_ms.items():
            self._parts.metrics.query_seconds.labels(stage).observe(milliseconds / 1000)
        if not reply.complete:
            self._parts.metrics.incomplete.inc()


def page_of(found: Found, chosen: Sequence[Folded], k: int, after: HitCursor | None = None) -> Page:
    """The first `k` of the chosen that lie behind the cursor, and the cursor behind these where there are more."""
    hits = [one for one in chosen if after is None or _place(one) > (after.distance, after.image_id)][:k]
    if len(hits) < k or (found.exhausted and hits[-1] is chosen[-1]):
        return Page(found, hits)
    shown = k + (0 if after is None else after.shown)
    return Page(found, hits, encode_cursor(HitCursor(*_place(hits[-1]), shown)))


def distance_from(seeds: Sequence[ResolvedSeed], request: SearchRequest) -> HammingSum:
    """How far an image is from all of the seeds; QueryInvalidError where they say nothing together."""
    if len(seeds) == 1:
        return HammingSum.plain(seeds[0].code)
    if request.combine == "bits":
        wanted, unwanted = (
            np.array([list(one.code) for one in seeds if (one.weight > 0) is positive], dtype=np.uint8)
            for positive in (True, False)
        )
        return weigh_bits(wanted, unwanted.reshape(-1, wanted.shape[1]))
    return HammingSum(tuple(HammingTerm(one.weight, one.code) for one in seeds))


def _ids_in(path: Path | None) -> frozenset[str]:
    try:
        return frozenset() if path is None else frozenset(filter(None, path.read_text().splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"CATALOGUE_HOLD_BACK_FILE: {path}: {error}") from error


def _cursor_of(request: SearchRequest) -> HitCursor | None:
    try:
        return None if request.cursor is None else decode_hit_cursor(request.cursor)
    except ValueError as error:
        raise QueryInvalidError("the cursor is not one of a reply") from error


def _place(hit: Folded) -> tuple[int, str]:
    return hit.neighbour.distance, hit.neighbour.document.image_id


def _best_of_each_item(neighbours: Sequence[Neighbour]) -> list[Neighbour]:
    """The first, which is the nearest, picture of each item, in order."""
    best: dict[str, Neighbour] = {}
    for neighbour in neighbours:
        best.setdefault(neighbour.document.item_id or neighbour.document.image_id, neighbour)
    return list(best.values())
