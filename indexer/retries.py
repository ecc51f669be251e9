"""Retries: records whose picture could not be had for now, in a log of their own until they are due.

The delay is constant, so the log is in the order of due times, and waiting for its first record delays none behind it.
A record may be there twice (a worker that died between writing it and committing): versions make that harmless.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from indexer.catalogue_event import Resolved
from indexer.planning import Outcome
from indexer.set_aside import SetAside, original_of, set_aside
from shared.event_log import NewRecord, Record
from shared.rolling_window import to_milliseconds

_PREFIX = "catalogue-retry-"
_NUMBER, _DUE, _FIRST_FAILED = "number", "due-ms", "first-failed-ms"


@dataclass(frozen=True, slots=True)
class Retry:
    """The original as it was read, which retry of it this is (from 1), and when: milliseconds since the epoch."""

    record: Record
    resolved: Resolved | None
    number: int
    due_ms: int
    first_failed_ms: int


def next_retry(record: Record, resolved: Resolved | None, before: Retry | None, now_ms: int, delay_ms: int) -> Retry:
    """The retry of a record that failed just now, for the first time where there was none `before`."""
    due_ms = now_ms + delay_ms
    if before is None:
        return Retry(record, resolved, 1, due_ms, now_ms)
    return replace(before, number=before.number + 1, due_ms=due_ms)


def to_new_record(retry: Retry) -> NewRecord:
    """The record that keeps a retry."""
    told = {_NUMBER: str(retry.number), _DUE: str(retry.due_ms), _FIRST_FAILED: str(retry.first_failed_ms)}
    return set_aside(SetAside(retry.record, retry.resolved, told), _PREFIX)


def from_record(record: Record) -> Retry | None:
    """The retry that a record keeps; None where it is something else."""
    found = original_of(record, _PREFIX)
    if found is None:
        return None
    try:
        number, due_ms, first_failed_ms = (int(found.told[name]) for name in (_NUMBER, _DUE, _FIRST_FAILED))
    except (KeyError, ValueError):
        return None
    return Retry(found.record, found.resolved, number, due_ms, first_failed_ms)


class RetryingProcessor(Protocol):
    """Brings a record to its outcome, for the first time or again."""

    async def process(self, record: Record, retry: Retry | None = None) -> Outcome:
        """Returns once the outcome is durable."""


class Retrier:
    """Processes records of the retries once they are due; until `stop`, when those that wait are abandoned."""

    def __init__(self, processor: RetryingProcessor, now: Callable[[], datetime], delay_seconds: float) -> None:
        self._processor = processor
        self._now = now
        self._delay_seconds = delay_seconds
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Wait no more: a record that is not due yet is read again by the next worker."""
        self._stopping.set()

    async def process(self, record: Record) -> Outcome:
        """Wait until the record is due, then process the original. What is no retry is processed as it is."""
        retry = from_record(record)
        if retry is None:
            return await self._processor.process(record)
        if not await self._is_due(retry):
            return Outcome.ABANDONED
        return await self._processor.process(retry.record, retry)

    async def run(self) -> None:
        """Nothing has to run beside `process`."""
        await asyncio.Event().wait()

    async def _is_due(self, retry: Retry) -> bool:
        seconds = (retry.due_ms - to_milliseconds(self._now())) / 1000
        if seconds <= 0:
            return True
        try:
            # A clock that was set back must not make it wait for longer than once.
            async with asyncio.timeout(min(seconds, self._delay_seconds)):
                await self._stopping.wait()
        except TimeoutError:
            return True
        return False
