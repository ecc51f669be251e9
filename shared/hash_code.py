"""Hash codes: packing, hexadecimal, subcodes and the plain definition of Hamming distance.

A hash code of `bits` bits is `bytes` of length bits / 8, most significant bit first (as `numpy.packbits` makes it).
Many codes are one uint8 array of shape (count, bits / 8). `hamming_distances` is the brute-force truth that every
search strategy is tested against.
"""

import numpy as np
from numpy.typing import NDArray

from shared.errors import QueryInvalidError

SUBCODE_BITS = 16
BITS_MAX = 4096


def validate_bits(bits: int) -> int:
    """Give `bits` back where it is a multiple of 16 from 16 to 4096; raise ValueError otherwise."""
    if bits % SUBCODE_BITS or not SUBCODE_BITS <= bits <= BITS_MAX:
        raise ValueError(f"bits must be a multiple of {SUBCODE_BITS} from {SUBCODE_BITS} to {BITS_MAX}, not {bits}")
    return bits


def pack(bits: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Pack booleans of shape (count, bits) into codes of shape (count, bits / 8)."""
    return np.packbits(bits, axis=-1)


def from_hex(text: str, bits: int) -> bytes:
    """Read a code from hexadecimal digits; QueryInvalidError where they are not `bits` bits."""
    try:
        code = bytes.fromhex(text)
    except ValueError as error:
        raise QueryInvalidError("a hash code is written in hexadecimal digits") from error
    if len(code) * 8 != bits:
        raise QueryInvalidError(
            f"a hash code here has {bits} bits ({bits // 4} hexadecimal digits), not {len(code) * 8}"
        )
    return code


def subcodes(code: bytes) -> NDArray[np.uint16]:
    """Split a code into its 16-bit subcodes, shape (bits / 16,), in the order of the code's bits."""
    return np.frombuffer(code, dtype=">u2").astype(np.uint16)


def subcode_keys(code: bytes) -> NDArray[np.int64]:
    """Its subcodes told apart by where they stand: place * 2**16 + subcode, shape (bits / 16,)."""
    found = subcodes(code).astype(np.int64)
    return found + (np.arange(len(found), dtype=np.int64) << SUBCODE_BITS)


def hamming_distances(code: bytes, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count the differing bits between `code` and each row of `codes` (count, bits / 8); shape (count,)."""
    query = np.frombuffer(code, dtype=np.uint8)
    distances: NDArray[np.int64] = np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int64)
    return distances


def similarity(distance: int, bits: int) -> float:
    """1 for equal codes, 0 where every bit differs."""
    return 1 - distance / bits
