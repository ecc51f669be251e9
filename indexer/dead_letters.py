"""Dead letters: records given up on, with the reason; listed, and sent again.

A dead letter is a record whose key and value are those of the original, byte for byte, with headers that tell the rest.
A letter may be there twice (a worker that died between writing it and committing); its source position tells.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from indexer.catalogue_event import Resolved, image_id_leniently
from indexer.set_aside import SetAside, key_to_append, original_of, set_aside
from shared.dead_letter import AT, DETAIL, PREFIX, REASON
from shared.errors import RejectionReason
from shared.event_log import LogReader, LogScanner, LogWriter, NewRecord, Record

DETAIL_CHARACTERS_MAX = 1000

# What one round of a replay holds in memory; within a round the letters of an image go in the order of their versions.
_ROUND_RECORDS = 10_000
_ROUND_BYTES = 64 * 1024 * 1024
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record as it was read, why it was given up on, and when (ms since the epoch).

    `resolved` travels with it, because the default of version and event time is the record's own timestamp, and a
    record that is sent again has another; None where version and event time could not be told.
    """

    record: Record
    reason: RejectionReason
    detail: str
    resolved: Resolved | None
    dead_lettered_at_ms: int

    @property
    def source(self) -> tuple[str, int]:
        """Partition and offset of the original."""
        return self.record.partition, self.record.offset


@dataclass(frozen=True, slots=True)
class DeadLetterSummary:
    """What a person wants to know of a dead letter; `size_bytes` is the original's."""

    source_partition: str
    source_offset: int
    image_id: str | None
    reason: RejectionReason
    detail: str
    dead_lettered_at_ms: int
    size_bytes: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class ReplayCounts:
    """What a replay did: letters sent again, letters kept for their reason, records that are no dead letters."""

    replayed: int = 0
    kept: int = 0
    unreadable: int = 0

    def __add__(self, other: "ReplayCounts") -> "ReplayCounts":
        return ReplayCounts(self.replayed + other.replayed, self.kept + other.kept, self.unreadable + other.unreadable)


def to_new_record(letter: DeadLetter) -> NewRecord:
    """The record that keeps a letter."""
    told = {
        REASON: letter.reason.value,
        DETAIL: letter.detail[:DETAIL_CHARACTERS_MAX],
        AT: str(letter.dead_lettered_at_ms),
    }
    return set_aside(SetAside(letter.record, letter.resolved, told), PREFIX)


def from_record(record: Record) -> DeadLetter | None:
    """The letter that a record keeps; None where it is something else."""
    found = original_of(record, PREFIX)
    try:
        if found is None:
            return None
        reason, at_ms = RejectionReason(found.told[REASON]), int(found.told[AT])
        return DeadLetter(found.record, reason, found.told[DETAIL], found.resolved, at_ms)
    except (KeyError, ValueError):
        return None


def to_replayed_record(letter: DeadLetter) -> NewRecord:
    """The original, to be appended to the event source again, with its version and event time."""
    headers = [*letter.record.headers, *([] if letter.resolved is None else letter.resolved.headers())]
    return NewRecord(key_to_append(letter.record), letter.record.value, headers)


def list_dead_letters(scanner: LogScanner, replayed_to: Mapping[str, int]) -> Sequence[DeadLetterSummary]:
    """Every letter once, as it was written last, oldest first.

    `replayed_to` are the committed positions of the group that replays. Memory: a few hundred bytes for each letter.
    """
    found: dict[tuple[str, int], DeadLetterSummary] = {}
    for record in scanner.scan():
        letter = from_record(record)
        if letter is not None:
            found[letter.source] = DeadLetterSummary(
                *letter.source,
                image_id=image_id_leniently(letter.record),
                reason=letter.reason,
                detail=letter.detail,
                dead_lettered_at_ms=letter.dead_lettered_at_ms,
                size_bytes=letter.record.size_bytes,
                replayed=record.offset < replayed_to.get(record.partition, 0),
            )
    return sorted(found.values(), key=lambda summary: summary.dead_lettered_at_ms)


def replay(
    reader: LogReader,
    events: LogWriter,
    dead_letters: LogWriter,
    *,
    reason: RejectionReason | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ReplayCounts:
    """Send the letters that are there now, and were not replayed yet, to the event source again.

    With a `reason`, letters with another one are kept: they are appended to the dead letters again, because what was
    replayed is told by a position. Positions are committed behind what is durable; after an error, or a kill, the
    letters of the last round are sent again. `progress` gets what is done and the whole, in the log's own measure.
    """
    reached, goal = reader.committed_positions(), reader.end_positions()
    total = _left(goal, reached)
    counts = ReplayCounts()
    while left := _left(goal, reached):
        progress(total - left, total)
        records = _gather(reader, reached, goal)
        if records:
            counts += _send(records, events, dead_letters, reason)
            reader.commit({record.partition: record.next_offset for record in records})
        reached = reader.committed_positions()
    progress(total, total)
    return counts


def _left(goal: Mapping[str, int], reached: Mapping[str, int]) -> int:
    return sum(max(0, end - reached.get(name, 0)) for name, end in goal.items())


def _gather(reader: LogReader, reached: Mapping[str, int], goal: Mapping[str, int]) -> Sequence[Record]:
    """What a round can hold of the records before `goal`; none where other replays have the rest of them."""
    records: list[Record] = []
    while len(records) < _ROUND_RECORDS and sum(record.size_bytes for record in records) < _ROUND_BYTES:
        poll = reader.poll(min(1000, _ROUND_RECORDS - len(records)), _POLL_SECONDS)
        records = [record for record in records if record.partition not in poll.lost]
        records += [record for record in poll.records if record.offset < goal.get(record.partition, 0)]
        gathered = {record.partition: record.next_offset for record in records}
        if not poll.records or _left(goal, {**reached, **gathered}) == 0:
            break
    return records


def _send(
    records: Iterable[Record], events: LogWriter, dead_letters: LogWriter, reason: RejectionReason | None
) -> ReplayCounts:
    read = [from_record(record) for record in records]
    letters = {letter.source: letter for letter in read if letter is not None}.values()
    chosen = [letter for letter in letters if reason in {None, letter.reason}]
    kept = [letter for letter in letters if reason not in {None, letter.reason}]
    chosen.sort(key=lambda letter: 0 if letter.resolved is None else letter.resolved.version)
    events.append([to_replayed_record(letter) for letter in chosen])
    dead_letters.append([to_new_record(letter) for letter in kept])
    return ReplayCounts(len(chosen), len(kept), sum(letter is None for letter in read))
