"""Which strategy answers a query."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from searcher.backend import Backend
from searcher.strategies import Found, Query, Strategy, StrategyName
from searcher.strategies.resident import NotResidentError, Resident
from searcher.strategies.stored import Flat, Hnsw
from searcher.strategies.subcode import Subcode


class Strategies:
    """Answers a query by the strategy that it names.

    `auto`: `resident` once the codes are in memory, where the query's filters are on fields that are kept there; `flat`
    otherwise.
    """

    def __init__(self, backend: Backend, now: Callable[[], datetime]) -> None:
        self._backend = backend
        self._stored: dict[StrategyName, Strategy] = {
            StrategyName.FLAT: Flat(backend, now),
            StrategyName.SUBCODE: Subcode(backend, now),
            StrategyName.HNSW: Hnsw(backend, now),
        }

    async def nearest(self, name: StrategyName, query: Query) -> Found:
        """The answer; errors as of `Strategy.nearest`."""
        if name is StrategyName.AUTO:
            return await self._automatically(query)
        return await (self.resident() if name is StrategyName.RESIDENT else self._stored[name]).nearest(query)

    def resident(self) -> Resident:
        """The codes in memory; NotResidentError where this process keeps none."""
        resident = self._backend.resident
        if resident is None:
            raise NotResidentError("the codes are not kept in memory (CATALOGUE_RESIDENT), or not yet")
        return resident

    async def _automatically(self, query: Query) -> Found:
        resident = self._backend.resident
        if not query.distance.is_plain:
            # The store compares with one code at a time.
            return await self.resident().nearest(query)
        if resident is not None and resident.can_answer(query):
            with suppress(NotResidentError):
                return await resident.nearest(query)
        return await self._stored[StrategyName.FLAT].nearest(query)
