"""Appending to a file of lines."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO

from shared.errors import BadInputHaltError, EventLogUnavailableError
from shared.event_log import NewRecord
from shared.event_log.json_lines import JsonLinesLog, translated_errors
from shared.event_log.line_file import append_lines
from shared.event_log.position_file import lock, sync_folder

# How often another's append is waited for, and how long each time.
_APPEND_TRIES = 400
_PAUSE_SECONDS = 0.025


class JsonLinesWriter:
    """Appends whole lines; several processes may do so at once."""

    def __init__(
        self,
        log_file: JsonLinesLog,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is opened yet. `clock` gives seconds since the epoch."""
        self._log_file = log_file
        self._path = log_file.path
        self._clock = clock
        self._sleep = sleep
        # Open while it is locked.
        self._file: FileIO | None = None

    def append(self, records: Sequence[NewRecord]) -> None:
        """Append all in one go; none where one is too large or has no value to write."""
        if not records:
            return
        lines = b"".join(self._line(record) for record in records)
        with self._locked() as file:
            size = os.fstat(file.fileno()).st_size
            append_lines(file.fileno(), lines, cut_torn_tail=self._log_file.line_format.written_here_only)
            if size == 0:
                sync_folder(self._path.parent)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else on this machine appends meanwhile; EventLogUnavailableError where another holds on to it."""
        with self._locked() as file:
            self._file = file
            try:
                yield
            finally:
                self._file = None

    def close(self) -> None:
        """Nothing is kept open."""

    def _line(self, record: NewRecord) -> bytes:
        line = self._log_file.line_format.encode(record, int(self._clock() * 1000))
        if len(line) > self._log_file.line_bytes_max:
            raise BadInputHaltError(
                f"{self._path}: a line of {len(line)} bytes is longer than the {self._log_file.line_bytes_max} that "
                "CATALOGUE_DEAD_LETTER_BYTES_MAX allows"
            )
        return line + b"\n"

    @contextmanager
    def _locked(self) -> Iterator[FileIO]:
        with translated_errors(self._path):
            if self._file is not None:
                yield self._file
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b", buffering=0) as file:
                self._lock(file.fileno())
                yield file

    def _lock(self, descriptor: int) -> None:
        for _ in range(_APPEND_TRIES):
            if lock(descriptor):
                return
            self._sleep(_PAUSE_SECONDS)
        raise EventLogUnavailableError(f"another process holds {self._path} to append to it")
