"""Which strategy answers a query."""

from collections.abc import Callable
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
        return await self._choose(name, query).nearest(query)

    def resident(self) -> Resident:
        """The codes in memory; NotResidentError where this process keeps none."""
        resident = self._backend.resident
        if resident is None:
            raise NotResidentError("the codes are not kept in memory (CATALOGUE_RESIDENT), or not yet")
        return resident

    def _choose(self, name: StrategyName, query: Query) -> Strategy:
        if name is StrategyName.AUTO:
            resident = self._backend.resident
            if resident is not None and resident.can_answer(query):
                return resident
            return self._stored[StrategyName.FLAT] if query.distance.is_plain else self.resident()
        return self.resident() if name is StrategyName.RESIDENT else self._stored[name]
