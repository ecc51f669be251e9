"""The strategies that ask the store: it compares every code, or it walks a graph."""

from collections.abc import Callable
from datetime import datetime, timedelta

from searcher.backend import Backend
from searcher.strategies import Found, Query, StrategyName
from shared.store import NEIGHBOURS_MAX, Neighbours


class Flat:
    """The store compares every code that the restriction lets through."""

    def __init__(self, backend: Backend, now: Callable[[], datetime]) -> None:
        self._backend = backend
        self._now = now

    async def nearest(self, query: Query) -> Found:
        code, as_of = query.code, searchable_since(self._backend, self._now())
        found = await self._backend.ask(
            lambda store: store.nearest(query.encoder_id, code, count_of(query), query.radius, query.restriction)
        )
        return found_in_store(StrategyName.FLAT, query, found, query.reach, as_of)


class Hnsw:
    """The store walks a graph of near codes: quick, and it may miss some."""

    def __init__(self, backend: Backend, now: Callable[[], datetime]) -> None:
        self._backend = backend
        self._now = now

    async def nearest(self, query: Query) -> Found:
        code, as_of = query.code, searchable_since(self._backend, self._now())
        found = await self._backend.ask(
            lambda store: store.approximately_nearest(
                query.encoder_id, code, count_of(query), query.radius, query.restriction
            )
        )
        return found_in_store(StrategyName.HNSW, query, found, None, as_of)


def searchable_since(backend: Backend, now: datetime) -> datetime:
    """What was acknowledged before this is among what a search of the store that begins now sees."""
    seconds = 0.0 if backend.store is None else backend.store.searchable_after_seconds
    return now - timedelta(seconds=seconds)


def count_of(query: Query) -> int:
    """How many a store can be asked for."""
    return min(query.count, NEIGHBOURS_MAX)


def found_in_store(
    strategy: StrategyName, query: Query, found: Neighbours, exact_up_to: int | None, as_of: datetime
) -> Found:
    """What a store gave for `count_of(query)`."""
    return Found(
        strategy,
        found.neighbours,
        exact_up_to if found.complete else None,
        found.compared,
        as_of,
        exhausted=len(found.neighbours) < count_of(query),
        complete=found.complete,
        reason=found.reason,
        limit=NEIGHBOURS_MAX,
    )
