"""`searcher query`: the same search from the command line."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from searcher.backend import Backend, PictureEncoder
from searcher.problems import problem_of_fields
from searcher.search import Searcher, SearcherParts
from searcher.strategies import StrategyName
from searcher.wire import SearchReply, SearchRequest, Seed
from shared.encoding.encoder import load_encoder
from shared.errors import ConfigurationError, QueryInvalidError
from shared.images.decoder import DecoderPool
from shared.images.fetcher import Fetcher, FetchLimits
from shared.images.picture import DecodeLimits
from shared.metrics import SearcherMetrics
from shared.settings import Settings
from shared.store import StoredEncoder
from shared.store.opening import open_store
from shared.terminal import cell


def build_request(
    *,
    image: Path | None = None,
    image_id: str | None = None,
    url: str | None = None,
    code: str | None = None,
    k: int | None = None,
    radius: int | None = None,
    filters: Sequence[str] = (),
    strategy: StrategyName = StrategyName.FLAT,
) -> SearchRequest:
    """The search that a command line asks for; `filters` are "name=value". QueryInvalidError says what is wrong."""
    chosen: dict[str, list[str]] = {}
    for text in filters:
        name, equals, value = text.partition("=")
        if not equals:
            raise QueryInvalidError(f"a filter is written name=value, not {text}")
        chosen.setdefault(name, []).append(value)
    seed = {"image": _read(image), "image_id": image_id, "url": url, "code": code}
    try:
        return SearchRequest.model_validate(
            {"seeds": [seed], "k": k, "radius": radius, "filter": chosen, "strategy": strategy}
        )
    except ValidationError as error:
        raise QueryInvalidError(problem_of_fields(error.errors()).detail) from error


async def run_query(settings: Settings, request: SearchRequest) -> SearchReply:
    """The reply that the HTTP API gives. Raises as `Searcher.search`; ConfigurationError where no encoder is active."""
    async with AsyncExitStack() as stack:
        store = stack.enter_context(closing(open_store(settings)))
        stored = store.active_encoder()
        if stored is None:
            raise ConfigurationError("no encoder is active; run `indexer fit` first")
        backend = Backend(
            stack.enter_context(ThreadPoolExecutor(1)),
            stack.enter_context(ThreadPoolExecutor(1)),
            settings.search_seconds,
        )
        backend.store = store
        backend.encoder = _encoder_for(request.seeds[0], stored, settings)
        fetcher = await stack.enter_async_context(Fetcher(FetchLimits.of(settings)))
        decoder = DecoderPool(DecodeLimits.of(settings, 1))
        stack.push_async_callback(decoder.close)
        metrics = SearcherMetrics(CollectorRegistry())
        parts = SearcherParts(backend, fetcher, decoder, metrics, lambda: datetime.now(UTC))
        return await _all_hits(Searcher(parts, settings), request)


async def _all_hits(searcher: Searcher, request: SearchRequest) -> SearchReply:
    if not request.streams:
        return await searcher.search(request)
    replies = [reply async for reply in searcher.stream(request)]
    hits = [hit for reply in replies for hit in reply.hits]
    return replies[-1].model_copy(update={"hits": hits, "complete": all(reply.complete for reply in replies)})


def print_reply(reply: SearchReply, console: Console) -> None:
    """The hits as a table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("bits", "similarity"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("date", no_wrap=True)
    for heading in ("image id", "item id", "title"):
        table.add_column(heading, overflow="fold")
    for hit in reply.hits:
        title = hit.attributes.get("title", "")
        cells = (str(hit.distance), f"{hit.similarity:.3f}", hit.event_time[:10], hit.image_id, hit.item_id, str(title))
        table.add_row(*map(cell, cells))
    console.print(table)
    took = f"{len(reply.hits)} hits in {reply.took_ms['total']:.0f} ms"
    how = f"{reply.strategy}, {'exact' if reply.exact else 'not exact'}, {reply.candidates} codes compared"
    missing = "" if reply.complete else f"; not complete: {reply.reason}"
    console.print(Text(f"{took} ({how}), encoder {reply.encoder}{missing}", style="dim"))


def _read(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as error:
        raise QueryInvalidError(f"{path}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class NamedEncoder:
    """Stands for an encoder where the code is known: loading weights for a search by id would take seconds."""

    encoder_id: str
    bits: int

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Never asked."""
        raise AssertionError("a search by id or code encodes nothing")


def _encoder_for(seed: Seed, stored: StoredEncoder, settings: Settings) -> PictureEncoder:
    if seed.image_id is not None or seed.code is not None:
        return NamedEncoder(stored.encoder_id, stored.bits)
    return load_encoder(stored, settings)
