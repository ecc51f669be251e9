"""Logs of records: the event source and the dead letters, on Kafka or in a JSON Lines file.

A log is read by a *group*, which has one committed position in each partition; positions are Kafka offsets or byte
offsets. Every method may raise EventLogUnavailableError (retriable). A reader belongs to one thread at a time, but for
`stage`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read: nothing decoded, nothing lost.

    `offset` is its position in `partition`, `next_offset` the position to commit once it is done. `timestamp_ms` is the
    log's own time of the record (None in a plain file). `value` None is a delete (never in a plain file).
    """

    partition: str
    offset: int
    next_offset: int
    timestamp_ms: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def size_bytes(self) -> int:
        """Bytes of memory that its content takes."""
        return (
            len(self.key or b"") + len(self.value or b"") + sum(len(name) + len(value) for name, value in self.headers)
        )


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to append. `timestamp_ms` None leaves the time to the log."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll brought. Handle `lost` first: these partitions were taken away since the last poll, and what is
    still in flight of them must not be committed any more. `records` may hold such a partition again, newly assigned.
    """

    records: Sequence[Record]
    lost: frozenset[str] = frozenset()


class LogReader(Protocol):
    """A member of a group that reads a log from the group's committed position, or from the start without one."""

    def poll(self, records_max: int, timeout_seconds: float) -> Poll:
        """Up to `records_max` next records, waiting at most so long for the first. 0 only keeps up the membership."""

    def commit(self, positions: Mapping[str, int]) -> None:
        """Make these the group's positions (next offset to read). Positions of partitions not held are left out.

        The latest positions given are also committed when a partition is handed over in a rebalance, so give every
        advance as soon as it is known through `stage`.
        """

    def stage(self, positions: Mapping[str, int]) -> None:
        """Say what may be committed, at any time and from any thread; cheap.

        A hand-over waits a moment for what was read to be staged, so that its new owner does none of it again.
        """

    def lag(self) -> Mapping[str, int]:
        """For each held partition, what lies between the read position and the end: records (Kafka) or bytes (file)."""

    def end_positions(self) -> Mapping[str, int]:
        """The end of every partition of the log now, held or not."""

    def committed_positions(self) -> Mapping[str, int]:
        """The group's committed position in every partition of the log (0 or the first offset where there is none)."""

    def close(self) -> None:
        """Leave the group; nothing is committed by this."""


class LogScanner(Protocol):
    """Reads a whole log without a group: no position is read or moved."""

    def scan(self, since: Mapping[str, int] = MappingProxyType({})) -> Iterator[Record]:
        """Every record from the start of the log to what was its end when the scan began.

        Of partitions that `since` names, only what lies at these positions or behind.
        """

    def end_positions(self) -> Mapping[str, int]:
        """The end of every partition of the log now; none where there is no log yet."""

    def close(self) -> None:
        """Free connections and files."""


class LogWriter(Protocol):
    """Appends records."""

    def append(self, records: Sequence[NewRecord]) -> None:
        """Append all, in order for each key, and return once they are durable; BadInputHaltError where the log refuses
        one for its size. After EventLogUnavailableError some may have been appended: appending again repeats them."""

    def close(self) -> None:
        """Free connections and files; what `append` took is durable already."""


class PublishedWriter(LogWriter, Protocol):
    """Appends to a log that is looked into first, so that nothing is in it twice."""

    def alone(self) -> AbstractContextManager[None]:
        """Keep others from appending between a look and an append, where the log can do that: a file, on one machine.

        EventLogUnavailableError where another keeps it.
        """
