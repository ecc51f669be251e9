"""All pairs of near-duplicates, on the caller's thread and one beside the queries."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from searcher.resident.pair_join import Progress, near_pairs
from searcher.resident.row_table import Rows
from shared import hamming_scan

__all__ = ["DistinctCodes", "PairJob", "Progress", "pairs_within"]


@dataclass(frozen=True, slots=True)
class PairJob:
    """Copies of the codes (count, bytes), the rows they came from (count,), and those rows' ids as they were then."""

    codes: NDArray[np.uint8]
    rows: Rows
    id_of: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class DistinctCodes:
    """Each code once, and the places where it was: equal ones, which may be very many, are not compared.

    `np.diff(edges)` says how often each code was there.
    """

    codes: NDArray[np.uint8]
    _places: NDArray[np.int64]
    edges: NDArray[np.int64]

    @classmethod
    def of(cls, codes: NDArray[np.uint8]) -> "DistinctCodes":
        """Those of `codes` (count, bytes)."""
        if not len(codes):
            return cls(codes, np.empty(0, np.int64), np.zeros(1, np.int64))
        whole = np.ascontiguousarray(codes).view(f"V{codes.shape[1]}").ravel()
        order = np.argsort(whole, kind="stable")
        new = np.flatnonzero(np.concatenate([[True], whole[order][1:] != whole[order][:-1]]))
        return cls(codes[order[new]], order, np.append(new, len(codes)))

    def places(self, distinct: int) -> list[int]:
        """Where this code was, ascending."""
        found: list[int] = self._places[self.edges[distinct] : self.edges[distinct + 1]].tolist()
        return found

    def repeated(self) -> list[int]:
        """The codes that were at several places."""
        found: list[int] = np.flatnonzero(np.diff(self.edges) > 1).tolist()
        return found


def pairs_within(job: PairJob, radius: int, progress: Progress | None) -> Iterator[tuple[int, str, str]]:
    """Each pair at most `radius` bits apart once, as (distance, id, later id); `progress` is told (done, all)."""

    def named(distance: int, left: int, right: int) -> tuple[int, str, str]:
        one, other = sorted((job.id_of(int(job.rows[left])), job.id_of(int(job.rows[right]))))
        return distance, one, other

    distinct, count = DistinctCodes.of(job.codes), len(job.codes)
    for code in distinct.repeated():
        for left, right in combinations(distinct.places(code), 2):
            yield named(0, left, right)
    with hamming_scan.workers(1) as thread:
        tell = None if progress is None else lambda done, of: progress(count * done // max(1, of), count)
        for near in near_pairs(distinct.codes, radius, thread, tell):
            found = zip(near.lefts.tolist(), near.rights.tolist(), near.distances.tolist(), strict=True)
            for left_code, right_code, distance in found:
                for left, right in product(distinct.places(left_code), distinct.places(right_code)):
                    yield named(distance, left, right)
