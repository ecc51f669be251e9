"""What a query measures: one Hamming distance, or a weighted sum of masked ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.hash_code import hamming_distances


class HammingTerm(NamedTuple):
    """weight * (differing bits between `code` and an image's code where `mask` has ones; everywhere where it is None).

    `code` and `mask` have the length of the index's codes.
    """

    weight: int
    code: bytes
    mask: bytes | None = None


@dataclass(frozen=True, slots=True)
class HammingSum:
    """d(x) = sum over the terms of weight * popcount((code XOR x) AND mask).

    Several seeds are several terms, a seed to keep away from has a negative weight (so distances may be negative), and
    weights of single bits, written in binary, are one term for each binary digit with the bits that have it as mask.
    """

    terms: Sequence[HammingTerm]

    @classmethod
    def plain(cls, code: bytes) -> "HammingSum":
        """The Hamming distance to `code`."""
        return cls((HammingTerm(1, code),))

    @property
    def is_plain(self) -> bool:
        """Whether this is the Hamming distance to one code."""
        return len(self.terms) == 1 and self.terms[0].weight == 1 and self.terms[0].mask is None

    @property
    def bounds(self) -> tuple[int, int]:
        """No distance is less than the first, none more than the second."""
        parts = [
            term.weight * (len(term.code) * 8 if term.mask is None else int.from_bytes(term.mask).bit_count())
            for term in self.terms
        ]
        return sum(min(part, 0) for part in parts), sum(max(part, 0) for part in parts)

    def of(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The definition: the distance of each row of `codes` (count, bits / 8); shape (count,)."""
        total = np.zeros(len(codes), np.int64)
        for weight, code, mask in self.terms:
            if mask is None:
                total += weight * hamming_distances(code, codes)
            else:
                ones = np.frombuffer(mask, np.uint8)
                seed = np.frombuffer(code, np.uint8) & ones
                total += weight * hamming_distances(seed.tobytes(), codes & ones)
        return total
