"""Fitting an encoder: a deterministic sample of the event source's pictures, embedded, and a binarizer fitted on them.

No consumer position is read or moved. The sample is the N image ids whose digests are smallest: the same events give
the same sample whatever their order or partition, and every image has the same chance. Embeddings are sorted by image
id before the fit, because the fit depends on the order of its rows.
"""

import asyncio
import hashlib
import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

import numpy as np
import structlog
from numpy.typing import NDArray

from indexer.catalogue_event import CatalogueEvent, parse
from indexer.pipeline_parts import PictureDecoder, PictureFetcher
from shared.document import Attributes
from shared.encoding.embedder import Embedder
from shared.errors import RejectedError
from shared.event_log import LogScanner
from shared.images.decoded import DecodedImage
from shared.settings import Settings

# How long the source must bring nothing new before a fit goes on with fewer pictures than it asked for.
SETTLE_SECONDS = 5.0
# Fetched and decoded at the same time: enough to keep the network and the decoders busy.
_PICTURES_AT_ONCE = 64

Position = tuple[str, int]
"""Partition and offset of a record."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Image ids in order, and in the same order their embeddings and fields.

    `embeddings` are float32 of shape (count, dimensions), `fields` the events' attributes and their `item_id`.
    """

    image_ids: list[str]
    embeddings: NDArray[np.float32]
    fields: list[Attributes]


@dataclass(frozen=True, slots=True)
class SamplerParts:
    """What sampling works with."""

    scanner: LogScanner
    fetcher: PictureFetcher
    decoder: PictureDecoder
    embedder: Embedder
    now: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    log: structlog.typing.FilteringBoundLogger
    scan_thread: Executor
    model_thread: Executor


async def draw_sample(parts: SamplerParts, settings: Settings, size: int, progress: Callable[[int], None]) -> Sample:
    """Embed the pictures of up to `size` images; waits for events where there are none.

    `progress` is told the number of pictures in each part that is done.
    """
    wanted = await _settled_choice(parts, settings, size)
    embeddings: dict[str, NDArray[np.float32]] = {}
    fields: dict[str, Attributes] = {}
    async for events in _events_at(parts, settings, wanted):
        embeddings |= await _embed(parts, events)
        fields |= {event.image_id: {**event.attributes, "item_id": event.item_id} for event in events}
        progress(len(events))
    image_ids = sorted(embeddings)
    rows = np.stack([embeddings[image_id] for image_id in image_ids]) if image_ids else np.empty((0, 0), np.float32)
    return Sample(image_ids, rows, [fields[image_id] for image_id in image_ids])


async def _settled_choice(parts: SamplerParts, settings: Settings, size: int) -> set[Position]:
    """Where the sampled events lie, once there are `size` or the source has been quiet."""
    loop = asyncio.get_running_loop()
    seen = -1
    said = False
    while True:
        found, wanted = await loop.run_in_executor(parts.scan_thread, _choose, parts, settings, size)
        if len(wanted) >= size or (wanted and found == seen):
            return wanted
        if not wanted and not said:
            parts.log.info("waiting_for_events", events_url=settings.events_url)
            said = True
        seen = found
        await parts.sleep(SETTLE_SECONDS)


def _choose(parts: SamplerParts, settings: Settings, size: int) -> tuple[int, set[Position]]:
    """Scan the source; gives the number of images that have a picture, and where the chosen ones' newest events lie.

    Only ids are kept: inline pictures of millions of events need no memory.
    """
    newest: dict[str, tuple[int, Position]] = {}
    for event, position in _pictures(parts, settings):
        version = event.resolved.version
        if event.image_id not in newest or version > newest[event.image_id][0]:
            newest[event.image_id] = (version, position)
    chosen = heapq.nsmallest(size, newest, key=lambda image_id: hashlib.sha256(image_id.encode()).digest())
    return len(newest), {newest[image_id][1] for image_id in chosen}


async def _events_at(
    parts: SamplerParts, settings: Settings, wanted: set[Position]
) -> AsyncIterator[list[CatalogueEvent]]:
    """The events at these positions, a few at a time, by a second scan."""
    events = (event for event, position in _pictures(parts, settings) if position in wanted)
    loop = asyncio.get_running_loop()
    while part := await loop.run_in_executor(parts.scan_thread, lambda: list(islice(events, _PICTURES_AT_ONCE))):
        yield part


def _pictures(parts: SamplerParts, settings: Settings) -> Iterator[tuple[CatalogueEvent, Position]]:
    for record in parts.scanner.scan():
        try:
            event = parse(record, parts.now(), settings.event_bytes_max)
        except RejectedError:
            continue  # The worker dead-letters it; a sample only leaves it out.
        if not event.deleted:
            yield event, (record.partition, record.offset)


async def _embed(parts: SamplerParts, events: list[CatalogueEvent]) -> dict[str, NDArray[np.float32]]:
    decoded = await asyncio.gather(*(_decode(parts, event) for event in events))
    usable = [(event, image) for event, image in zip(events, decoded, strict=True) if image is not None]
    if not usable:
        return {}
    pixels = np.stack([image.pixels for _, image in usable])
    rows = await asyncio.get_running_loop().run_in_executor(parts.model_thread, parts.embedder.embed, pixels)
    finite: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(rows), axis=1)
    return {event.image_id: row for (event, _), row, ok in zip(usable, rows, finite, strict=True) if ok}


async def _decode(parts: SamplerParts, event: CatalogueEvent) -> DecodedImage | None:
    try:
        content = event.image_bytes
        if content is None:
            content = await parts.fetcher.fetch(event.image_url or "")
        return await parts.decoder.decode(content, thumbnail=False)
    except RejectedError as error:
        parts.log.debug("sample_picture_left_out", image_id=event.image_id, reason=error.reason)
        return None
