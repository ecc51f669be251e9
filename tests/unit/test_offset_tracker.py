"""Positions pass finished records only, whatever the order in which they finish."""

import weakref

from hypothesis import given
from hypothesis import strategies as st

from indexer.offset_tracker import OffsetTracker
from shared.event_log import Record


def record(offset: int, partition: str = "p") -> Record:
    return Record(partition, offset, offset + 1, 0, None, b"")


def test_no_position_before_the_first_record_is_done() -> None:
    tracker = OffsetTracker()
    first, second = record(4), record(5)
    tracker.begin(first)
    tracker.begin(second)
    tracker.done(second)
    assert tracker.positions() == {}
    assert list(tracker.oldest_in_flight()) == [first]
    tracker.done(first)
    assert tracker.positions() == {"p": 6}
    assert list(tracker.oldest_in_flight()) == []


def test_offsets_with_gaps_are_passed() -> None:
    tracker = OffsetTracker()
    records = [Record("p", 0, 7, 0, None, b""), Record("p", 7, 40, 0, None, b"")]
    for each in records:
        tracker.begin(each)
        tracker.done(each)
    assert tracker.positions() == {"p": 40}


def test_what_finishes_after_its_partition_was_lost_is_ignored() -> None:
    tracker = OffsetTracker()
    before, after = record(0), record(0)
    tracker.begin(before)
    tracker.lose(["p", "never held"])
    tracker.begin(after)
    tracker.done(before)
    assert tracker.positions() == {}
    tracker.done(after)
    assert tracker.positions() == {"p": 1}


def test_a_lost_partition_has_no_position_to_commit() -> None:
    tracker = OffsetTracker()
    kept, lost = record(0, "kept"), record(0, "lost")
    for each in (kept, lost):
        tracker.begin(each)
        tracker.done(each)
    tracker.lose(["lost"])
    assert tracker.positions() == {"kept": 1}


@given(st.permutations(range(12)), st.integers(0, 12))
def test_a_position_is_the_unbroken_run_of_finished_records(order: list[int], finished: int) -> None:
    tracker = OffsetTracker()
    records = [record(offset) for offset in range(12)]
    for each in records:
        tracker.begin(each)
    for offset in order[:finished]:
        tracker.done(records[offset])
    done = set(order[:finished])
    run = next((offset for offset in range(12) if offset not in done), 12)
    assert tracker.positions().get("p", 0) == run


def test_a_finished_record_counts_until_a_commit_has_passed_it() -> None:
    tracker = OffsetTracker()
    records = [record(offset) for offset in range(4)]
    for each in records:
        tracker.begin(each)
    for each in (records[0], records[1], records[3]):
        tracker.done(each)
    assert (tracker.uncommitted, tracker.positions()) == (4, {"p": 2})
    tracker.committed({"p": 1})
    assert tracker.uncommitted == 3
    tracker.committed({"p": 2, "never held": 7})
    assert (tracker.uncommitted, tracker.positions()) == (2, {"p": 2})
    tracker.lose(["p"])
    assert (tracker.uncommitted, tracker.positions()) == (0, {})


class WatchedRecord(Record):
    """A record that can be seen to go."""


def test_a_finished_record_behind_a_slow_one_is_not_kept_in_memory() -> None:
    tracker = OffsetTracker()
    slow, fast = record(0), WatchedRecord("p", 1, 2, 0, None, b"")
    tracker.begin(slow)
    tracker.begin(fast)
    tracker.done(fast)
    kept = weakref.ref(fast)
    del fast
    assert kept() is None
