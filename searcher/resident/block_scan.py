"""The general exact scan: any distance, any restriction, block after block. Gives rows, not hits.

A block's rows are gathered first where few of them are visible; where many are, all distances are computed. The rows
of a slice that can still be among the `count` nearest are kept, and the bound falls as nearer ones are found.
"""

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from searcher.resident import scan
from searcher.resident.hamming_sum import HammingSum
from searcher.resident.row_table import Rows
from searcher.resident.visibility import Visibility

# A block's codes stay in a core's cache, and are many enough that Python's part in a block is small.
_BLOCK_BYTES = 1 << 21
# Shorter slices do not repay a thread.
_SLICE_BYTES_MIN = 1 << 18
# Up to this part of visible rows a block's codes are gathered.
_GATHERED_MAX = 1 / 4
_KEPT_MIN = 1 << 16


@dataclass(frozen=True, slots=True)
class Near:
    """Rows with their distances, in no order, and how many codes were compared."""

    rows: Rows
    distances: NDArray[np.int64]
    compared: int


class BlockScan:
    """Scans of `codes` (count, bits / 8) on the threads of `executor`."""

    def __init__(self, codes: NDArray[np.uint8], executor: Executor, threads: int) -> None:
        self._codes = codes
        self._executor = executor
        self._slices = slices_of(codes, threads)
        self._block = max(1, _BLOCK_BYTES // codes.shape[1])

    def nearest(self, distance: HammingSum, visibility: Visibility, count: int, bound: int | None) -> Near:
        """All visible rows that can be among the `count` nearest, none further than `bound`."""
        futures = [
            self._executor.submit(self._nearest_of_slice, one, distance, visibility, count, bound)
            for one in self._slices
        ]
        return _joined([future.result() for future in futures])

    def blocks(self, distance: HammingSum, visibility: Visibility) -> Iterator[tuple[Rows, NDArray[np.int64]]]:
        """The visible rows of one block after another, with their distances."""
        starts = [one for slice_ in self._slices for one in self._blocks_of(slice_)]
        yield from self._executor.map(lambda one: self._measure(one[0], one[1], distance, visibility), starts)

    def _nearest_of_slice(
        self, slice_: tuple[int, int], distance: HammingSum, visibility: Visibility, count: int, bound: int | None
    ) -> Near:
        kept: list[tuple[Rows, NDArray[np.int64]]] = []
        held = compared = 0
        for start, stop in self._blocks_of(slice_):
            rows, distances = self._measure(start, stop, distance, visibility)
            compared += len(rows)
            if bound is not None:
                near = distances <= bound
                rows, distances = rows[near], distances[near]
            kept.append((rows, distances))
            held += len(rows)
            if held > max(_KEPT_MIN, 2 * count):
                rows, distances, bound = _nearest_of(kept, count)
                kept, held = [(rows, distances)], len(rows)
        return Near(*_concatenated(kept), compared)

    def _blocks_of(self, slice_: tuple[int, int]) -> Iterator[tuple[int, int]]:
        for start in range(*slice_, self._block):
            yield start, min(start + self._block, slice_[1])

    def _measure(
        self, start: int, stop: int, distance: HammingSum, visibility: Visibility
    ) -> tuple[Rows, NDArray[np.int64]]:
        codes = self._codes[start:stop]
        mask = visibility.mask(start, stop)
        if mask is None:
            return np.arange(start, stop), distances_of(distance, codes)
        passing = np.flatnonzero(mask)
        if len(passing) <= _GATHERED_MAX * len(codes):
            return passing + start, distances_of(distance, codes[passing])
        return passing + start, distances_of(distance, codes)[passing]


def slices_of(codes: NDArray[np.uint8], threads: int) -> list[tuple[int, int]]:
    """Cut the rows into one slice a thread, fewer where they would be short."""
    count = max(1, min(threads, codes.nbytes // _SLICE_BYTES_MIN))
    edges = [len(codes) * place // count for place in range(count + 1)]
    return [(start, stop) for start, stop in pairwise(edges) if start < stop]


def distances_of(distance: HammingSum, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """What `HammingSum.of` defines, by FAISS's kernels."""
    total = np.zeros(len(codes), np.int64)
    for weight, code, mask in distance.terms:
        seed = np.frombuffer(code, np.uint8)
        if mask is None:
            total += weight * scan.distances_to(seed, codes).astype(np.int64)
        else:
            ones = np.frombuffer(mask, np.uint8)
            total += weight * scan.distances_to(seed & ones, codes & ones).astype(np.int64)
    return total


def _nearest_of(kept: list[tuple[Rows, NDArray[np.int64]]], count: int) -> tuple[Rows, NDArray[np.int64], int]:
    rows, distances = _concatenated(kept)
    bound = int(np.partition(distances, count - 1)[count - 1])
    near = distances <= bound
    return rows[near], distances[near], bound


def _joined(parts: list[Near]) -> Near:
    return Near(*_concatenated([(part.rows, part.distances) for part in parts]), sum(part.compared for part in parts))


def _concatenated(parts: list[tuple[Rows, NDArray[np.int64]]]) -> tuple[Rows, NDArray[np.int64]]:
    nothing = np.empty(0, np.int64)
    return (
        np.concatenate([nothing, *(rows for rows, _ in parts)]),
        np.concatenate([nothing, *(distances for _, distances in parts)]),
    )
