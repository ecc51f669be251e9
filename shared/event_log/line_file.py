"""A file that is read line by line from a position, while other processes append to it."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from shared.errors import BadInputHaltError

_BUFFER_BYTES = 256 * 1024
# How much of the beginning, and of what lies just before a position, tells a file from another.
_FINGERPRINT_BYTES = 4096
# The fingerprint of position 0 in any file.
EMPTY_FINGERPRINT = hashlib.sha256().hexdigest()


@dataclass(frozen=True, slots=True)
class Line:
    """A whole line without its line end, the byte offset it starts at, and where the next one starts."""

    offset: int
    next_offset: int
    content: bytes


class LineFile:
    """Reads whole lines; what has no line end yet waits. Positions are byte offsets of line starts.

    Memory: one line of at most `line_bytes_max` bytes, and one buffer.
    """

    def __init__(self, path: Path, line_bytes_max: int) -> None:
        """Open the file at its beginning; OSError where it can't be."""
        self.path = path
        self.position = 0
        self._line_bytes_max = line_bytes_max
        self._file = path.open("rb", buffering=_BUFFER_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def seek(self, position: int) -> None:
        """Go on reading at `position`, the start of a line."""
        self._file.seek(position)
        self.position = position

    def next_line(self) -> Line | None:
        """The next line that is not blank, or None where no whole one is there yet.

        BadInputHaltError where a line is longer than the bound, at every further call too.
        """
        while True:
            read = self._file.readline(self._line_bytes_max + 1)
            start = self.position
            if not read.endswith(b"\n"):
                self._file.seek(start)
                if len(read) > self._line_bytes_max:
                    raise BadInputHaltError(
                        f"{self.path}: the line at byte {start} is longer than {self._line_bytes_max} bytes"
                    )
                return None
            self.position += len(read)
            if read.strip():
                return Line(start, self.position, read[:-1])

    def fingerprint(self, position: int) -> str:
        """A digest of what lies before `position`: equal where the file was only appended to since. "" if shorter."""
        length = min(position, _FINGERPRINT_BYTES)
        head = os.pread(self._file.fileno(), length, 0)
        tail = os.pread(self._file.fileno(), length, position - length)
        if len(head) < length or len(tail) < length:
            return ""
        return hashlib.sha256(head + tail).hexdigest()

    def size(self) -> int:
        """Bytes in the file now, an unfinished line included."""
        return os.fstat(self._file.fileno()).st_size

    def end(self) -> int:
        """The position behind the last whole line that is not blank: what a reader reaches by reading all there is."""
        size, window = self.size(), _BUFFER_BYTES
        while True:
            start = max(0, size - window)
            block = os.pread(self._file.fileno(), size - start, start)
            whole_lines = block[: block.rfind(b"\n") + 1]
            text = whole_lines.rstrip()
            if text:
                return start + whole_lines.index(b"\n", len(text)) + 1
            if start == 0:
                return 0
            window *= 4

    def state(self) -> tuple[int, int, int, int]:
        """Changes whenever the file was written to."""
        return file_state(os.fstat(self._file.fileno()))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def file_state(status: os.stat_result) -> tuple[int, int, int, int]:
    """What tells without reading that a path holds another file or content: device, inode, size, time of change."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def append_lines(descriptor: int, lines: bytes, *, cut_torn_tail: bool) -> None:
    """Append whole lines durably to a file opened for appending, or leave it as it was and raise OSError (disk full).

    A writer that was killed may have left half a line. It is cut away where `cut_torn_tail` says so; otherwise it gets
    a line end, so that it does not swallow the first of `lines`.
    """
    size = os.fstat(descriptor).st_size
    whole = _whole_lines_end(descriptor, size)
    if whole < size and cut_torn_tail:
        os.ftruncate(descriptor, whole)
        size = whole
    unwritten = memoryview(lines if whole == size else b"\n" + lines)
    try:
        while unwritten:
            unwritten = unwritten[os.write(descriptor, unwritten) :]
        os.fsync(descriptor)
    except OSError:
        # What was written of them would be there twice, or in part, once they are appended again.
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def _whole_lines_end(descriptor: int, size: int) -> int:
    end = size
    while end > 0:
        start = max(0, end - _BUFFER_BYTES)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
