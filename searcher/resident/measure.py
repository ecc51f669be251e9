"""What a scan computes for a block of codes: distances of some queries to all of them, by FAISS's kernels.

Codes in the index are padded with zeros to whole 8 bytes, for which FAISS has its fast kernels; `padded` does so.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from searcher.resident.hamming_sum import HammingSum
from shared import hamming_scan

# Either int32 or int64: what is fastest for the measure.
Distances = NDArray[np.signedinteger]


# Places of queries, places of codes, distances; each (found,).
Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

# Distances written at once: they stay in a core's cache, and Python's part in a block is small.
_DISTANCES = 1 << 17
_ROWS_WITHOUT_WRITING = 1 << 20
_CODES_AT_ONCE = 16


class Measure(Protocol):
    """Distances of `queries` queries, none above `most`; best asked for `block_rows` codes at once, or fewer."""

    @property
    def queries(self) -> int:
        """How many."""

    @property
    def most(self) -> int:
        """No distance is larger."""

    @property
    def block_rows(self) -> int:
        """The best number of codes for `within`."""

    def distances(self, codes: NDArray[np.uint8]) -> Distances:
        """Distances to `codes` (rows, padded bytes); shape (queries, rows)."""

    def within(self, codes: NDArray[np.uint8], bounds: NDArray[np.int64]) -> Found:
        """What is no further from a query than its bound (queries,)."""


class PlainMeasure:
    """The Hamming distance to each of `codes` (queries, bits / 8).

    Of one query and many codes FAISS gives what is within a bound without writing the other distances.
    """

    def __init__(self, codes: NDArray[np.uint8]) -> None:
        self.queries = len(codes)
        self.most = codes.shape[1] * 8
        self.block_rows = _ROWS_WITHOUT_WRITING if self.queries == 1 else _DISTANCES // self.queries
        self._codes = padded(codes)

    def distances(self, codes: NDArray[np.uint8]) -> Distances:
        """As `Measure` says, int32."""
        return hamming_scan.distances(self._codes, codes)

    def within(self, codes: NDArray[np.uint8], bounds: NDArray[np.int64]) -> Found:
        """As `Measure` says."""
        if self.queries == 1 and len(codes) > _DISTANCES:
            return hamming_scan.within(self._codes, codes, int(bounds[0]))
        return _selected(self.distances(codes), bounds)


class NearestMeasure:
    """The Hamming distance to the nearest of `codes` (at least one; shape (codes, bits / 8)): one query."""

    queries = 1
    block_rows = _DISTANCES

    def __init__(self, codes: NDArray[np.uint8]) -> None:
        self.most = codes.shape[1] * 8
        self._codes = padded(codes)

    def distances(self, codes: NDArray[np.uint8]) -> Distances:
        """As `Measure` says, int32."""
        nearest = np.full((1, len(codes)), self.most, np.int32)
        for start in range(0, len(self._codes), _CODES_AT_ONCE):
            some = hamming_scan.distances(self._codes[start : start + _CODES_AT_ONCE], codes)
            np.minimum(nearest, some.min(axis=0, keepdims=True), out=nearest)
        return nearest

    def within(self, codes: NDArray[np.uint8], bounds: NDArray[np.int64]) -> Found:
        """As `Measure` says."""
        return _selected(self.distances(codes), bounds)


class SumMeasure:
    """A `HammingSum`, one query."""

    queries = 1
    block_rows = _DISTANCES

    def __init__(self, distance: HammingSum, bits: int) -> None:
        self.most = sum(max(term.weight, 0) for term in distance.terms) * bits
        self._terms = [
            (term.weight, _row(term.code), None if term.mask is None else _row(term.mask)) for term in distance.terms
        ]

    def distances(self, codes: NDArray[np.uint8]) -> Distances:
        """As `Measure` says, int64."""
        total = np.zeros((1, len(codes)), np.int64)
        for weight, code, mask in self._terms:
            if mask is None:
                total += weight * hamming_scan.distances(code, codes).astype(np.int64)
            else:
                total += weight * hamming_scan.distances(code & mask, codes & mask).astype(np.int64)
        return total

    def within(self, codes: NDArray[np.uint8], bounds: NDArray[np.int64]) -> Found:
        """As `Measure` says."""
        return _selected(self.distances(codes), bounds)


def measure_of(distance: HammingSum, bits: int) -> Measure:
    """The fastest measure of a distance."""
    if distance.is_plain:
        return PlainMeasure(np.frombuffer(distance.terms[0].code, np.uint8).reshape(1, -1))
    return SumMeasure(distance, bits)


def padded(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes (count, bytes) with zeros behind each, up to whole 8 bytes."""
    missing = -codes.shape[1] % 8
    return np.ascontiguousarray(np.pad(codes, ((0, 0), (0, missing))) if missing else codes)


def _row(code: bytes) -> NDArray[np.uint8]:
    return padded(np.frombuffer(code, np.uint8).reshape(1, -1))


def _selected(distances: Distances, bounds: NDArray[np.int64]) -> Found:
    places = np.flatnonzero(distances <= bounds.astype(distances.dtype)[:, None])
    near = distances.ravel()[places].astype(np.int64)
    if len(distances) == 1:
        return np.zeros(len(places), np.int64), places, near
    return *np.divmod(places, max(1, distances.shape[1])), near
