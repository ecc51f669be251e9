"""The rows of one slice that may be among the nearest of some queries, under bounds that all slices share."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from searcher.resident.measure import Distances, Found, Measure
from searcher.resident.row_table import Rows

RowOf = Callable[[Rows], Rows]
MaskOf = Callable[[Rows], NDArray[np.bool_] | None]

_HELD_MIN = 64
_SPAN_MAX = 1 << 14
_LARGEST = int(np.iinfo(np.int64).max)


class NearestKept:
    """Takes blocks in, and lowers `bounds` (queries,) to the `count`-th distance met wherever that is lower.

    Slices share `bounds` without a lock: each value ever written is a bound that holds, so a lost one costs time alone.
    """

    def __init__(self, measure: Measure, bounds: NDArray[np.int64], count: int) -> None:
        self._measure = measure
        self._bounds = bounds
        self._count = count
        self._found: list[Found] = []
        self._held = 0
        self._held_max = self._held_usual = measure.queries * (2 * count + _HELD_MIN)

    @property
    def queries(self) -> int:
        """How many."""
        return self._measure.queries

    def sample(self, codes: NDArray[np.uint8], mask: NDArray[np.bool_] | None) -> None:
        """Lower the bounds by some codes of the slice, and keep none. `mask` says which count, None where all do."""
        distances = self._measure.distances(codes)
        if mask is not None:
            distances = distances[:, mask]
        if distances.size:
            lengths = distances.shape[1] if self.queries > 1 else 1
            self._lower_to(np.repeat(np.arange(self.queries), lengths), distances.ravel())

    def add(self, codes: NDArray[np.uint8], row_of: RowOf, mask_of: MaskOf) -> None:
        """Take in a block of codes. `row_of` gives the rows of places in it, `mask_of` which rows count (None: all)."""
        queries, columns, distances = self._measure.within(codes, self._bounds)
        if not len(queries):
            return
        rows = row_of(columns)
        mask = mask_of(rows)
        if mask is not None:
            queries, rows, distances = queries[mask], rows[mask], distances[mask]
        self._found.append((queries, rows, distances))
        self._held += len(rows)
        if self._held > self._held_max:
            self._lower()

    @staticmethod
    def joined(slices: Sequence["NearestKept"], bounds: NDArray[np.int64]) -> Iterator[tuple[Rows, NDArray[np.int64]]]:
        """For each query its rows of all slices within the bounds, and their distances."""
        queries, rows, distances = _joined([part for kept in slices for part in kept._found])
        near = distances <= bounds[queries]
        for query in range(len(bounds)):
            own = near if len(bounds) == 1 else near & (queries == query)
            yield rows[own], distances[own]

    def _lower(self) -> None:
        queries, rows, distances = _joined(self._found)
        self._lower_to(queries, distances)
        near = distances <= self._bounds[queries]
        self._found = [(queries[near], rows[near], distances[near])]
        self._held = len(self._found[0][0])
        # Where so many tie that little could go, the next look comes when there are twice as many.
        self._held_max = max(self._held_usual, 2 * self._held)

    def _lower_to(self, queries: NDArray[np.int64], distances: Distances) -> None:
        np.minimum(self._bounds, _kth(queries, distances, self.queries, self._count), out=self._bounds)


def _kth(queries: NDArray[np.int64], distances: Distances, query_count: int, count: int) -> NDArray[np.int64]:
    """The `count`-th smallest distance of each query, the largest number where it has fewer.

    Of a single query all distances are, whatever `queries` says.
    """
    least = int(distances.min())
    span = int(distances.max()) - least + 1
    if query_count == 1:
        own = distances - least if least else distances
        return np.array(
            [_kth_counted(np.bincount(own), least, count) if span <= _SPAN_MAX else _kth_selected(distances, count)]
        )
    # Hamming distances are few different numbers: counting them is faster than to select among many ties.
    counts = np.bincount(queries * span + (distances - least), minlength=query_count * span)
    return np.array([_kth_counted(of_query, least, count) for of_query in counts.reshape(query_count, span)])


def _kth_counted(counts: NDArray[np.int64], least: int, count: int) -> int:
    up_to = counts.cumsum()
    return least + int(up_to.searchsorted(count)) if up_to[-1] >= count else _LARGEST


def _kth_selected(distances: Distances, count: int) -> int:
    return int(np.partition(distances, count - 1)[count - 1]) if len(distances) >= count else _LARGEST


def _joined(parts: Sequence[Found]) -> Found:
    if not parts:
        nothing = np.empty(0, np.int64)
        return nothing, nothing, nothing
    queries, rows, distances = (np.concatenate(column) for column in zip(*parts, strict=True))
    return queries, rows, distances
