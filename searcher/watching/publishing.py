"""The outbox's events go to their logs, each once, also where a searcher dies in between."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from searcher.workbench.desk import Desk
from searcher.workbench.outbox import Lease, OutgoingEvent, Stream
from shared.event_log import LogScanner, NewRecord, PublishedWriter
from shared.metrics import SearcherMetrics

_BATCH = 500
# So long nothing is published where a searcher died at it.
_LEASE_SECONDS = 60.0
# Longer than an append may take, so that nothing is appended once another searcher may have taken over.
_APPEND = timedelta(seconds=45)
_KEPT = timedelta(days=7)
_FORGET_EVERY = timedelta(hours=1)


class PublishDuty:
    """Appends a stream's events to its log.

    Before an append the log's end is written into the lease, after it that the log has the events, in one transaction.
    Whoever appends looks what the log has from that end on, and appends what is missing. Nobody else appends to a file
    between this look and the append, so an event is there once whatever happens. Kafka can't be kept from others: who
    stands still in between until the lease is over and another has published repeats a batch.
    """

    def __init__(
        self,
        stream: Stream,
        desk: Desk,
        holder: str,
        opening: tuple[Callable[[], PublishedWriter], Callable[[], LogScanner]],
        *,
        now: Callable[[], datetime],
        metrics: SearcherMetrics,
    ) -> None:
        """`holder` names this process among those that share the workbench; `opening` opens the stream's log."""
        self.name = f"publish {stream}"
        self._stream = stream
        self._desk = desk
        self._holder = holder
        self._open_writer, self._open_scanner = opening
        self._now = now
        self._metrics = metrics
        self._forget_at = now()
        self._writer: PublishedWriter | None = None
        self._scanner: LogScanner | None = None

    async def step(self) -> bool:
        """Publish some events, but for those that are there from what was begun before."""
        waiting = await self._desk.ask(lambda bench: bench.outbox.oldest_unpublished(self._stream))
        age = 0.0 if waiting is None else (self._now() - waiting).total_seconds()
        self._metrics.publish_lag_seconds.labels(self._stream).set(max(0.0, age))
        if waiting is None:
            await self._forget()
            return False
        lease = await self._desk.ask(lambda bench: bench.outbox.lease(self.name, self._holder, _LEASE_SECONDS))
        if lease is None:
            return False
        since = lease.attempt
        if since is None:
            since = await asyncio.to_thread(self._opened_scanner().end_positions)
        begun = since
        await self._desk.ask(lambda bench: bench.outbox.begin(lease, begun))
        events = await self._desk.ask(lambda bench: bench.outbox.unpublished(self._stream, _BATCH))
        there = await asyncio.to_thread(self._append_missing, lease, events, begun)
        if there is None:
            return True
        await self._desk.ask(lambda bench: bench.outbox.published(lease, list(there)))
        self._metrics.published.labels(self._stream).inc(len(there))
        return True

    async def close(self) -> None:
        """Close the log."""
        for opened in (self._writer, self._scanner):
            if opened is not None:
                await asyncio.to_thread(opened.close)

    async def _forget(self) -> None:
        """Now and then drop what went out everywhere long ago."""
        now = self._now()
        if now >= self._forget_at:
            await self._desk.ask(lambda bench: bench.outbox.forget(now - _KEPT))
            self._forget_at = now + _FORGET_EVERY

    def _append_missing(
        self, lease: Lease, events: Sequence[OutgoingEvent], since: Mapping[str, int]
    ) -> set[str] | None:
        """Append those events that the log lacks from these positions on; the ids of all that it has then.

        None, and nothing appended, where the lease is about to end.
        """
        writer = self._opened_writer()
        with writer.alone():
            scanned = self._opened_scanner().scan(since)
            there = {event_id for record in scanned if (event_id := _event_id_of(record.value)) is not None}
            if self._now() + _APPEND > lease.until:
                return None
            missing = [event for event in events if event.event_id not in there]
            writer.append([NewRecord(event.event_id.encode(), event.body.encode()) for event in missing])
        return there | {event.event_id for event in missing}

    def _opened_writer(self) -> PublishedWriter:
        if self._writer is None:
            self._writer = self._open_writer()
        return self._writer

    def _opened_scanner(self) -> LogScanner:
        if self._scanner is None:
            self._scanner = self._open_scanner()
        return self._scanner


def _event_id_of(value: bytes | None) -> str | None:
    """The id that is in the body of each event: in a file there is no key."""
    try:
        return str(json.loads(value or b"")["id"])
    except (ValueError, KeyError, TypeError):
        return None
