"""The outbox: events that go out, written in one transaction with what they tell of, kept until logs and receivers have
them.

A stream's events are appended to its log by whoever holds the stream's lease. From where on stays in the lease until it
is written down that the log has them, so that after a crash nothing goes out twice.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select

from searcher.workbench.database import Database, insert_new
from searcher.workbench.tables import DELIVERIES, LEASES, OUTBOX
from searcher.workbench.watch_records import Delivery, DeliveryState
from shared.errors import CatalogueError, DependencyUnavailableError
from shared.rolling_window import from_milliseconds, to_milliseconds


class Stream(StrEnum):
    """Where an event goes."""

    ALERTS = "alerts"
    DECISIONS = "decisions"


class LeaseLostError(DependencyUnavailableError):
    """Another searcher has taken over what this one was doing."""


class DeliveryMissingError(CatalogueError):
    """There is no such delivery."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that others are told of: `body` is what they get, but for `id`."""

    event_id: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutgoingEvent:
    """An event in the outbox; `body` is JSON."""

    number: int
    event_id: str
    body: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do what only one may do at a time, until a moment. `attempt` is what was begun, by whomever."""

    name: str
    holder: str
    until: datetime
    attempt: Mapping[str, int] | None


class Outbox:
    """Every method is one transaction, `add` part of another one; WorkbenchUnavailableError where it is away."""

    def __init__(self, database: Database, now: Callable[[], datetime], receivers: Sequence[str]) -> None:
        """`receivers` are the URLs that each event is delivered to."""
        self._database = database
        self._now = now
        self._receivers = receivers

    def add(self, connection: Connection, stream: Stream, events: Sequence[Event]) -> None:
        """Put events in, as part of the transaction of what they tell of."""
        if not events:
            return
        now = to_milliseconds(self._now())
        rows = [
            {
                "stream": stream,
                "event_id": event.event_id,
                "body": json.dumps(event.body, ensure_ascii=False, separators=(",", ":")),
                "made_at_ms": now,
                "published": False,
            }
            for event in events
        ]
        connection.execute(OUTBOX.insert(), rows)
        if self._receivers:
            ids = [event.event_id for event in events]
            numbers = connection.scalars(select(OUTBOX.c.number).where(OUTBOX.c.event_id.in_(ids)).order_by("number"))
            waiting = {"state": DeliveryState.WAITING, "tries": 0, "due_at_ms": now, "detail": ""}
            deliveries = [{"event": number, "url": url, **waiting} for number in numbers for url in self._receivers]
            connection.execute(DELIVERIES.insert(), deliveries)

    # Leases

    def lease(self, name: str, holder: str, seconds: float) -> Lease | None:
        """The lease for so long from now, new or renewed; None while another holds it."""
        now = to_milliseconds(self._now())
        until = now + round(seconds * 1000)
        with self._database.transaction(writes=True) as connection:
            insert_new(connection, LEASES, [{"name": name, "holder": holder, "until_ms": 0}])
            row = connection.execute(select(LEASES).where(LEASES.c.name == name).with_for_update()).one()
            if row.holder != holder and row.until_ms > now:
                return None
            connection.execute(LEASES.update().where(LEASES.c.name == name).values(holder=holder, until_ms=until))
        attempt = None if row.attempt is None else json.loads(row.attempt)
        return Lease(name, holder, from_milliseconds(until), attempt)

    def begin(self, lease: Lease, positions: Mapping[str, int]) -> None:
        """Write down from where on a log is appended to; LeaseLostError where the lease has passed to another."""
        with self._database.transaction(writes=True) as connection:
            _write(connection, lease, attempt=json.dumps(dict(positions)))

    def release(self, lease: Lease) -> None:
        """Let others have the lease at once; LeaseLostError where one has it already."""
        with self._database.transaction(writes=True) as connection:
            _write(connection, lease, until_ms=0)

    # Logs

    def unpublished(self, stream: Stream, count: int) -> list[OutgoingEvent]:
        """The first events that the stream's log does not have, as far as is written down."""
        wanted = select(OUTBOX).where(OUTBOX.c.published.is_(False), OUTBOX.c.stream == stream)
        with self._database.transaction() as connection:
            rows = connection.execute(wanted.order_by(OUTBOX.c.number).limit(count)).all()
        return [OutgoingEvent(row.number, row.event_id, row.body) for row in rows]

    def published(self, lease: Lease, event_ids: Sequence[str]) -> None:
        """Write down that the log has these, that nothing is begun any more, and release the lease; LeaseLostError."""
        with self._database.transaction(writes=True) as connection:
            _write(connection, lease, attempt=None, until_ms=0)
            for start in range(0, len(event_ids), 500):
                some = OUTBOX.c.event_id.in_(event_ids[start : start + 500])
                connection.execute(OUTBOX.update().where(some).values(published=True))

    def oldest_unpublished(self, stream: Stream) -> datetime | None:
        """When the oldest event was made that the stream's log does not have."""
        wanted = select(func.min(OUTBOX.c.made_at_ms)).where(OUTBOX.c.published.is_(False), OUTBOX.c.stream == stream)
        with self._database.transaction() as connection:
            oldest = connection.scalar(wanted)
        return None if oldest is None else from_milliseconds(oldest)

    def forget(self, before: datetime) -> None:
        """Drop events made before this that have gone out everywhere; what a receiver never took is kept."""
        left = select(DELIVERIES.c.event).where(DELIVERIES.c.state != DeliveryState.DELIVERED)
        gone = and_(
            OUTBOX.c.published.is_(True),
            OUTBOX.c.made_at_ms < to_milliseconds(before),
            OUTBOX.c.number.not_in(left),
        )
        with self._database.transaction(writes=True) as connection:
            connection.execute(DELIVERIES.delete().where(DELIVERIES.c.event.in_(select(OUTBOX.c.number).where(gone))))
            connection.execute(OUTBOX.delete().where(gone))

    # Receivers

    def due(self, count: int) -> list[Delivery]:
        """Deliveries to be tried now, the one due longest first. Those to URLs that are no receivers any more wait."""
        wanted = _deliveries().where(
            DELIVERIES.c.state == DeliveryState.WAITING,
            DELIVERIES.c.due_at_ms <= to_milliseconds(self._now()),
            DELIVERIES.c.url.in_(self._receivers),
        )
        with self._database.transaction() as connection:
            rows = connection.execute(wanted.order_by(DELIVERIES.c.due_at_ms, DELIVERIES.c.number).limit(count))
            return [_delivery_of(row) for row in rows]

    def tried(self, delivery: Delivery, state: DeliveryState, due_at: datetime, detail: str) -> None:
        """Write down how a try went, and when the next one is due where it waits on."""
        values = {"state": state, "tries": delivery.tries + 1, "due_at_ms": to_milliseconds(due_at), "detail": detail}
        with self._database.transaction(writes=True) as connection:
            connection.execute(DELIVERIES.update().where(DELIVERIES.c.number == delivery.number).values(values))

    def deliveries(self, state: DeliveryState | None, before: int | None, count: int) -> list[Delivery]:
        """Deliveries with numbers below `before`, the newest first."""
        wanted = _deliveries().order_by(DELIVERIES.c.number.desc()).limit(count)
        if state is not None:
            wanted = wanted.where(DELIVERIES.c.state == state)
        if before is not None:
            wanted = wanted.where(DELIVERIES.c.number < before)
        with self._database.transaction() as connection:
            return [_delivery_of(row) for row in connection.execute(wanted)]

    def deliver_again(self, number: int) -> None:
        """Have a delivery tried anew from now on, as if it never had been; DeliveryMissingError."""
        values = {"state": DeliveryState.WAITING, "tries": 0, "due_at_ms": to_milliseconds(self._now())}
        with self._database.transaction(writes=True) as connection:
            done = connection.execute(DELIVERIES.update().where(DELIVERIES.c.number == number).values(values))
            if not done.rowcount:
                raise DeliveryMissingError("there is no such delivery")


def _write(connection: Connection, lease: Lease, **values: Any) -> None:
    held = and_(LEASES.c.name == lease.name, LEASES.c.holder == lease.holder)
    if not connection.execute(LEASES.update().where(held).values(values)).rowcount:
        raise LeaseLostError(f"another searcher has taken over: {lease.name}")


def _deliveries() -> Any:
    return select(DELIVERIES, OUTBOX.c.event_id, OUTBOX.c.body).join(OUTBOX, DELIVERIES.c.event == OUTBOX.c.number)


def _delivery_of(row: Row[Any]) -> Delivery:
    state, due_at = DeliveryState(row.state), from_milliseconds(row.due_at_ms)
    return Delivery(row.number, row.event_id, row.url, state, row.tries, due_at, row.detail, row.body)
