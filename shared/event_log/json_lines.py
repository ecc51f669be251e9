"""A log in one file of lines, read as it grows; its one partition is named like the file, positions are byte offsets.

A group's position lies beside the file, in `events.jsonl.GROUP.position`, with a fingerprint of what was read: where
the file was truncated or replaced since, the fingerprint no longer fits and reading starts at the beginning. That is
harmless, because versions make a second reading change nothing.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote

import structlog

from shared.errors import BadInputHaltError, EventLogUnavailableError
from shared.event_log import Poll, Record
from shared.event_log.line_file import LineFile, file_state
from shared.event_log.line_format import LineFormat
from shared.event_log.position_file import PositionFile, lock

# How often a file is looked at that has nothing new: it adds to the time from event to index, and costs one stat.
_LOOK_SECONDS = 0.025
# What one poll reads at most, whatever the count of records (one record is always read).
_POLL_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class JsonLinesLog:
    """Where a log lies, how its lines are written, and how long one may be."""

    path: Path
    line_format: LineFormat
    line_bytes_max: int

    def open(self) -> LineFile | None:
        """The file, at its beginning; None where there is none."""
        try:
            return LineFile(self.path, self.line_bytes_max)
        except FileNotFoundError:
            return None

    def next_record(self, file: LineFile) -> Record | None:
        """The next record, None where there is none yet. A line that can't be read is met again at the next call."""
        start = file.position
        line = file.next_line()
        if line is None:
            return None
        try:
            content = self.line_format.decode(line.content)
        except ValueError as error:
            file.seek(start)
            raise BadInputHaltError(f"{self.path}: the line at byte {line.offset} can't be read: {error}") from error
        return Record(
            self.path.name,
            line.offset,
            line.next_offset,
            content.timestamp_ms,
            content.key,
            content.value,
            content.headers,
        )


class JsonLinesReader:
    """The one reader of its group; a second one waits until the first is closed or dead."""

    def __init__(
        self,
        log_file: JsonLinesLog,
        group: str,
        log: structlog.typing.FilteringBoundLogger,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is opened yet. `clock` gives seconds, `sleep` waits for some."""
        self._log_file = log_file
        self._path = log_file.path
        self._group = group
        self._log = log
        self._clock = clock
        self._sleep = sleep
        beside = f"{self._path.name}.{quote(group, safe='')}"
        self._position_file = PositionFile(self._path.with_name(f"{beside}.position"))
        self._lock_path = self._path.with_name(f"{beside}.lock")
        self._lock: int | None = None
        self._file: LineFile | None = None
        self._state: tuple[int, int, int, int] | None = None
        self._read_to: tuple[int, str] | None = None
        self._exhausted = False
        self._restarted = False

    def poll(self, records_max: int, timeout_seconds: float) -> Poll:
        """The next whole lines. EventLogUnavailableError while another process reads as the same group."""
        deadline = self._clock() + timeout_seconds
        with translated_errors(self._path):
            self._become_the_reader()
            while True:
                records = self._follow_and_read(records_max)
                if records or self._restarted or self._clock() >= deadline:
                    restarted, self._restarted = self._restarted, False
                    return Poll(records, frozenset({self._path.name}) if restarted else frozenset())
                self._sleep(min(_LOOK_SECONDS, max(0.0, deadline - self._clock())))

    def commit(self, positions: Mapping[str, int]) -> None:
        """Keep the position durably; left out where it is a position in a file that is no more."""
        position = positions.get(self._path.name)
        if position is None or self._lock is None:
            return
        with translated_errors(self._path):
            self._follow()
            if self._file is not None and not self._restarted:
                self._position_file.write(position, self._file.fingerprint(position))

    def stage(self, positions: Mapping[str, int]) -> None:
        """Nothing to do: a file is handed over only when its reader is gone."""

    def lag(self) -> Mapping[str, int]:
        """Bytes between what was read and the end of the file, a half-written line included."""
        with translated_errors(self._path):
            return {} if self._file is None else {self._path.name: max(0, self._file.size() - self._file.position)}

    def end_positions(self) -> Mapping[str, int]:
        """The position behind the last whole line; 0 where there is no file."""
        with translated_errors(self._path):
            file = self._log_file.open()
            if file is None:
                return {self._path.name: 0}
            with file:
                return {self._path.name: file.end()}

    def committed_positions(self) -> Mapping[str, int]:
        """The group's position in the file that is there now; 0 where it belongs to another."""
        with translated_errors(self._path):
            file = self._log_file.open()
            if file is None:
                return {self._path.name: 0}
            with file:
                position, fingerprint = self._position_file.read()
                return {self._path.name: position if file.fingerprint(position) == fingerprint else 0}

    def close(self) -> None:
        """Let the next reader of the group go on."""
        if self._file is not None:
            self._file.close()
        if self._lock is not None:
            os.close(self._lock)
        self._file = self._lock = self._state = self._read_to = None

    def _become_the_reader(self) -> None:
        if self._lock is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not lock(descriptor):
            os.close(descriptor)
            raise EventLogUnavailableError(f"another worker reads {self._path} as group {self._group}")
        self._lock = descriptor

    def _follow_and_read(self, records_max: int) -> Sequence[Record]:
        try:
            self._follow()
            return self._read(records_max)
        except OSError:
            # Open the file again where the last poll ended: what was read since does not reach the caller.
            self._state = None
            raise

    def _follow(self) -> None:
        """Have the file open where reading goes on, as it is now; start again where it was truncated or replaced."""
        try:
            state = file_state(self._path.stat())
        except FileNotFoundError:
            return
        if state == self._state:
            return
        position, fingerprint = self._read_to or self._position_file.read()
        file = LineFile(self._path, self._log_file.line_bytes_max)
        if file.fingerprint(position) != fingerprint:
            self._log.warning("event_file_replaced", path=str(self._path), position=position)
            position, self._restarted = 0, True
        file.seek(position)
        if self._file is not None:
            self._file.close()
        self._file, self._state, self._exhausted = file, file.state(), False
        self._read_to = position, file.fingerprint(position)

    def _read(self, records_max: int) -> Sequence[Record]:
        file, records, size = self._file, list[Record](), 0
        if file is None:
            return records
        # A half-written line is not read again before the file has changed.
        while not self._exhausted and len(records) < records_max and size < _POLL_BYTES_MAX:
            try:
                record = self._log_file.next_record(file)
            except BadInputHaltError:
                if not records:
                    raise
                break  # What lies before it is still worth indexing; the next poll comes back to it.
            if record is None:
                self._exhausted = True
                break
            records.append(record)
            size += record.size_bytes
        if records:
            self._read_to = file.position, file.fingerprint(file.position)
        return records


class JsonLinesScanner:
    """Reads a file from its beginning to its end."""

    def __init__(self, log_file: JsonLinesLog) -> None:
        """Nothing is opened yet."""
        self._log_file = log_file

    def scan(self, since: Mapping[str, int] = MappingProxyType({})) -> Iterator[Record]:
        """Every whole line that was there when the scan began; none where there is no file."""
        with translated_errors(self._log_file.path):
            file = self._log_file.open()
            if file is None:
                return
            with file:
                end = file.end()
                file.seek(since.get(self._log_file.path.name, 0))
                while file.position < end and (record := self._log_file.next_record(file)) is not None:
                    yield record

    def end_positions(self) -> Mapping[str, int]:
        """The position behind the last whole line; none where there is no file."""
        with translated_errors(self._log_file.path):
            file = self._log_file.open()
            if file is None:
                return {}
            with file:
                return {self._log_file.path.name: file.end()}

    def close(self) -> None:
        """Nothing is kept open."""


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Raise the system's errors about a log's file as the project's own."""
    try:
        yield
    except OSError as error:
        raise EventLogUnavailableError(f"{error.filename or path}: {error.strerror}") from error
