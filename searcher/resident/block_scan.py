"""The exact scan: any measure, any restriction, block after block on all cores. Gives rows, not hits.

What may be among the nearest is what is no further than a bound: the `count`-th nearest visible row of a sample, and
then of all that was met so far, in whichever slice. So few rows are looked at beyond their distance. The codes of a
block are gathered first where few of its rows are visible.

The caller's thread scans one of the slices: it would only sleep meanwhile, and to wake it takes as long as to compare a
hundred thousand codes.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from searcher.resident.measure import Distances, Measure
from searcher.resident.nearest_kept import MaskOf, NearestKept
from searcher.resident.row_table import Rows
from searcher.resident.visibility import Visibility
from shared import hamming_scan

# The first rows give a bound before any is kept: so many in all queries, and so many for each hit.
_SAMPLE = 1 << 14
_SAMPLE_PER_HIT = 16
_ROWS_REDUCED = 1 << 17
# Shorter slices do not repay a thread.
_SLICE_BYTES_MIN = 1 << 18
# Up to this part of visible rows a block's codes are gathered.
_GATHERED_MAX = 1 / 4

_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class Near:
    """All rows that can be among the nearest of one query, in no order, and how many codes were compared with it."""

    rows: Rows
    distances: NDArray[np.int64]
    compared: int


@dataclass(frozen=True, slots=True)
class _Block:
    """Codes to compare: of `rows`, which are visible, or where these are None of all rows from `start` on.

    `mask_of` says which of some of its rows are visible.
    """

    codes: NDArray[np.uint8]
    start: int
    rows: Rows | None
    compared: int
    mask_of: MaskOf

    def row_of(self, places: Rows) -> Rows:
        return places + self.start if self.rows is None else self.rows[places]


class BlockScan:
    """Scans of `codes` (rows, padded bytes) on the `threads` threads of `executor`."""

    def __init__(self, codes: NDArray[np.uint8], executor: Executor, threads: int) -> None:
        self._codes = codes
        self._executor = executor
        self._slices = _slices_of(codes, threads)

    def nearest(
        self, measures: Sequence[Measure], visibility: Visibility, count: int, radius: int | None
    ) -> list[Near]:
        """For each query of the measures the visible rows that can be its `count` nearest, none beyond `radius`."""
        bounds = [
            np.full(one.queries, one.most if radius is None else min(radius, one.most), np.int64) for one in measures
        ]
        scan = partial(self._nearest_of_slice, measures, bounds, visibility, count)
        with hamming_scan.alone():
            self._sample(measures, bounds, visibility, count)
            futures = [self._executor.submit(scan, slice_) for slice_ in self._slices[1:]]
            slices = [scan(slice_) for slice_ in self._slices[:1]] + [future.result() for future in futures]
        compared = sum(of_slice for _, of_slice in slices)
        return [
            Near(*found, compared)
            for place in range(len(measures))
            for found in NearestKept.joined([kept[place] for kept, _ in slices], bounds[place])
        ]

    def reduced(
        self, measure: Measure, visibility: Visibility, reduce: Callable[[Rows, Distances], _Part]
    ) -> Iterator[_Part]:
        """What `reduce` makes of the visible rows and their distances to the one query, block after block."""

        def part(edges: tuple[int, int]) -> _Part:
            block = self._block(*edges, visibility)
            rows, distances = block.row_of(np.arange(len(block.codes))), measure.distances(block.codes)[0]
            mask = visibility.mask(slice(*edges)) if block.rows is None else None
            return reduce(rows, distances) if mask is None else reduce(rows[mask], distances[mask])

        blocks = [edges for slice_ in self._slices for edges in _blocks(slice_, _ROWS_REDUCED)]
        return self._executor.map(part, blocks)

    def _sample(
        self, measures: Sequence[Measure], bounds: Sequence[NDArray[np.int64]], visibility: Visibility, count: int
    ) -> None:
        """Lower the bounds by the first rows."""
        for measure, bound in zip(measures, bounds, strict=True):
            sampled = max(_SAMPLE // measure.queries, _SAMPLE_PER_HIT * count)
            block = self._block(0, min(sampled, len(self._codes)), visibility)
            mask = visibility.mask(slice(0, len(block.codes))) if block.rows is None else None
            NearestKept(measure, bound, count).sample(block.codes, mask)

    def _nearest_of_slice(
        self,
        measures: Sequence[Measure],
        bounds: Sequence[NDArray[np.int64]],
        visibility: Visibility,
        count: int,
        slice_: tuple[int, int],
    ) -> tuple[list[NearestKept], int]:
        kept = [NearestKept(measure, bound, count) for measure, bound in zip(measures, bounds, strict=True)]
        compared = 0
        for start, stop in _blocks(slice_, min(one.block_rows for one in measures)):
            block = self._block(start, stop, visibility)
            compared += block.compared
            for one in kept:
                one.add(block.codes, block.row_of, block.mask_of)
        return kept, compared

    def _block(self, start: int, stop: int, visibility: Visibility) -> _Block:
        # Where only the window is asked for, nearly all rows are visible: those that are near are looked at later.
        mask = visibility.mask(slice(start, stop)) if visibility.narrow else None
        passing = stop - start if mask is None else int(np.count_nonzero(mask))
        if mask is None or passing > _GATHERED_MAX * len(mask):
            return _Block(self._codes[start:stop], start, None, passing, visibility.mask)
        rows = np.flatnonzero(mask) + start
        return _Block(self._codes[rows], start, rows, passing, lambda _: None)


def _slices_of(codes: NDArray[np.uint8], threads: int) -> list[tuple[int, int]]:
    """Cut the rows into one slice a thread, fewer where they would be short."""
    count = max(1, min(threads, codes.nbytes // _SLICE_BYTES_MIN))
    edges = [len(codes) * place // count for place in range(count + 1)]
    return [(start, stop) for start, stop in pairwise(edges) if start < stop]


def _blocks(slice_: tuple[int, int], rows: int) -> Iterator[tuple[int, int]]:
    for start in range(*slice_, rows):
        yield start, min(start + rows, slice_[1])
