"""A record in the retries is the original, and is processed when it is due."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from indexer.catalogue_event import Resolved
from indexer.dead_letters import DeadLetter
from indexer.dead_letters import to_new_record as to_dead_letter
from indexer.planning import Outcome
from indexer.retries import Retrier, Retry, from_record, next_retry, to_new_record
from shared.errors import RejectionReason
from shared.event_log import NewRecord, Record
from shared.rolling_window import to_milliseconds

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_MS = to_milliseconds(NOW)
RESOLVED = Resolved(7, True, NOW_MS * 1000)
ORIGINAL = Record("3", 40, 44, NOW_MS - 5, b"\xff key", b"\x00 value", [("own", b"\xfe"), ("own", b"again")])


def read(new: NewRecord) -> Record:
    """The record as the retries' reader gives it."""
    return Record("retries", 0, 1, NOW_MS, new.key, new.value, new.headers)


@dataclass
class Processor:
    processed: list[tuple[Record, Retry | None]] = field(default_factory=list)

    async def process(self, record: Record, retry: Retry | None = None) -> Outcome:
        self.processed.append((record, retry))
        return Outcome.INDEXED


@pytest.mark.parametrize("resolved", [RESOLVED, None])
@pytest.mark.parametrize("record", [ORIGINAL, Record("f", 0, 9, None, None, b"", [])])
def test_a_retry_comes_back_as_it_was(record: Record, resolved: Resolved | None) -> None:
    retry = Retry(record, resolved, 3, NOW_MS + 60_000, NOW_MS)
    assert from_record(read(to_new_record(retry))) == retry


def test_what_is_no_retry_is_told_apart() -> None:
    letter = DeadLetter(ORIGINAL, RejectionReason.EVENT_INVALID, "", None, NOW_MS)
    assert from_record(ORIGINAL) is None
    assert from_record(read(to_dead_letter(letter))) is None


def test_each_retry_is_counted_and_the_first_failure_remembered() -> None:
    first = next_retry(ORIGINAL, RESOLVED, None, NOW_MS, 60_000)
    assert (first.number, first.due_ms, first.first_failed_ms) == (1, NOW_MS + 60_000, NOW_MS)
    second = next_retry(ORIGINAL, RESOLVED, first, NOW_MS + 61_000, 60_000)
    assert (second.number, second.due_ms, second.first_failed_ms) == (2, NOW_MS + 121_000, NOW_MS)


async def test_a_retry_that_is_due_is_processed_as_the_original() -> None:
    processor = Processor()
    retry = Retry(ORIGINAL, RESOLVED, 1, NOW_MS, NOW_MS - 60_000)
    assert await Retrier(processor, lambda: NOW, 60).process(read(to_new_record(retry))) is Outcome.INDEXED
    assert processor.processed == [(ORIGINAL, retry)]


async def test_one_that_is_not_due_waits_and_is_abandoned_at_a_stop() -> None:
    processor = Processor()
    retrier = Retrier(processor, lambda: NOW, 3600)
    waiting = asyncio.create_task(
        retrier.process(read(to_new_record(Retry(ORIGINAL, RESOLVED, 1, NOW_MS + 1, NOW_MS - 1))))
    )
    later = asyncio.create_task(
        retrier.process(read(to_new_record(Retry(ORIGINAL, RESOLVED, 1, NOW_MS + 3_600_000, NOW_MS))))
    )
    assert await waiting is Outcome.INDEXED
    assert not later.done()
    retrier.stop()
    assert await later is Outcome.ABANDONED
    assert len(processor.processed) == 1


async def test_a_clock_that_was_set_back_makes_a_retry_wait_for_no_longer_than_the_delay() -> None:
    retrier = Retrier(Processor(), lambda: NOW - timedelta(days=365), 0.01)
    retry = Retry(ORIGINAL, RESOLVED, 1, NOW_MS, NOW_MS)
    assert await asyncio.wait_for(retrier.process(read(to_new_record(retry))), 5) is Outcome.INDEXED


async def test_a_record_that_somebody_else_put_there_is_processed_as_it_is() -> None:
    processor = Processor()
    await Retrier(processor, lambda: NOW, 60).process(ORIGINAL)
    assert processor.processed == [(ORIGINAL, None)]
