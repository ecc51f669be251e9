"""Ways to find the nearest images: one question, one kind of answer, and with each answer what it guarantees.

| strategy | where it looks | exact |
| --- | --- | --- |
| `resident` | the window's codes in this process's memory | yes |
| `flat` | the store compares every code | yes |
| `subcode` | the store compares the codes with a subcode near one of the query's (multi-index hashing) | yes |
| `hnsw` | a graph in the store | no |
| `auto` | `resident` where it can answer, `flat` otherwise | yes |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from searcher.resident.hamming_sum import HammingSum
from shared.errors import QueryInvalidError
from shared.store import Neighbour, Restriction


class StrategyName(StrEnum):
    """How a query is answered; `auto` chooses."""

    AUTO = "auto"
    RESIDENT = "resident"
    FLAT = "flat"
    SUBCODE = "subcode"
    HNSW = "hnsw"


@dataclass(frozen=True, slots=True)
class Query:
    """The `count` visible images of the least `distance`, none beyond `radius` (None: any distance).

    Of these, the ones up to the place `after` (distance, image id) are known already and need not be given.
    """

    encoder_id: str
    distance: HammingSum
    count: int
    radius: int | None
    restriction: Restriction
    after: tuple[int, str] | None = None

    @property
    def code(self) -> bytes:
        """The one code that is asked about; QueryInvalidError where several are weighed against each other."""
        if not self.distance.is_plain:
            raise QueryInvalidError("several seeds are compared in memory only: strategy `resident`")
        return self.distance.terms[0].code

    @property
    def reach(self) -> int:
        """The largest distance that is asked about, in bits, of a query with one code."""
        bits = len(self.code) * 8
        return bits if self.radius is None else min(self.radius, bits)


@dataclass(frozen=True, slots=True)
class Found:
    """The nearest images by (distance, image id), cut by the same order, and what that is worth.

    `exact_up_to`: every image at most so far away was compared, whatever the count cut off; None where nothing of the
    kind is known. `compared`: how many codes were. `as_of`: all that the store had acknowledged before is included.
    `complete` is False, with the `reason`, where images may be missing that should be here. `exhausted`: there are no
    more within the radius. `limit`: so many are given at most, however many were asked for; None where all are.
    """

    strategy: StrategyName
    neighbours: Sequence[Neighbour]
    exact_up_to: int | None
    compared: int
    as_of: datetime
    exhausted: bool
    complete: bool = True
    reason: str | None = None
    limit: int | None = None

    @property
    def exact(self) -> bool:
        """Whether these are just the images that a comparison with every code gives."""
        return self.complete and self.exact_up_to is not None


class Strategy(Protocol):
    """One way to find the nearest images."""

    async def nearest(self, query: Query) -> Found:
        """The answer; QueryInvalidError where it can't answer such a query, DependencyUnavailableError for now."""
