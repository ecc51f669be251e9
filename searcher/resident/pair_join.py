"""All pairs of codes within a radius, exactly, without comparing all with all where that pays.

Multi-index hashing as a join (Norouzi, Punjani, Fleet, CVPR 2012): with m subcodes of 16 bits and a radius of m t + a,
two codes within the radius lie within t bits of each other in one of a + 1 chosen subcodes, or within t - 1 bits in one
of the others. So for each subcode the codes are sorted by it, and each is compared with those whose subcode is so near.
How many comparisons that takes is counted beforehand; where they would be too many, blocks of codes are compared
with all later ones instead.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from shared import hamming_scan

Progress = Callable[[int, int], None]

# One step of the scan compares these many codes with those many: some milliseconds, in a core's cache.
_LEFT = 256
_RIGHT_BYTES = 1 << 20
# A comparison of the join takes as long as so many of the scan.
_JOIN_COST = 30
# Going through the codes for one difference of a subcode takes as long as so many comparisons for each code.
_STEP_COST = 10
# Beyond this many differing bits a subcode has neighbours without end.
_FLIPS_MAX = 3
_CHUNK = 1 << 18
_SUBCODE_BITS = 16
_KEYS = 1 << _SUBCODE_BITS


@dataclass(frozen=True, slots=True)
class NearPairs:
    """Pairs of places in the codes with their distances in bits, each pair once, the lower place left; all (pairs,)."""

    lefts: NDArray[np.int64]
    rights: NDArray[np.int64]
    distances: NDArray[np.int64]


def near_pairs(
    codes: NDArray[np.uint8],
    radius: int,
    executor: Executor,
    progress: Progress | None = None,
    difference: int = 0,
) -> Iterator[NearPairs]:
    """All pairs of `codes` (count, bytes; whole 8 bytes) at most `radius` bits apart, in parts.

    With `difference`, an octet that each byte of one of the two codes is changed by (XOR) before they are compared.
    `progress` is told (done, all) in places of the codes.
    """
    join = SubcodeJoin(codes, radius, difference)
    if join.pays:
        yield from join.run(progress)
    else:
        yield from scan_all(codes, radius, executor, progress, difference)


def scan_all(
    codes: NDArray[np.uint8], radius: int, executor: Executor, progress: Progress | None = None, difference: int = 0
) -> Iterator[NearPairs]:
    """What `near_pairs` gives, by comparing all with all."""

    def compare(block: tuple[int, int]) -> NearPairs:
        start, right = block
        lefts, rights, distances = hamming_scan.within(
            changed[start : start + _LEFT], codes[right : right + step], radius
        )
        lefts, rights = lefts + start, rights + right
        once = lefts < rights
        return NearPairs(lefts[once], rights[once], distances[once])

    count, step = len(codes), max(_LEFT, _RIGHT_BYTES // codes.shape[1])
    changed = codes ^ np.uint8(difference) if difference else codes
    for start in range(0, count, _LEFT):
        yield from executor.map(compare, [(start, right) for right in range(start, count, step)])
        if progress is not None:
            progress(min(start + _LEFT, count), count)


class SubcodeJoin:
    """The join of `codes` with themselves; `candidates` is how many comparisons it takes."""

    def __init__(self, codes: NDArray[np.uint8], radius: int, difference: int = 0) -> None:
        self._count = len(codes)
        self._radius = radius
        self._difference = np.uint64(difference * 0x0101010101010101)
        self._words = np.ascontiguousarray(codes).view(np.uint64)
        self._columns = _columns(codes, difference * 0x0101)
        self._deltas: list[list[int]] = []
        self.candidates = 0
        if self._columns:
            self._plan(difference * 0x0101)

    @property
    def pays(self) -> bool:
        """Whether it is faster than comparing all with all."""
        if not self._deltas:
            return False
        steps = sum(map(len, self._deltas)) * self._count
        return _JOIN_COST * self.candidates + _STEP_COST * steps < self._count * (self._count - 1) // 2

    def run(self, progress: Progress | None = None) -> Iterator[NearPairs]:
        """All pairs within the radius, in parts."""
        done, total = 0, max(1, sum(map(len, self._deltas)))
        for place, (column, deltas) in enumerate(zip(self._columns, self._deltas, strict=True)):
            order = np.argsort(column, kind="stable")
            keys = column[order].astype(np.int64)
            words = np.ascontiguousarray(self._words[order].T)
            starts = np.concatenate([[0], np.cumsum(np.bincount(keys, minlength=_KEYS))])
            for delta in deltas:
                for lefts, rights in _candidates(keys, starts, delta):
                    found = self._near(words, lefts, rights)
                    yield self._first_met_here(
                        place, NearPairs(order[found.lefts], order[found.rights], found.distances)
                    )
                done += 1
                if progress is not None:
                    progress(self._count * done // total, self._count)

    def _plan(self, difference: int) -> None:
        flips, rest = divmod(self._radius, len(self._columns))
        if flips > _FLIPS_MAX:
            return
        sizes = [np.bincount(column, minlength=_KEYS) for column in self._columns]
        # One more differing bit is allowed in the subcodes in which the fewest codes are equal.
        order = np.argsort([int(size @ size) for size in sizes], kind="stable").tolist()
        self._columns = [self._columns[place] for place in order]
        keys = np.arange(_KEYS)
        for place in range(len(order)):
            allowed = flips if place <= rest else flips - 1
            deltas = [mask ^ difference for bits in range(allowed + 1) for mask in _masks(bits)]
            self._deltas.append(deltas)
            size = sizes[order[place]]
            # Each pair is met from both of its ends.
            self.candidates += sum(int(size @ size[keys ^ delta]) for delta in deltas) // 2

    def _near(self, words: NDArray[np.uint64], lefts: NDArray[np.int64], rights: NDArray[np.int64]) -> NearPairs:
        """Those candidates that are within the radius; word after word, as most are out of it after the first ones."""
        distances = np.zeros(len(lefts), np.int64)
        for word in words:
            distances += np.bitwise_count(word[lefts] ^ word[rights] ^ self._difference)
            within = np.flatnonzero(distances <= self._radius)
            if len(within) < len(lefts):
                lefts, rights, distances = lefts[within], rights[within], distances[within]
        return NearPairs(lefts, rights, distances)

    def _first_met_here(self, place: int, pairs: NearPairs) -> NearPairs:
        """Without the pairs that an earlier subcode gives too."""
        lefts, rights = np.minimum(pairs.lefts, pairs.rights), np.maximum(pairs.lefts, pairs.rights)
        new = np.ones(len(lefts), np.bool_)
        for column, deltas in zip(self._columns[:place], self._deltas[:place], strict=True):
            new &= ~np.isin(column[lefts] ^ column[rights], np.array(deltas, np.uint16))
        return NearPairs(lefts[new], rights[new], pairs.distances[new])


def _columns(codes: NDArray[np.uint8], difference: int) -> list[NDArray[np.uint16]]:
    """The subcodes of all codes, without those that are the same in all (padding): they tell no two codes apart.

    Those are left in where a difference makes them differ.
    """
    subcodes = np.ascontiguousarray(codes).view(np.uint16)
    columns = [np.ascontiguousarray(column) for column in subcodes.T]
    return [column for column in columns if len(column) and (difference or np.any(column != column[0]))]


def _masks(bits: int) -> list[int]:
    """All subcodes with so many ones."""
    return [sum(1 << bit for bit in chosen) for chosen in combinations(range(_SUBCODE_BITS), bits)]


def _candidates(
    keys: NDArray[np.int64], starts: NDArray[np.int64], delta: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of places whose keys differ by just `delta` (XOR), each once, some hundred thousand at a time.

    `keys` are sorted; `starts` says where each key begins.
    """
    others = keys ^ delta
    places = np.arange(len(keys)) if delta == 0 else np.flatnonzero(keys < others)
    begins = places + 1 if delta == 0 else starts[others[places]]
    counts = starts[others[places] + 1] - begins
    some = counts > 0
    places, begins, counts = places[some], begins[some], counts[some]
    ends = np.cumsum(counts)
    first = 0
    while first < len(places):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _CHUNK, "right")))
        part = counts[first:last]
        within = np.arange(int(part.sum())) - np.repeat(np.cumsum(part) - part, part)
        yield np.repeat(places[first:last], part), np.repeat(begins[first:last], part) + within
        first = last
