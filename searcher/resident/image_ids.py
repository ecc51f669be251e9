"""The image ids of all rows: packed into one array of bytes, and found again by a table of hashes."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from searcher.resident.memory import Column
from searcher.resident.row_table import Rows, RowTable

_UNIT = 4
_PREFIX = 2
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
# Offsets are 32 bits wide.
_ARENA_MAX = _UNIT * (2**32 - 1)
_COMPACT_BATCH = 1 << 16


class ImageIds:
    """The ids of rows 0 to n. Each is kept as its length (2 bytes) and its UTF-8 bytes, aligned to 4 bytes.

    `hash_of` must not be known to who chooses ids, or lookups can be made slow: Python's own hash of text is salted.
    """

    def __init__(self, capacity: int, bytes_max: int, hash_of: Callable[[str], int] = hash) -> None:
        self._hash_of = hash_of
        self._arena_bytes = min(bytes_max // _UNIT * _UNIT, _ARENA_MAX)
        self._arena = Column(self._arena_bytes, np.uint8)
        self._offsets = Column(capacity, np.uint32)
        self._hashes = Column(capacity, np.uint32)
        self._table = RowTable(self._hashes.array)
        self._used = 0
        self._garbage = 0

    bytes_per_row = 8
    """Bytes of the columns by row; the ids themselves and the table come on top."""

    @property
    def nbytes(self) -> int:
        """Bytes of ids and table in use, without the columns by row."""
        return self._used + self._table.nbytes

    def has_room(self, encoded: Sequence[bytes]) -> bool:
        """Whether these ids fit behind those that are there."""
        return self._used + sum(map(_size, encoded)) <= self._arena_bytes

    def bytes_with(self, count: int, encoded: Sequence[bytes]) -> int:
        """What `nbytes` will be once these ids make the rows `count`."""
        return self._used + sum(map(_size, encoded)) + self._table.bytes_with(count)

    def find(self, image_ids: Sequence[str]) -> Rows:
        """The row of each id, -1 where there is none."""
        return self._find(image_ids, self._hashed(image_ids))

    def find_one(self, image_id: str) -> int:
        """The row of this id, -1 where there is none."""
        encoded = encode(image_id)
        rows = self._table.candidates(self._hash_of(image_id) & 0xFFFFFFFF)
        return next((row for row in rows if self._bytes(row) == encoded), -1)

    def append(self, image_ids: Sequence[str], encoded: Sequence[bytes], count: int) -> None:
        """Take in ids that are not there, as the rows from `count` on. `encoded` are the same, by `encode`."""
        pieces = [len(text).to_bytes(_PREFIX, "little") + text + _PADDING[len(text) + _PREFIX & 3] for text in encoded]
        blob = b"".join(pieces)
        ends = np.cumsum(np.fromiter(map(len, pieces), np.int64, len(pieces)))
        rows = np.arange(count, count + len(pieces))
        self._offsets.array[rows] = (self._used + np.concatenate(([0], ends[:-1]))) // _UNIT
        self._hashes.array[rows] = self._hashed(image_ids)
        self._arena.array[self._used : self._used + len(blob)] = np.frombuffer(blob, np.uint8)
        self._used += len(blob)
        self._table.add(rows, count + len(pieces))

    def remove(self, rows: Rows, count: int) -> tuple[Rows, Rows]:
        """Take out distinct rows of `count`; the last ones fill the holes. Gives (the rows that moved, where to)."""
        self._garbage += int(self._sizes(rows).sum())
        self._table.remove(rows)
        left = count - len(rows)
        holes = rows[rows < left]
        moved = np.setdiff1d(np.arange(left, count), rows)
        self._table.move(moved, holes)
        for column in (self._offsets.array, self._hashes.array):
            column[holes] = column[moved]
        if self._garbage > self._used // 2:
            self._compact(left)
        return moved, holes

    def texts(self, rows: Rows) -> list[str]:
        """The ids of rows."""
        arena = self._arena.array.data
        starts = self._offsets.array[rows].astype(np.int64) * _UNIT
        ends = (starts + _PREFIX + self._lengths(starts)).tolist()
        return [
            str(arena[start + _PREFIX : end], "utf-8", "surrogatepass")
            for start, end in zip(starts.tolist(), ends, strict=True)
        ]

    def copy(self, count: int) -> Callable[[int], str]:
        """From a row to its id as it is now, for `count` rows, whatever becomes of them."""
        # What is in an arena stays as it is: ids are added behind it, and copied together into another one.
        arena = self._arena.array.data
        offsets = self._offsets.array[:count].copy()
        return lambda row: _read(arena, int(offsets[row]) * _UNIT).decode("utf-8", "surrogatepass")

    def release(self, count: int) -> None:
        """Give memory back that `count` rows do not need."""
        self._offsets.release(count)
        self._hashes.release(count)
        self._arena.release(self._used)

    def _find(self, image_ids: Sequence[str], hashes: NDArray[np.uint32]) -> Rows:
        def same(rows: Rows, places: Rows) -> NDArray[np.bool_]:
            pairs = zip(rows.tolist(), places.tolist(), strict=True)
            return np.array([self._bytes(row) == encode(image_ids[place]) for row, place in pairs], np.bool_)

        return self._table.find(hashes, same)

    def _hashed(self, image_ids: Sequence[str]) -> NDArray[np.uint32]:
        hashes = np.fromiter(map(self._hash_of, image_ids), np.int64, len(image_ids))
        return (hashes & 0xFFFFFFFF).astype(np.uint32)

    def _bytes(self, row: int) -> bytes:
        return _read(self._arena.array.data, int(self._offsets.array[row]) * _UNIT)

    def _sizes(self, rows: Rows) -> Rows:
        lengths = self._lengths(self._offsets.array[rows].astype(np.int64) * _UNIT)
        sizes: Rows = -(-(lengths + _PREFIX) // _UNIT) * _UNIT
        return sizes

    def _lengths(self, starts: Rows) -> Rows:
        lengths: Rows = self._arena.array.view("<u2")[starts // _PREFIX].astype(np.int64)
        return lengths

    def _compact(self, count: int) -> None:
        """Copy the ids of `count` rows to a new arena, in the order of rows."""
        arena = Column(self._arena_bytes, np.uint8)
        old, new = self._arena.array.view(np.uint32), arena.array.view(np.uint32)
        used = 0
        for start in range(0, count, _COMPACT_BATCH):
            rows = np.arange(start, min(start + _COMPACT_BATCH, count))
            units = self._sizes(rows) // _UNIT
            ends = np.cumsum(units)
            firsts = ends - units
            sources = np.repeat(self._offsets.array[rows] - firsts, units) + np.arange(ends[-1])
            new[used : used + len(sources)] = old[sources]
            self._offsets.array[rows] = used + firsts
            used += len(sources)
        self._arena = arena
        self._used = used * _UNIT
        self._garbage = 0


def encode(image_id: str) -> bytes:
    """An id's bytes as they are kept; their order is the order of the id's code points."""
    return image_id.encode("utf-8", "surrogatepass")


def _size(encoded: bytes) -> int:
    return -(-(len(encoded) + _PREFIX) // _UNIT) * _UNIT


def _read(arena: memoryview, offset: int) -> bytes:
    start = offset + _PREFIX
    return bytes(arena[start : start + int.from_bytes(arena[offset:start], "little")])
