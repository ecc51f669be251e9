"""How far the images of a group are apart."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from searcher.duplicates.records import FoundGroup, Member, Same
from shared import hamming_scan
from shared.encoding.copy_code import mirrored

# Of a larger group the distances from so many of its codes are taken: such a group is loose anyway.
_CODES_MAX = 2048


def arranged(members: Sequence[Member], same: Same) -> FoundGroup:
    """The members as a group: the one with the least distance to all others first, the rest by distance from it."""
    codes = _padded(members)
    every = max(1, len(codes) // _CODES_MAX)
    distances = apart(codes[::every], codes, same)
    middle = int(np.argmin(distances.sum(axis=1))) * every
    from_middle = apart(codes[middle : middle + 1], codes, same)[0].tolist()
    placed = [replace(member, distance=distance) for member, distance in zip(members, from_middle, strict=True)]
    first = placed.pop(middle)
    placed.sort(key=lambda member: (member.distance, member.image_id))
    return FoundGroup([first, *placed], int(distances.max()))


def apart(codes: NDArray[np.uint8], others: NDArray[np.uint8], same: Same) -> NDArray[np.int32]:
    """The distances of codes to others, shape (codes, others); of photos mirrored ones count, too."""
    plain = hamming_scan.distances(codes, others)
    return np.minimum(plain, hamming_scan.distances(mirrored(codes), others)) if same is Same.PHOTO else plain


def single_thread() -> ThreadPoolExecutor:
    """A thread that compares beside the queries."""
    return hamming_scan.workers(1)


def _padded(members: Sequence[Member]) -> NDArray[np.uint8]:
    """Their codes, shape (members, whole 8 bytes)."""
    codes = np.frombuffer(b"".join(member.code for member in members), np.uint8).reshape(len(members), -1)
    return np.pad(codes, ((0, 0), (0, -codes.shape[1] % 8)))
