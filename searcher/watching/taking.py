"""Matches become alerts: those that indexers tell of in the matches' log, and those that runs over the window find."""

import asyncio
from collections.abc import Callable, Collection, Sequence

import structlog

from searcher.workbench.desk import Desk
from shared.event_log import LogReader, Record
from shared.match import Match, from_record
from shared.metrics import SearcherMetrics

_BATCH = 500
_POLL_SECONDS = 1.0


class AlertTaker:
    """Puts matches into the workbench, and counts what became of them."""

    def __init__(self, desk: Desk, held_back: Collection[str], metrics: SearcherMetrics) -> None:
        """`held_back` are images that are left out of everything."""
        self._desk = desk
        self._held_back = held_back
        self._metrics = metrics

    async def take(self, matches: Sequence[Match]) -> None:
        """Alerts of those that are new; WorkbenchUnavailableError, and then taking them again is harmless."""
        if not matches:
            return
        taken = await self._desk.ask(lambda bench: bench.alerts.take(matches, self._held_back))
        self._metrics.matches.labels("alert").inc(taken.raised)
        for reason, count in taken.refused.items():
            self._metrics.matches.labels(reason).inc(count)

    def count_unreadable(self, count: int) -> None:
        """Count records of the log that tell of no match."""
        self._metrics.matches.labels("unreadable").inc(count)


class MatchDuty:
    """Reads the matches' log. A record's position is committed once its alert is kept, so none is lost."""

    name = "matches"

    def __init__(self, open_reader: Callable[[], LogReader], desk: Desk, taker: AlertTaker) -> None:
        """The log is opened once there is a watch."""
        self._open_reader = open_reader
        self._desk = desk
        self._taker = taker
        self._reader: LogReader | None = None
        self._records: Sequence[Record] = ()
        self._log = structlog.get_logger()

    async def step(self) -> bool:
        """Take some records. What was read stays at hand until it is kept and committed."""
        if self._reader is None:
            if not await self._desk.ask(lambda bench: bench.watches.revision()):
                return False
            self._reader = self._open_reader()
        reader = self._reader
        if not self._records:
            self._records = (await asyncio.to_thread(reader.poll, _BATCH, _POLL_SECONDS)).records
        if not self._records:
            return True  # It has waited already.
        found = [from_record(record) for record in self._records]
        await self._taker.take([match for match in found if match is not None])
        if unreadable := found.count(None):
            self._log.error("matches_unreadable", count=unreadable)
            self._taker.count_unreadable(unreadable)
        positions = {record.partition: record.next_offset for record in self._records}
        # Before the commit: a partition that was taken away meanwhile is left out of it, and read by its new owner.
        self._records = ()
        await asyncio.to_thread(reader.commit, positions)
        return True

    async def close(self) -> None:
        """Leave the group."""
        if self._reader is not None:
            await asyncio.to_thread(self._reader.close)
