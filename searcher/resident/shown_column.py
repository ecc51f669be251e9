"""What is shown of each row's image, beside its code: a place in a file. Not thread-safe."""

from collections.abc import Callable, Sequence

import numpy as np
import structlog

from searcher.resident.memory import Column
from searcher.resident.row_table import Rows
from searcher.resident.shown_file import NOWHERE, Places, ShownFile

# Less garbage is not worth the work.
_GARBAGE_MIN = 1 << 20
_COMPACT_BATCH = 1 << 14


class ShownColumn:
    """The places of rows 0 to n in `file`, which is None, and they are nowhere, where none is kept or can be.

    What does not fit, for the bound or for the disk, is left out, and said once: whoever needs it asks the store.
    """

    bytes_per_row = 4

    def __init__(self, capacity: int, open_file: Callable[[], ShownFile] | None) -> None:
        """`open_file` makes an empty file; OSError."""
        self._open_file = open_file
        self._places = Column(capacity if open_file else 0, np.uint32)
        self._log = structlog.get_logger()
        self._short = False
        self._garbage = 0
        self._garbage_allowed = _GARBAGE_MIN
        self.file = self._opened()

    def places(self, rows: Rows) -> Places:
        """Where in `file` the pieces of these rows are."""
        return np.zeros(len(rows), np.uint32) if self.file is None else self._places.array[rows]

    def write(self, rows: Rows, shown: Sequence[bytes | None]) -> None:
        """Set what is shown of each of `rows`, which were removed before or never written."""
        if self.file is None:
            return
        kept = [place for place, one in enumerate(shown) if one is not None]
        self._places.array[rows] = NOWHERE
        if not kept:
            return
        try:
            self._places.array[rows[kept]] = self.file.append([one for one in shown if one is not None])
            self._say(short=False)
        except OSError as error:
            self._say(short=True, why=error)

    def remove(self, rows: Rows) -> None:
        """What these rows show is garbage now."""
        if self.file is not None:
            self._garbage += int(self.file.sizes(self._places.array[rows]).sum())

    def move(self, rows: Rows, to: Rows) -> None:
        """Let the rows `to` show what `rows` show."""
        if self.file is not None:
            self._places.array[to] = self._places.array[rows]

    def release(self, count: int) -> None:
        """Give memory back that `count` rows do not need."""
        self._places.release(count)

    def compact(self, count: int) -> None:
        """Copy what `count` rows show to a new file where more than half of the old one is garbage.

        Readers of the old one may go on.
        """
        if self.file is None or self._garbage <= max(self.file.nbytes // 2, self._garbage_allowed):
            return
        places = self._places.array[:count].copy()
        new = self._copy(self.file, places)
        if new is None:
            # Tried again when there is twice as much.
            self._garbage_allowed = 2 * self._garbage
            return
        self._places.array[:count] = places
        self.file, self._garbage, self._garbage_allowed = new, 0, _GARBAGE_MIN

    def _copy(self, file: ShownFile, places: Places) -> ShownFile | None:
        """A file with what is at these places, which are set to where it is there; None where that can't be."""
        new = self._opened()
        if new is None:
            return None
        try:
            for start in range(0, len(places), _COMPACT_BATCH):
                part = slice(start, start + _COMPACT_BATCH)
                places[part] = file.copy_to(new, places[part])
        except OSError as error:
            self._say(short=True, why=error)
            return None
        return new

    def _opened(self) -> ShownFile | None:
        try:
            return None if self._open_file is None else self._open_file()
        except OSError as error:
            self._say(short=True, why=error)
            return None

    def _say(self, *, short: bool, why: OSError | None = None) -> None:
        if short and not self._short:
            self._log.warning("documents are not all kept beside the codes: the store is asked for them", why=str(why))
        self._short = short
