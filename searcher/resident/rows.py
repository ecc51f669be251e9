"""The rows of the resident index: a code, a version, an event time, an id and terms for each image. Not thread-safe."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from searcher.resident.image_ids import ImageIds, encode
from searcher.resident.memory import Column
from searcher.resident.row_table import Rows
from searcher.resident.shown_column import ShownColumn
from searcher.resident.shown_file import ShownFile
from searcher.resident.term_columns import TermColumns
from shared.errors import CatalogueError
from shared.store import Change

_NEVER = np.iinfo(np.int64).max


class IndexFullError(CatalogueError):
    """The window's codes do not fit into the memory that they may take."""


class ImageRows:
    """Rows 0 to `count`, without gaps; the last row moves where one is removed. Columns are reserved at full size."""

    def __init__(
        self,
        bits: int,
        bytes_max: int,
        fields: Sequence[str],
        hash_of: Callable[[str], int],
        shown_file: Callable[[], ShownFile] | None,
    ) -> None:
        self._bytes_max = bytes_max
        self._code_bytes = bits // 8
        width = -(-self._code_bytes // 8) * 8
        self._bytes_per_row = width + 8 + 8 + ImageIds.bytes_per_row + 4 * len(set(fields))
        self._bytes_per_row += ShownColumn.bytes_per_row if shown_file else 0
        capacity = bytes_max // self._bytes_per_row
        self.count = 0
        self.oldest_ms = _NEVER
        """No event time is below this."""
        self._codes = Column(capacity, np.uint8, width)
        self._versions = Column(capacity, np.int64)
        self._event_times = Column(capacity, np.int64)
        self.ids = ImageIds(capacity, bytes_max, hash_of)
        self.terms = TermColumns(fields, capacity)
        self.shown = ShownColumn(capacity, shown_file)

    @property
    def codes(self) -> NDArray[np.uint8]:
        """Shape (count, bits / 8 up to whole 8 bytes, zeros behind); a view that the next change may alter."""
        return self._codes.array[: self.count]

    @property
    def versions(self) -> NDArray[np.int64]:
        """Shape (count,); a view."""
        return self._versions.array[: self.count]

    @property
    def event_times(self) -> NDArray[np.int64]:
        """Milliseconds since the epoch, shape (count,); a view."""
        return self._event_times.array[: self.count]

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return self.count * self._bytes_per_row + self.ids.nbytes + self.terms.nbytes

    def apply(self, changes: Sequence[Change]) -> None:
        """What `ResidentIndex.apply` says; all or nothing where the rows do not fit."""
        for part in _of_distinct_ids(changes):
            self._apply(part)
        self.shown.compact(self.count)

    def expire(self, visible_after_ms: int) -> int:
        """Remove the images of this event time or an older one; gives how many."""
        if visible_after_ms < self.oldest_ms:
            return 0
        gone = np.flatnonzero(self.event_times <= visible_after_ms)
        self.shown.remove(gone)
        self._remove(gone)
        self.oldest_ms = int(self.event_times.min()) if self.count else _NEVER
        if len(gone) > self.count:
            self._release()
        self.shown.compact(self.count)
        return len(gone)

    def _apply(self, changes: Sequence[Change]) -> None:
        rows = self.ids.find([change.image_id for change in changes])
        versions = np.fromiter((change.version for change in changes), np.int64, len(changes))
        live = np.fromiter((change.code is not None for change in changes), np.bool_, len(changes))
        known = np.flatnonzero(rows >= 0)
        newer = known[versions[known] > self.versions[rows[known]]]
        self._append([changes[place] for place in np.flatnonzero((rows < 0) & live).tolist()])
        self.shown.remove(rows[newer])
        replacing = newer[live[newer]]
        self._write(rows[replacing], [changes[place] for place in replacing.tolist()])
        self._remove(rows[newer[~live[newer]]])

    def _append(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        encoded = [encode(change.image_id) for change in changes]
        count = self.count + len(changes)
        needed = count * self._bytes_per_row + self.ids.bytes_with(count, encoded) + self.terms.nbytes
        if needed > self._bytes_max or not self.ids.has_room(encoded):
            raise IndexFullError(
                f"{count} images need {needed} bytes of memory, above CATALOGUE_RESIDENT_BYTES_MAX = {self._bytes_max}"
            )
        self.ids.append([change.image_id for change in changes], encoded, self.count)
        self._write(np.arange(self.count, count), changes)
        self.count = count

    def _write(self, rows: Rows, changes: Sequence[Change]) -> None:
        if not changes:
            return
        codes = b"".join([change.code or b"" for change in changes])
        self._codes.array[rows, : self._code_bytes] = np.frombuffer(codes, np.uint8).reshape(len(rows), -1)
        self._versions.array[rows] = [change.version for change in changes]
        times = np.fromiter((change.event_time_ms for change in changes), np.int64, len(changes))
        self._event_times.array[rows] = times
        self.oldest_ms = min(self.oldest_ms, int(times.min()))
        if self.terms.bytes_per_row:
            self.terms.write(rows, [change.terms for change in changes])
        self.shown.write(rows, [change.shown for change in changes])

    def _remove(self, rows: Rows) -> None:
        if not len(rows):
            return
        moved, holes = self.ids.remove(rows, self.count)
        for column in (self._codes.array, self._versions.array, self._event_times.array):
            column[holes] = column[moved]
        self.terms.move(moved, holes)
        self.shown.move(moved, holes)
        self.count -= len(rows)

    def _release(self) -> None:
        for column in (self._codes, self._versions, self._event_times):
            column.release(self.count)
        self.ids.release(self.count)
        self.terms.release(self.count)
        self.shown.release(self.count)


def _of_distinct_ids(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """Parts without a repeated id that, one after another, leave what the changes leave in their order."""
    while changes:
        seen: set[str] = set()
        later: list[Change] = []
        if len({change.image_id for change in changes}) == len(changes):
            yield changes
            return
        first: list[Change] = []
        for change in changes:
            (later if change.image_id in seen else first).append(change)
            seen.add(change.image_id)
        yield first
        changes = later
