"""The fast scan: the nearest by the distance to one code, for one query or many, by FAISS's k-nearest kernel.

The kernel cuts ties arbitrarily and knows no restriction, so more are asked for than are wanted: where the k-th visible
row is nearer than the last that was given, all its ties are in hand, and the answer is exact. Where it is not, the
caller scans again with the bound found here.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searcher.resident import scan
from searcher.resident.block_scan import slices_of
from searcher.resident.row_table import Rows
from searcher.resident.visibility import Visibility

# Where more than this part of all rows is asked for, the heap costs more than to look at all distances.
_ASKED_PART_MAX = 1 / 8

# Of one query: distances, rows, and the distance below which no row is missing.
_Found = tuple[NDArray[np.int64], Rows, int]


@dataclass(frozen=True, slots=True)
class PlainNear:
    """What a scan found of one query.

    `complete`: `rows` hold all that can be among the nearest. Otherwise `bound` is a distance that they do not exceed.
    """

    complete: bool
    bound: int
    rows: Rows
    distances: NDArray[np.int64]
    compared: int


class PlainScan:
    """Scans of `codes` (rows, bits / 8) on the `threads` threads of `executor`."""

    def __init__(self, codes: NDArray[np.uint8], executor: Executor, threads: int) -> None:
        self._codes = codes
        self._executor = executor
        self._threads = threads

    def nearest(
        self, queries: NDArray[np.uint8], count: int, radius: int | None, visibility: Visibility
    ) -> list[PlainNear]:
        """Look for the `count` nearest visible rows of each query (queries, bits / 8), none further than `radius`."""
        bound = self._codes.shape[1] * 8 if radius is None else radius
        asked = 2 * count + 64
        if asked > _ASKED_PART_MAX * len(self._codes) or (visibility.narrow and len(queries) == 1):
            return [_unknown(bound)] * len(queries)
        if visibility.narrow:
            return self._nearest_of_some(queries, count, bound, visibility)
        answers = []
        for distances, rows, complete_below in self._find(queries, self._codes, asked):
            late_enough = visibility.of_rows(rows)
            found = distances[late_enough], rows[late_enough], complete_below
            answers.append(_judge(found, count, bound, len(self._codes)))
        return answers

    def _nearest_of_some(
        self, queries: NDArray[np.uint8], count: int, bound: int, visibility: Visibility
    ) -> list[PlainNear]:
        """For many queries the visible codes are gathered once; that copy is at most as large as all codes."""
        mask = visibility.mask(0, len(self._codes))
        visible = np.arange(len(self._codes)) if mask is None else np.flatnonzero(mask)
        asked = min(2 * count + 64, len(visible))
        if not asked:
            return [_unknown(bound)] * len(queries)
        found = self._find(queries, self._codes[visible], asked)
        return [
            _judge((distances, visible[rows], complete_below), count, bound, len(visible))
            for distances, rows, complete_below in found
        ]

    def _find(self, queries: NDArray[np.uint8], codes: NDArray[np.uint8], asked: int) -> Iterator[_Found]:
        if len(queries) >= self._threads > 1:
            return self._by_query(queries, codes, asked)
        return self._by_slice(queries, codes, asked)

    def _by_slice(self, queries: NDArray[np.uint8], codes: NDArray[np.uint8], asked: int) -> Iterator[_Found]:
        """Every query over every slice of the codes."""
        slices = slices_of(codes, self._threads)
        futures = [
            self._executor.submit(scan.nearest, queries, codes[start:stop], min(asked, stop - start))
            for start, stop in slices
        ]
        found = [(*future.result(), *slice_) for future, slice_ in zip(futures, slices, strict=True)]
        for place in range(len(queries)):
            yield (
                np.concatenate([distances[place] for distances, _, _, _ in found]),
                np.concatenate([rows[place] + start for _, rows, start, _ in found]),
                min(_complete_below(distances[place], stop - start, codes) for distances, _, start, stop in found),
            )

    def _by_query(self, queries: NDArray[np.uint8], codes: NDArray[np.uint8], asked: int) -> Iterator[_Found]:
        """Some of the queries on each thread, over all codes: FAISS reads a block of codes once for many queries."""
        parts = np.array_split(queries, self._threads)
        for distances, rows in self._executor.map(lambda part: scan.nearest(part, codes, asked), parts):
            for place in range(len(rows)):
                yield distances[place], rows[place], _complete_below(distances[place], len(codes), codes)


def _complete_below(distances: NDArray[np.int64], rows: int, codes: NDArray[np.uint8]) -> int:
    """Of `rows` rows the nearest were given: the distance below which none is missing."""
    return codes.shape[1] * 8 + 1 if len(distances) == rows else int(distances[-1])


def _judge(found: _Found, count: int, bound: int, compared: int) -> PlainNear:
    distances, rows, complete_below = found
    if len(distances) >= count:
        bound = min(bound, int(np.partition(distances, count - 1)[count - 1]))
    near = distances <= bound
    return PlainNear(bound < complete_below, bound, rows[near], distances[near], compared)


def _unknown(bound: int) -> PlainNear:
    nothing = np.empty(0, np.int64)
    return PlainNear(False, bound, nothing, nothing, 0)
