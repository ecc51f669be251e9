"""The strategies that ask the store: it compares every code, or it walks a graph."""

from collections.abc import Callable
from datetime import datetime, timedelta

from searcher.backend import Backend
from searcher.strategies import Found, Query, StrategyName
from shared.store import NEIGHBOURS_MAX


class Flat:
    """The store compares every code that the restriction lets through."""

    def __init__(self, backend: Backend, now: Callable[[], datetime]) -> None:
        self._backend = backend
        self._now = now

    async def nearest(self, query: Query) -> Found:
        code, count = query.code, min(query.count, NEIGHBOURS_MAX)
        as_of = searchable_since(self._backend, self._now())
        found = await self._backend.ask(
            lambda store: store.nearest(query.encoder_id, code, count, query.radius, query.restriction)
        )
        return Found(
            StrategyName.FLAT,
            found.neighbours,
            query.reach if found.complete else None,
            found.compared,
            as_of,
            exhausted=len(found.neighbours) < count,
            complete=found.complete,
            reason=found.reason,
        )


class Hnsw:
    """The store walks a graph of near codes: quick, and it may miss some."""

    def __init__(self, backend: Backend, now: Callable[[], datetime]) -> None:
        self._backend = backend
        self._now = now

    async def nearest(self, query: Query) -> Found:
        code, count = query.code, min(query.count, NEIGHBOURS_MAX)
        as_of = searchable_since(self._backend, self._now())
        found = await self._backend.ask(
            lambda store: store.approximately_nearest(query.encoder_id, code, count, query.radius, query.restriction)
        )
        return Found(
            StrategyName.HNSW,
            found.neighbours,
            None,
            found.compared,
            as_of,
            exhausted=len(found.neighbours) < count,
            complete=found.complete,
            reason=found.reason,
        )


def searchable_since(backend: Backend, now: datetime) -> datetime:
    """What was acknowledged before this is among what a search of the store that begins now sees."""
    seconds = 0.0 if backend.store is None else backend.store.searchable_after_seconds
    return now - timedelta(seconds=seconds)
