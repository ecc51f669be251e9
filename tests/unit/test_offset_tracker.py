"""Positions pass finished records only, whatever the order in which they finish."""

from hypothesis import given
from hypothesis import strategies as st

from indexer.event_log import Record
from indexer.offset_tracker import OffsetTracker


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
