"""Which position may be committed: records finish in any order, a position passes finished ones only."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from indexer.event_log import Record


class OffsetTracker:
    """Records in flight by partition, in the order they were read.

    A partition that is lost and later read again starts a new assignment: what finishes late for the old one is
    ignored, because `done` names the record object that was begun, and the lost assignment no longer knows it.
    """

    def __init__(self) -> None:
        self._assignments: dict[str, OrderedDict[int, Record]] = {}
        self._finished: dict[str, set[int]] = {}
        self._positions: dict[str, int] = {}

    def begin(self, record: Record) -> None:
        """Take a record into account; records of a partition come in the order of their offsets."""
        self._assignments.setdefault(record.partition, OrderedDict())[record.offset] = record
        self._finished.setdefault(record.partition, set())

    def done(self, record: Record) -> None:
        """Say that nothing of this record is left to do."""
        in_flight = self._assignments.get(record.partition, OrderedDict())
        if in_flight.get(record.offset) is not record:
            return
        finished = self._finished[record.partition]
        finished.add(record.offset)
        while in_flight and (first := next(iter(in_flight))) in finished:
            self._positions[record.partition] = in_flight.pop(first).next_offset
            finished.discard(first)

    def lose(self, partitions: Iterable[str]) -> None:
        """Forget partitions that another reader has now: nothing of them may be committed any more."""
        for partition in partitions:
            self._assignments.pop(partition, None)
            self._finished.pop(partition, None)
            self._positions.pop(partition, None)

    def positions(self) -> Mapping[str, int]:
        """For each partition with progress, the position behind its unbroken run of finished records."""
        return dict(self._positions)

    def oldest_in_flight(self) -> Iterable[Record]:
        """The first unfinished record of each partition that has one."""
        return [next(iter(in_flight.values())) for in_flight in self._assignments.values() if in_flight]
