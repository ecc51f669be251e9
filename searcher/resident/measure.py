"""What a scan computes for a block of codes: distances of some queries to all of them, by FAISS's kernels.

Codes in the index are padded with zeros to whole 8 bytes, for which FAISS has its fast kernels; `padded` does so.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from searcher.resident import scan
from searcher.resident.hamming_sum import HammingSum

# Either int32 or int64: what is fastest for the measure.
Distances = NDArray[np.signedinteger]


class Measure(Protocol):
    """Distances of `queries` queries, none above `most`."""

    @property
    def queries(self) -> int:
        """How many."""

    @property
    def most(self) -> int:
        """No distance is larger."""

    def of(self, codes: NDArray[np.uint8]) -> Distances:
        """Distances to `codes` (rows, padded bytes); shape (queries, rows)."""


class PlainMeasure:
    """The Hamming distance to each of `codes` (queries, bits / 8)."""

    def __init__(self, codes: NDArray[np.uint8]) -> None:
        self.queries = len(codes)
        self.most = codes.shape[1] * 8
        self._codes = padded(codes)

    def of(self, codes: NDArray[np.uint8]) -> Distances:
        """As `Measure.of`, int32."""
        return scan.distances(self._codes, codes)


class SumMeasure:
    """A `HammingSum`, one query."""

    queries = 1

    def __init__(self, distance: HammingSum, bits: int) -> None:
        self.most = sum(max(term.weight, 0) for term in distance.terms) * bits
        self._terms = [
            (term.weight, _row(term.code), None if term.mask is None else _row(term.mask)) for term in distance.terms
        ]

    def of(self, codes: NDArray[np.uint8]) -> Distances:
        """As `Measure.of`, int64."""
        total = np.zeros((1, len(codes)), np.int64)
        for weight, code, mask in self._terms:
            if mask is None:
                total += weight * scan.distances(code, codes).astype(np.int64)
            else:
                total += weight * scan.distances(code & mask, codes & mask).astype(np.int64)
        return total


def measure_of(distance: HammingSum, bits: int) -> Measure:
    """The fastest measure of a distance."""
    if distance.is_plain:
        return PlainMeasure(np.frombuffer(distance.terms[0].code, np.uint8).reshape(1, -1))
    return SumMeasure(distance, bits)


def padded(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Codes (count, bytes) with zeros behind each, up to whole 8 bytes."""
    return np.ascontiguousarray(np.pad(codes, ((0, 0), (0, -codes.shape[1] % 8))))


def _row(code: bytes) -> NDArray[np.uint8]:
    return padded(np.frombuffer(code, np.uint8).reshape(1, -1))
