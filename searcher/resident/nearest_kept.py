"""The rows of one slice that may be among the nearest of some queries, under bounds that all slices share."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from searcher.resident.measure import Measure
from searcher.resident.row_table import Rows

_HELD_MIN = 64

# Places of queries in their measure, rows, distances; each (found,).
_Found = tuple[Rows, Rows, NDArray[np.int64]]


class NearestKept:
    """Takes blocks in, and lowers `bounds` (queries,) to the `count`-th distance met wherever that is lower.

    Slices share `bounds` without a lock: each value ever written is a bound that holds, so a lost one costs time alone.
    """

    def __init__(self, measure: Measure, bounds: NDArray[np.int64], count: int) -> None:
        self._measure = measure
        self._bounds = bounds
        self._count = count
        self._found: list[_Found] = []
        self._held = 0
        self._held_max = self._held_usual = measure.queries * (2 * count + _HELD_MIN)

    def add(
        self,
        codes: NDArray[np.uint8],
        row_of: Callable[[Rows], Rows],
        mask_of: Callable[[Rows], NDArray[np.bool_] | None] | None,
    ) -> None:
        """Take in a block of codes. `row_of` gives the rows of places in it, `mask_of` which rows count (None: all)."""
        distances = self._measure.of(codes)
        places = np.flatnonzero(distances <= self._bounds.astype(distances.dtype)[:, None])
        if not len(places):
            return
        queries, columns = np.divmod(places, len(codes))
        rows = row_of(columns)
        near = distances.ravel()[places].astype(np.int64)
        mask = None if mask_of is None else mask_of(rows)
        if mask is not None:
            queries, rows, near = queries[mask], rows[mask], near[mask]
        self._found.append((queries, rows, near))
        self._held += len(rows)
        if self._held > self._held_max:
            self._lower()

    @staticmethod
    def joined(slices: Sequence["NearestKept"], bounds: NDArray[np.int64]) -> Iterator[tuple[Rows, NDArray[np.int64]]]:
        """For each query its rows of all slices within the bounds, and their distances."""
        queries, rows, distances = _within([part for kept in slices for part in kept._found], bounds)
        for query in range(len(bounds)):
            own = queries == query
            yield rows[own], distances[own]

    def _lower(self) -> None:
        found = queries, _, distances = _within(self._found, self._bounds)
        for query in range(len(self._bounds)):
            own = distances[queries == query]
            if len(own) >= self._count:
                last = np.partition(own, self._count - 1)[self._count - 1]
                self._bounds[query] = min(self._bounds[query], last)
        found = _within([found], self._bounds)
        self._found = [found]
        self._held = len(found[0])
        # Where so many tie that little could go, the next look comes when there are twice as many.
        self._held_max = max(self._held_usual, 2 * self._held)


def _within(parts: Sequence[_Found], bounds: NDArray[np.int64]) -> _Found:
    nothing = np.empty(0, np.int64)
    queries, rows, distances = (np.concatenate([nothing, *(part[column] for part in parts)]) for column in range(3))
    near = distances <= bounds[queries]
    return queries[near], rows[near], distances[near]
