"""From the hash of an image id to its row: an open-addressing table that is looked up and filled in bulk.

Linear probing (Knuth, The Art of Computer Programming 3, 6.4) over int32 slots; a batch takes its steps together, one
numpy call a step. The hashes are kept by row, so the table can be made anew without the ids; a slot holds a row alone
(6 to 14 bytes an image), and the caller compares ids, so equal hashes cost steps and never a wrong answer.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
_EMPTY = -1
_LEFT = -2
_SLOTS_MIN = 1024
# Above this part of slots in use the probes grow long.
_LOAD_MAX = 5 / 8
_BATCH = 1 << 18


class RowTable:
    """The rows below `count`, by `hashes` (uint32 by row; written by the caller before a row is added)."""

    def __init__(self, hashes: NDArray[np.uint32]) -> None:
        self._hashes = hashes
        self._slots: NDArray[np.int32] = np.full(_SLOTS_MIN, _EMPTY, np.int32)
        self._used = 0

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return self._slots.nbytes

    def bytes_with(self, count: int) -> int:
        """Bytes in use once `count` rows are in."""
        return max(self._slots.nbytes, 4 * _slots_for(count))

    def find(self, hashes: NDArray[np.uint32], same: Callable[[Rows, Rows], NDArray[np.bool_]]) -> Rows:
        """The row of each hash, -1 where there is none. `same(rows, places)` says which rows' ids are those asked for.

        `places` are positions in `hashes`.
        """
        rows = np.full(len(hashes), -1, np.int64)
        places = np.arange(len(hashes))
        slots = self._first(hashes)
        while len(places):
            found = self._slots[slots].astype(np.int64)
            like = np.flatnonzero(found >= 0)
            like = like[self._hashes[found[like]] == hashes[places[like]]]
            hits = like[same(found[like], places[like])]
            rows[places[hits]] = found[hits]
            further = found != _EMPTY
            further[hits] = False
            places, slots = places[further], self._next(slots[further])
        return rows

    def candidates(self, hash_: int) -> Iterator[int]:
        """The rows of one hash; for one it is much faster than `find`, for many much slower."""
        slot = hash_ & (len(self._slots) - 1)
        while (row := int(self._slots[slot])) != _EMPTY:
            if row >= 0 and self._hashes[row] == hash_:
                yield row
            slot = (slot + 1) & (len(self._slots) - 1)

    def add(self, rows: Rows, count: int) -> None:
        """Take in rows that are not in the table; `count` is how many rows there are then, and they are 0 to that."""
        if self._used + len(rows) > _LOAD_MAX * len(self._slots):
            self._rebuild(count)
            return
        self._place(rows)

    def remove(self, rows: Rows) -> None:
        """Take out rows that are in the table."""
        self._slots[self._slots_of(rows)] = _LEFT

    def move(self, rows: Rows, to: Rows) -> None:
        """Let the table say `to` for `rows`; their hashes still stand at `rows`."""
        self._slots[self._slots_of(rows)] = to

    def _rebuild(self, count: int) -> None:
        self._slots = np.full(_slots_for(count), _EMPTY, np.int32)
        self._used = 0
        for start in range(0, count, _BATCH):
            self._place(np.arange(start, min(start + _BATCH, count)))

    def _place(self, rows: Rows) -> None:
        self._used += len(rows)
        slots = self._first(self._hashes[rows])
        while len(rows):
            free = self._slots[slots] < 0
            # Of several rows for one free slot the last one stays; the others see that and go on.
            self._slots[slots[free]] = rows[free]
            further = self._slots[slots] != rows
            rows, slots = rows[further], self._next(slots[further])

    def _slots_of(self, rows: Rows) -> Rows:
        found = np.empty(len(rows), np.int64)
        places = np.arange(len(rows))
        slots = self._first(self._hashes[rows])
        while len(places):
            further = self._slots[slots] != rows[places]
            found[places[~further]] = slots[~further]
            places, slots = places[further], self._next(slots[further])
        return found

    def _first(self, hashes: NDArray[np.uint32]) -> Rows:
        return hashes.astype(np.int64) & (len(self._slots) - 1)

    def _next(self, slots: Rows) -> Rows:
        return (slots + 1) & (len(self._slots) - 1)


def _slots_for(count: int) -> int:
    # A sixteenth of the slots stays for what comes and goes before the table is made anew.
    slots = _SLOTS_MIN
    while count > (_LOAD_MAX - 1 / 16) * slots:
        slots *= 2
    return slots
