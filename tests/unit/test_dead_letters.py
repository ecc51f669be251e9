"""Dead letters keep the original as it was, are listed once, and are sent again in order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogue_event import Resolved
from indexer.dead_letters import (
    DeadLetter,
    ReplayCounts,
    from_record,
    list_dead_letters,
    replay,
    to_new_record,
    to_replayed_record,
)
from shared.errors import EventLogUnavailableError, RejectionReason
from shared.event_log import NewRecord, Poll, Record

RESOLVED = Resolved(5, version_explicit=True, event_time_us=1_000_000)
ORIGINAL = Record("3", 17, 18, 1_795_176_000_000, b"sku-17", b'{"image": 5}', [("trace", b"\x00\xff")])
LETTER = DeadLetter(ORIGINAL, RejectionReason.EVENT_INVALID, "image is missing", RESOLVED, 1_795_176_001_000)


def letter(offset: int, version: int = 5, image_id: str = "sku-17", detail: str = "") -> DeadLetter:
    record = replace(ORIGINAL, offset=offset, next_offset=offset + 1, key=image_id.encode())
    return replace(
        LETTER,
        record=record,
        detail=detail,
        resolved=Resolved(version, True, 0),
        dead_lettered_at_ms=LETTER.dead_lettered_at_ms + offset,
    )


@dataclass
class MemoryLog:
    """A log in memory: one partition with one group, which may lose the partition to another member of it."""

    records: list[Record] = field(default_factory=list)
    read_to: int = 0
    committed: int = 0
    failures: int = 0
    lose_at: int | None = None

    def append(self, records: Sequence[NewRecord]) -> None:
        if self.failures:
            self.failures -= 1
            raise EventLogUnavailableError("away")
        for record in records:
            end = len(self.records)
            self.records.append(Record("dead", end, end + 1, 0, record.key, record.value, record.headers))

    def poll(self, records_max: int, timeout_seconds: float) -> Poll:
        if self.lose_at is not None and self.read_to >= self.lose_at:
            # The other member does the rest.
            self.lose_at, self.read_to, self.committed = None, len(self.records), len(self.records)
            return Poll([], frozenset({"dead"}))
        batch = self.records[self.read_to : self.read_to + min(records_max, 3)]
        self.read_to += len(batch)
        return Poll(batch)

    def commit(self, positions: Mapping[str, int]) -> None:
        self.committed = positions["dead"]

    def stage(self, positions: Mapping[str, int]) -> None:
        """Nothing is handed over."""

    def lag(self) -> Mapping[str, int]:
        return {"dead": len(self.records) - self.read_to}

    def end_positions(self) -> Mapping[str, int]:
        return {"dead": len(self.records)}

    def committed_positions(self) -> Mapping[str, int]:
        return {"dead": self.committed}

    def scan(self, since: Mapping[str, int] = MappingProxyType({})) -> Iterator[Record]:
        yield from self.records[since.get("0", 0) :]

    def close(self) -> None:
        """Nothing to free."""


@pytest.fixture
def dead() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def events() -> MemoryLog:
    return MemoryLog()


def kept(record: NewRecord) -> DeadLetter | None:
    """The letter as it comes back from its log."""
    return from_record(Record("0", 0, 1, 0, record.key, record.value, record.headers))


def versions(log: MemoryLog) -> list[tuple[bytes | None, bytes]]:
    return [(record.key, dict(record.headers)["catalogue-version"]) for record in log.records]


def test_a_letter_comes_back_as_it_was() -> None:
    assert kept(to_new_record(LETTER)) == LETTER


def test_key_and_value_of_the_original_are_untouched_and_its_headers_kept() -> None:
    record = to_new_record(LETTER)
    assert (record.key, record.value) == (ORIGINAL.key, ORIGINAL.value)
    assert record.headers[0] == ("trace", b"\x00\xff")
    assert dict(record.headers)["catalogue-dead-letter-reason"] == b"event_invalid"


@given(
    st.none() | st.binary(),
    st.binary(),
    st.lists(st.tuples(st.sampled_from(["a", "b", "catalogue-version"]), st.binary()), max_size=3),
    st.none() | st.integers(0, 2**63 - 1),
    st.text(max_size=50),
)
def test_any_record_whose_version_could_not_be_told_comes_back(
    key: bytes | None, value: bytes, headers: list[tuple[str, bytes]], timestamp_ms: int | None, detail: str
) -> None:
    record = Record("events.jsonl", 5, 9, timestamp_ms, key, value, headers)
    unresolved = DeadLetter(record, RejectionReason.EVENT_NOT_JSON, detail, None, 7)
    assert kept(to_new_record(unresolved)) == unresolved
    assert to_replayed_record(unresolved) == NewRecord(key, value, headers)


def test_a_letter_of_a_replayed_record_has_each_header_once() -> None:
    replayed = replace(ORIGINAL, headers=[*ORIGINAL.headers, *RESOLVED.headers()])
    record = to_new_record(replace(LETTER, record=replayed))
    names = [name for name, _ in record.headers]
    assert len(names) == len(set(names))
    assert kept(record) == LETTER


def test_headers_of_a_letter_that_was_copied_into_the_event_source_are_not_taken_for_the_originals() -> None:
    copied = replace(ORIGINAL, headers=to_new_record(LETTER).headers)
    second = replace(LETTER, record=copied, reason=RejectionReason.VERSION_MIXED)
    assert kept(to_new_record(second)) == replace(LETTER, reason=RejectionReason.VERSION_MIXED)


def test_a_detail_is_cut_and_written_whatever_it_holds() -> None:
    found = kept(to_new_record(replace(LETTER, detail="\ud800" + "x" * 5000)))
    assert found is not None
    assert found.detail == "\\ud800" + "x" * 999


def test_a_record_of_neither_key_nor_value_gets_an_empty_key() -> None:
    record = to_new_record(replace(LETTER, record=replace(ORIGINAL, key=None, value=None)))
    assert (record.key, record.value) == (b"", None)


@pytest.mark.parametrize("header", ["reason", "detail", "at-ms", "partition", "offset", "next-offset"])
def test_a_record_that_lacks_a_header_is_no_dead_letter(header: str) -> None:
    record = to_new_record(LETTER)
    assert (
        kept(replace(record, headers=[h for h in record.headers if h[0] != f"catalogue-dead-letter-{header}"])) is None
    )


def test_a_reason_that_does_not_exist_is_no_dead_letter() -> None:
    record = to_new_record(LETTER)
    headers = [(name, b"?" if name.endswith("reason") else value) for name, value in record.headers]
    assert kept(replace(record, headers=headers)) is None


def test_the_original_is_sent_again_with_its_version_and_time() -> None:
    assert to_replayed_record(LETTER) == NewRecord(
        b"sku-17", b'{"image": 5}', [("trace", b"\x00\xff"), *RESOLVED.headers()]
    )


def test_the_list_has_each_source_position_once_as_it_was_written_last(dead: MemoryLog) -> None:
    dead.append([to_new_record(one) for one in (letter(2, detail="first"), letter(1), letter(2, detail="last"))])
    dead.append([NewRecord(b"key", b"no dead letter")])
    listed = list_dead_letters(dead, {"dead": 2})
    assert [(one.source_partition, one.source_offset, one.detail, one.replayed) for one in listed] == [
        ("3", 1, "", True),
        ("3", 2, "last", False),
    ]
    assert {(one.image_id, one.reason, one.size_bytes) for one in listed} == {
        ("sku-17", RejectionReason.EVENT_INVALID, ORIGINAL.size_bytes)
    }


def test_the_list_tells_the_image_id_of_a_line_of_a_file(dead: MemoryLog) -> None:
    dead.append([to_new_record(replace(LETTER, record=replace(ORIGINAL, key=None, value=b'{"image_id": "a"}')))])
    dead.append([to_new_record(replace(letter(18), record=replace(letter(18).record, key=None, value=b"{")))])
    assert [one.image_id for one in list_dead_letters(dead, {})] == ["a", None]


def test_a_replay_sends_the_letters_of_an_image_in_the_order_of_their_versions(
    dead: MemoryLog, events: MemoryLog
) -> None:
    dead.append([to_new_record(letter(1, 9, "a")), to_new_record(letter(2, 7, "b"))])
    dead.append([to_new_record(letter(n, 9 - n, "a")) for n in range(3, 8)])
    assert replay(dead, events, dead) == ReplayCounts(replayed=7)
    assert [int(version) for key, version in versions(events) if key == b"a"] == [2, 3, 4, 5, 6, 9]
    assert dead.committed == 7


def test_what_was_replayed_is_not_replayed_again(dead: MemoryLog, events: MemoryLog) -> None:
    dead.append([to_new_record(letter(1))])
    assert replay(dead, events, dead) == ReplayCounts(replayed=1)
    assert replay(dead, events, dead) == ReplayCounts()
    assert len(events.records) == 1


def test_a_letter_that_was_written_twice_is_sent_once(dead: MemoryLog, events: MemoryLog) -> None:
    dead.append([to_new_record(letter(1)), to_new_record(letter(1))])
    assert replay(dead, events, dead) == ReplayCounts(replayed=1)


def test_a_replay_of_one_reason_keeps_the_others(dead: MemoryLog, events: MemoryLog) -> None:
    other = replace(letter(2, image_id="b"), reason=RejectionReason.IMAGE_NOT_FOUND)
    dead.append([to_new_record(letter(1, image_id="a")), to_new_record(other), NewRecord(b"x", b"no dead letter")])
    counts = replay(dead, events, dead, reason=RejectionReason.EVENT_INVALID)
    assert counts == ReplayCounts(replayed=1, kept=1, unreadable=1)
    assert [key for key, _ in versions(events)] == [b"a"]
    listed = list_dead_letters(dead, dead.committed_positions())
    assert [(one.image_id, one.replayed) for one in listed] == [("a", True), ("b", False)]
    dead.read_to = dead.committed
    assert replay(dead, events, dead) == ReplayCounts(replayed=1)
    assert [key for key, _ in versions(events)] == [b"a", b"b"]


def test_nothing_is_committed_where_the_event_source_is_away(dead: MemoryLog, events: MemoryLog) -> None:
    dead.append([to_new_record(letter(1))])
    events.failures = 1
    with pytest.raises(EventLogUnavailableError):
        replay(dead, events, dead)
    assert dead.committed == 0
    dead.read_to = 0
    assert replay(dead, events, dead) == ReplayCounts(replayed=1)


def test_letters_that_come_during_a_replay_wait_for_the_next(dead: MemoryLog, events: MemoryLog) -> None:
    dead.append([to_new_record(letter(1))])
    steps: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        if not steps:
            dead.append([to_new_record(letter(2))])
        steps.append((done, total))

    assert replay(dead, events, dead, progress=note) == ReplayCounts(replayed=1)
    assert (dead.committed, steps) == (1, [(0, 1), (1, 1)])


def test_a_partition_that_another_replay_took_over_is_left_to_it(dead: MemoryLog, events: MemoryLog) -> None:
    dead.append([to_new_record(letter(n)) for n in range(5)])
    dead.lose_at = 3
    assert replay(dead, events, dead) == ReplayCounts()
    assert events.records == []
