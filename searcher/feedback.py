"""Which bits tell the images that an analyst wants from those that he does not: a distance learned from judgements.

Each bit is weighed by Robertson and Sparck Jones' relevance weight (Relevance weighting of search terms, JASIS 1976,
formula F4 with their correction of one half), for the bit set as for a term present. The sum of the weights of an
image's set bits is, but for a constant, a Hamming distance with weighted bits to the code whose bits are set where the
weight is positive. Weights are rounded to 4 bits, so that the distance is a sum of four masked Hamming distances and
needs nothing that the plain search has not.
"""

import numpy as np
from numpy.typing import NDArray

from searcher.resident.hamming_sum import HammingSum, HammingTerm
from shared.errors import QueryInvalidError
from shared.hash_code import pack

_PLANES = 4


def weigh_bits(wanted: NDArray[np.uint8], unwanted: NDArray[np.uint8]) -> HammingSum:
    """The distance from codes (count, bits / 8) that are wanted (at least one) and that are not (any number).

    QueryInvalidError where the two tell no bit apart.
    """
    weights = _log_odds(wanted) - _log_odds(unwanted)
    largest = float(np.abs(weights).max())
    if largest == 0:
        raise QueryInvalidError("the wanted and the unwanted seeds differ in no bit")
    levels = np.rint(np.abs(weights) / largest * (2**_PLANES - 1)).astype(np.uint8)
    code = pack(weights > 0).tobytes()
    planes = ((plane, pack((levels >> plane) & 1 == 1)) for plane in range(_PLANES))
    return HammingSum(tuple(HammingTerm(1 << plane, code, mask.tobytes()) for plane, mask in planes if mask.any()))


def _log_odds(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """For each bit, the logarithm of how much more often it is set than not; shape (bits,)."""
    with_bit = np.unpackbits(codes, axis=1).sum(axis=0, dtype=np.int64)
    odds: NDArray[np.float64] = np.log((with_bit + 0.5) / (len(codes) - with_bit + 0.5))
    return odds
