"""How codes are spread: what an encoder keeps of the codes it was fitted on, and what a worker compares with it."""

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigurationError
from shared.hash_code import SUBCODE_BITS


@dataclass(frozen=True, slots=True, eq=False)
class CodeStatistics:
    """Of `count` codes: for each bit the share of ones, and for each subcode its skew.

    `ones` has the shape (bits,). `skew` (bits / 16,) is how much likelier two different codes share the subcode's value
    than if all 65,536 values were equally likely: 1 where they are, and then so many times the candidates of a subcode
    search within radius 0. It is 0 where no two codes share one, as among few codes.
    """

    count: int
    ones: NDArray[np.float64]
    skew: NDArray[np.float64]

    @property
    def bits(self) -> int:
        """The length of the codes."""
        return len(self.ones)

    @property
    def entropy(self) -> float:
        """The mean entropy of a bit: 1 where every bit is a one in half of the codes, 0 where no bit says anything."""
        return mean_entropy(self.ones)

    def to_bytes(self) -> bytes:
        """Serialize, to be read by `from_bytes`."""
        stream = io.BytesIO()
        np.savez(stream, count=np.array(self.count), ones=self.ones, skew=self.skew)
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "CodeStatistics":
        """Read what `to_bytes` wrote; ConfigurationError where it is anything else."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls(int(arrays["count"]), arrays["ones"], arrays["skew"])
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ConfigurationError(f"stored statistics of codes can't be read: {error}") from error


def code_statistics(codes: NDArray[np.uint8]) -> CodeStatistics:
    """The statistics of codes (count, bits / 8), at least one."""
    subcodes = np.ascontiguousarray(codes).view(">u2")
    skew = np.array([_skew(values) for values in subcodes.T])
    return CodeStatistics(len(codes), np.unpackbits(codes, axis=1).mean(axis=0, dtype=np.float64), skew)


def mean_entropy(ones: NDArray[np.float64]) -> float:
    """The mean entropy of bits, from the share of codes that have each set: 1 where all are halves."""
    shares = np.stack([ones, 1 - ones])
    return float(-np.sum(shares * np.log2(np.where(shares > 0, shares, 1)), axis=0).mean())


def _skew(values: NDArray[np.uint16]) -> float:
    """65,536 times the share of pairs with equal values among all pairs: no larger or smaller for fewer codes."""
    counts = np.unique(values, return_counts=True)[1].astype(np.float64)
    pairs = len(values) * (len(values) - 1)
    return float((counts * (counts - 1)).sum() / pairs * (1 << SUBCODE_BITS)) if pairs else 0.0
