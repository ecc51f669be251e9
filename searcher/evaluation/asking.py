"""Queries through the real searcher, over the codes of the store in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import datetime
from threading import Event

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from searcher.backend import Backend
from searcher.batch import search_batch
from searcher.evaluation.collection import Picture
from searcher.evaluation.ranking import Ranking, from_hits
from searcher.evaluation.task import Task
from searcher.querying import NamedEncoder
from searcher.resident.follower import Follower
from searcher.resident.index import ResidentIndex, usable_cores
from searcher.search import Searcher, SearcherParts
from searcher.strategies.resident import Resident
from searcher.wire import SearchReply, SearchRequest, Seed
from shared.encoding.encoder import load_encoder
from shared.errors import CatalogueError, ConfigurationError, StoreUnavailableError
from shared.images.decoder import DecoderPool
from shared.images.fetcher import Fetcher, FetchLimits
from shared.images.picture import DecodeLimits
from shared.metrics import SearcherMetrics
from shared.settings import Settings
from shared.store.opening import open_store

_QUERIES_AT_ONCE = 64


def rank_by_code(
    task: Task, settings: Settings, k: int, now: Callable[[], datetime], advance: Callable[[int], None]
) -> Ranking:
    """The hits of the task's queries in the store's index; `advance` is told how many are answered.

    Indexed queries are asked by their ids and left out of their own hits, others by the bytes of their pictures.
    Errors as of `Searcher.search`.
    """
    return asyncio.run(_rank(task, settings, k, now, advance))


async def _rank(
    task: Task, settings: Settings, k: int, now: Callable[[], datetime], advance: Callable[[int], None]
) -> Ranking:
    # One more for the query itself, and one to see whether the cut goes through a tie.
    depth = k + 1 + task.leaves_one_out
    if depth > settings.neighbours_max:
        raise ConfigurationError(f"CATALOGUE_NEIGHBOURS_MAX: must be {depth} at least for hits down to rank {k}")
    places = {picture.image_id: place for place, picture in enumerate(task.gallery)}
    hits: list[list[tuple[float, int]]] = []
    codes: list[bytes] = []
    by_id = bool((task.own >= 0).all())
    async with searcher_in_memory(settings, now, by_id=by_id) as (parts, index):
        searcher = Searcher(parts, settings)
        for start in range(0, len(task.queries), _QUERIES_AT_ONCE):
            queries = task.queries[start : start + _QUERIES_AT_ONCE]
            own = task.own[start : start + _QUERIES_AT_ONCE].tolist()
            requests = [_request(*one, depth) for one in zip(queries, own, strict=True)]
            for reply, itself in zip(_replies(await search_batch(searcher, requests)), own, strict=True):
                found = [(float(hit.distance), places[hit.image_id]) for hit in reply.hits if hit.image_id in places]
                hits.append([hit for hit in found if hit[1] != itself])
                codes.append(bytes.fromhex(reply.seeds[0].code))
            advance(len(queries))
        gallery = _gallery_codes(task.gallery, index)
    tied = [len(found) > k and found[k][0] == found[k - 1][0] for found in hits]
    return Ranking(*from_hits(hits, k), np.array(tied, np.bool_), _rows(codes), gallery)


def _request(picture: Picture, own: int, depth: int) -> SearchRequest:
    seed = Seed(image_id=picture.image_id) if own >= 0 else Seed(image=picture.path.read_bytes())
    return SearchRequest(seeds=[seed], k=depth)


def _replies(answers: Sequence[SearchReply | CatalogueError]) -> list[SearchReply]:
    replies = []
    for answer in answers:
        if isinstance(answer, CatalogueError):
            raise answer
        if not answer.complete:
            raise StoreUnavailableError(f"a reply is not complete: {answer.reason}")
        replies.append(answer)
    return replies


def _gallery_codes(gallery: Sequence[Picture], index: ResidentIndex) -> NDArray[np.uint8]:
    images = [index.image(picture.image_id) for picture in gallery]
    if missing := sum(image is None for image in images):
        raise ConfigurationError(f"{missing} pictures are not in the index; `indexer dead-letters list` tells why")
    return _rows([image.code for image in images if image is not None])


def _rows(codes: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(codes), np.uint8).reshape(len(codes), -1)


@asynccontextmanager
async def searcher_in_memory(
    settings: Settings, now: Callable[[], datetime], *, by_id: bool = False
) -> AsyncIterator[tuple[SearcherParts, ResidentIndex]]:
    """The parts of a searcher with all codes of the store in memory, as they are now.

    `by_id`: it will be asked by image ids alone, so no network is loaded.
    """
    async with AsyncExitStack() as stack:
        store = stack.enter_context(closing(open_store(settings)))
        stored = store.active_encoder()
        if stored is None:
            raise ConfigurationError("no encoder is active")
        threads = stack.enter_context(ThreadPoolExecutor(2))
        backend = Backend(threads, stack.enter_context(ThreadPoolExecutor(1)), settings.search_seconds)
        named = NamedEncoder(stored.encoder_id, stored.bits)
        backend.store, backend.encoder = store, named if by_id else load_encoder(stored, settings)
        index = stack.enter_context(closing(ResidentIndex(stored.bits, settings.resident_bytes_max)))
        follower = Follower(
            index,
            lambda: store.follow(stored.encoder_id, terms=False),
            now,
            window_months=settings.window_months,
            poll_seconds=settings.resident_poll_seconds,
        )
        stop = Event()
        # Nothing changes any more, so it stops at its first wait, which is when it has caught up.
        await asyncio.to_thread(follower.run, stop, lambda _: stop.set())
        if follower.state.as_of is None:
            raise StoreUnavailableError(f"the codes can't be read: {follower.state.detail}")
        backend.resident = Resident(backend, index, follower, threads)
        fetcher = await stack.enter_async_context(Fetcher(FetchLimits.of(settings)))
        decoder = await stack.enter_async_context(DecoderPool(DecodeLimits.of(settings, usable_cores())))
        parts = SearcherParts(backend, fetcher, decoder, SearcherMetrics(CollectorRegistry()), now)
        yield parts, index
