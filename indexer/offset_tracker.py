"""Which position may be committed: records finish in any order, a position passes finished ones only."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.event_log import Record


@dataclass(slots=True)
class _Assignment:
    """A partition while this worker has it."""

    # By offset, in the order of reading: the record while it is in flight, its next offset once it is finished. A
    # finished record's bytes must not stay in memory for as long as an earlier one takes.
    begun: OrderedDict[int, Record | int] = field(default_factory=OrderedDict)
    # Next offsets of the finished records that the position has passed and no commit has told yet.
    passed: deque[int] = field(default_factory=deque)
    position: int | None = None


class OffsetTracker:
    """Records by partition, in the order they were read, until their position is committed.

    A partition that is lost and later read again starts a new assignment: what finishes late for the old one is
    ignored, because `done` names the record object that was begun, and the lost assignment no longer knows it.
    """

    def __init__(self) -> None:
        self._assignments: dict[str, _Assignment] = {}

    @property
    def uncommitted(self) -> int:
        """How many records were begun and lie behind no committed position: what a crash now makes a worker redo."""
        return sum(len(each.begun) + len(each.passed) for each in self._assignments.values())

    def begin(self, record: Record) -> None:
        """Take a record into account; records of a partition come in the order of their offsets."""
        self._assignments.setdefault(record.partition, _Assignment()).begun[record.offset] = record

    def done(self, record: Record) -> None:
        """Say that nothing of this record is left to do."""
        assignment = self._assignments.get(record.partition)
        if assignment is None or assignment.begun.get(record.offset) is not record:
            return
        begun = assignment.begun
        begun[record.offset] = record.next_offset
        while begun and isinstance(first := next(iter(begun.values())), int):
            begun.popitem(last=False)
            assignment.passed.append(first)
            assignment.position = first

    def committed(self, positions: Mapping[str, int]) -> None:
        """Say that these positions are committed."""
        for partition, position in positions.items():
            passed = self._assignments[partition].passed if partition in self._assignments else deque[int]()
            while passed and passed[0] <= position:
                passed.popleft()

    def lose(self, partitions: Iterable[str]) -> None:
        """Forget partitions that another reader has now: nothing of them may be committed any more."""
        for partition in partitions:
            self._assignments.pop(partition, None)

    def positions(self) -> Mapping[str, int]:
        """For each partition with progress, the position behind its unbroken run of finished records."""
        found = ((partition, each.position) for partition, each in self._assignments.items())
        return {partition: position for partition, position in found if position is not None}

    def oldest_in_flight(self) -> Iterable[Record]:
        """The first unfinished record of each partition that has one."""
        firsts = (next(iter(each.begun.values()), None) for each in self._assignments.values())
        return [first for first in firsts if isinstance(first, Record)]
