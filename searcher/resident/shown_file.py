"""What is shown of images, in a file, so that the system may take its memory back.

It is appended to by writing and read through a mapping: a full disk is an error of the write; a store into the mapping
would not survive it. The file has no name, so nobody else opens it and it goes with the process.
"""

import contextlib
import mmap
import os
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searcher.resident.row_table import Rows

Places = NDArray[np.uint32]
NOWHERE = 0
"""The place of what is not kept: the file begins with a unit that is nobody's."""

_UNIT = 8
_PREFIX = 4
# Places are 32 bits wide.
_BYTES_MAX = _UNIT * (2**32 - 1)


class ShownFile:
    """Pieces of bytes one behind another, each with its length before it (4 bytes), aligned to 8 bytes.

    A place names a piece. What was appended never changes, so any thread may read it as long as it holds this.
    """

    def __init__(self, bytes_max: int, folder: Path | None = None) -> None:
        """A file of at most `bytes_max` bytes in `folder`, by default the system's for temporary files; OSError."""
        self._bytes_max = min(max(bytes_max, _UNIT), _BYTES_MAX) // _UNIT * _UNIT
        self._descriptor, path = tempfile.mkstemp(prefix="catalogue-shown-", dir=folder)
        weakref.finalize(self, os.close, self._descriptor)
        Path(path).unlink()
        # At its full length from the start: what is not written yet takes no room.
        os.ftruncate(self._descriptor, self._bytes_max)
        self._mapping = mmap.mmap(self._descriptor, self._bytes_max, prot=mmap.PROT_READ)
        self.nbytes = _UNIT

    def append(self, pieces: Sequence[bytes]) -> Places:
        """Keep these; OSError, and none is kept, where there is no room."""
        parts = [len(one).to_bytes(_PREFIX, "little") + one + bytes(-(len(one) + _PREFIX) % _UNIT) for one in pieces]
        ends = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))
        start = self._write(b"".join(parts))
        return ((start + np.concatenate(([0], ends[:-1]))) // _UNIT).astype(np.uint32)

    def read(self, places: Places) -> list[bytes | None]:
        """The pieces at these places; None for NOWHERE."""
        mapping = self._mapping
        starts = (places.astype(np.int64) * _UNIT + _PREFIX).tolist()
        ends = (starts + self._lengths(places)).tolist()
        return [mapping[start:end] if start > _UNIT else None for start, end in zip(starts, ends, strict=True)]

    def sizes(self, places: Places) -> Rows:
        """How many bytes of the file each of these pieces takes; 0 for NOWHERE."""
        sizes: Rows = -(-(self._lengths(places) + _PREFIX) // _UNIT) * _UNIT
        return np.where(places == NOWHERE, 0, sizes)

    def copy_to(self, other: "ShownFile", places: Places) -> Places:
        """Append these pieces to another file; gives their places there. OSError, and none is kept."""
        units = self.sizes(places) // _UNIT
        firsts = np.cumsum(units) - units
        sources = np.repeat(places - firsts, units) + np.arange(int(units.sum()))
        start = other._write(np.frombuffer(self._mapping, np.uint64)[sources].tobytes())
        return np.where(places == NOWHERE, NOWHERE, start // _UNIT + firsts).astype(np.uint32)

    def _lengths(self, places: Places) -> Rows:
        lengths: Rows = np.frombuffer(self._mapping, "<u4")[places.astype(np.int64) * (_UNIT // 4)].astype(np.int64)
        return lengths

    def _write(self, content: bytes) -> int:
        """Append whole units; gives where they begin."""
        start, end = self.nbytes, self.nbytes + len(content)
        if end > self._bytes_max:
            raise OSError(f"CATALOGUE_RESIDENT_DOCUMENTS_BYTES_MAX ({self._bytes_max}) is reached")
        try:
            while self.nbytes < end:
                self.nbytes += os.pwrite(self._descriptor, memoryview(content)[self.nbytes - start :], self.nbytes)
        except OSError:
            self.nbytes = start
            with contextlib.suppress(OSError):
                # What was written of it goes back to the disk.
                os.ftruncate(self._descriptor, start)
                os.ftruncate(self._descriptor, self._bytes_max)
            raise
        return start
