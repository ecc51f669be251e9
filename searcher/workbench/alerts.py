"""Alerts: matches as the workbench keeps them, each once. An alert is judged in the case that its watch belongs to."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, ScalarSelect, Select, and_, case, distinct, func, select

from searcher.wire import shown_time
from searcher.workbench.database import Database
from searcher.workbench.outbox import Event, Outbox, Stream
from searcher.workbench.records import Verdict
from searcher.workbench.tables import ALERTS, JUDGEMENTS, WATCHES
from searcher.workbench.watch_records import Alert, AlertRefusal, KeptWatch, Tally, WatchState
from searcher.workbench.watches import next_number, watch_of
from shared.document import attribute_terms
from shared.match import Match
from shared.rolling_window import from_milliseconds, to_milliseconds

_COUNTED = "alerts"


@dataclass(frozen=True, slots=True)
class Taken:
    """How many matches became alerts, and why the others did not."""

    raised: int
    refused: Mapping[AlertRefusal, int]


class Alerts:
    """Every method is one transaction; WorkbenchUnavailableError where the database is away."""

    def __init__(self, database: Database, now: Callable[[], datetime], outbox: Outbox) -> None:
        self._database = database
        self._now = now
        self._outbox = outbox

    def take(self, matches: Sequence[Match], held_back: Collection[str] = frozenset()) -> Taken:
        """Make alerts of those matches that are new and fit their watches as they are now, and put them in the outbox.

        `held_back` are images that are left out of everything.
        """
        refused: Counter[AlertRefusal] = Counter()
        now = self._now()
        with self._database.transaction(writes=True) as connection:
            # One after another, so that numbers rise in the order in which alerts can be seen.
            next_number(connection, _COUNTED)
            watches = _watches(connection, {match.watch_id for match in matches})
            known = _known(connection, [match.alert_id for match in matches])
            rows: dict[str, dict[str, Any]] = {}
            events: list[Event] = []
            for match in matches:
                watch = watches.get(match.watch_id)
                distance = None if watch is None else _distance(match, watch)
                why = _refusal(match, watch, distance, held_back)
                if why is None and (match.alert_id in known or match.alert_id in rows):
                    why = AlertRefusal.REPEATED
                if why is not None or watch is None or distance is None:
                    refused[why or AlertRefusal.WATCH_UNKNOWN] += 1
                    continue
                image = _image(match)
                rows[match.alert_id] = _row(match, watch, distance, image, now)
                events.append(Event(match.alert_id, _body(match, watch, distance, image, now)))
            if rows:
                connection.execute(ALERTS.insert(), list(rows.values()))
            self._outbox.add(connection, Stream.ALERTS, events)
        return Taken(len(rows), refused)

    def alerts(
        self,
        count: int,
        *,
        watch_id: str | None = None,
        unjudged: bool = False,
        before: int | None = None,
        after: int | None = None,
    ) -> list[Alert]:
        """Alerts, the newest first; with `after` those with higher numbers instead, the oldest first."""
        wanted = _with_verdicts()
        if watch_id is not None:
            wanted = wanted.where(ALERTS.c.watch_id == watch_id)
        if unjudged:
            wanted = wanted.where(func.coalesce(_verdict(), Verdict.WITHDRAWN) == Verdict.WITHDRAWN)
        if before is not None:
            wanted = wanted.where(ALERTS.c.number < before)
        if after is not None:
            wanted = wanted.where(ALERTS.c.number > after)
        order = ALERTS.c.number.desc() if after is None else ALERTS.c.number
        with self._database.transaction() as connection:
            return [_alert_of(row) for row in connection.execute(wanted.order_by(order).limit(count))]

    def newest(self) -> int:
        """The highest number of an alert, 0 before the first."""
        with self._database.transaction() as connection:
            return connection.scalar(select(func.max(ALERTS.c.number))) or 0

    def tallies(self, watch_ids: Sequence[str], since: datetime) -> dict[str, Tally]:
        """How each of these watches has done; `recent` counts its alerts since then."""
        with self._database.transaction() as connection:
            rows = connection.execute(_counted(watch_ids, to_milliseconds(since))).all()
        found = dict.fromkeys(watch_ids, Tally())
        for row in rows:
            one = found[row.watch_id]
            judged = {Verdict.RELEVANT: 0, Verdict.NOT_RELEVANT: 0}
            judged |= {Verdict(row.verdict): row.images} if row.verdict in judged else {}
            open_ones = row.alerts if row.verdict in (None, Verdict.WITHDRAWN) else 0
            found[row.watch_id] = Tally(
                one.alerts + row.alerts,
                one.recent + int(row.recent),
                one.unjudged + open_ones,
                one.relevant + judged[Verdict.RELEVANT],
                one.not_relevant + judged[Verdict.NOT_RELEVANT],
            )
        return found

    def judged_distances(self, watch: KeptWatch) -> list[tuple[int, bool]]:
        """How far from the watch's codes each image lies that is judged in its case, and whether it is relevant.

        Images whose code of the watch's encoder was not kept are left out. One whose own code is watched for is
        measured to the other codes: that it is near itself says nothing.
        """
        last = _last_judgements([watch.case_id])
        wanted = select(JUDGEMENTS.c.verdict, JUDGEMENTS.c.code).join(last, JUDGEMENTS.c.number == last.c.number)
        wanted = wanted.where(
            JUDGEMENTS.c.verdict.in_([Verdict.RELEVANT, Verdict.NOT_RELEVANT]),
            JUDGEMENTS.c.encoder == watch.encoder_id,
            JUDGEMENTS.c.code.is_not(None),
        )
        with self._database.transaction() as connection:
            rows = connection.execute(wanted).all()
        distances = nearest_others([bytes(row.code) for row in rows], watch.codes)
        return [(distance, row.verdict == Verdict.RELEVANT) for distance, row in zip(distances, rows, strict=True)]


def nearest(code: bytes, others: Sequence[bytes]) -> int:
    """The least Hamming distance to codes of the same length, of which there is at least one."""
    number = int.from_bytes(code, "big")
    return min((number ^ int.from_bytes(other, "big")).bit_count() for other in others)


def nearest_others(codes: Sequence[bytes], others: Sequence[bytes]) -> list[int]:
    """The same for each of the codes, left out those that are equal to it, unless there are none but these."""
    if not codes:
        return []
    rows, columns = (np.frombuffer(b"".join(some), np.uint8).reshape(len(some), -1) for some in (codes, others))
    distances = np.bitwise_count(rows[:, np.newaxis] ^ columns).sum(axis=2, dtype=np.int64)
    # Farther than any other; where all are equal to it, it stays 0 away.
    apart = np.where(distances == 0, distances.max() + 1, distances).min(axis=1)
    found: list[int] = np.where((distances == 0).all(axis=1), 0, apart).tolist()
    return found


def _distance(match: Match, watch: KeptWatch) -> int | None:
    """How far the image is from the watch as it is now; None where it does not match it."""
    if match.encoder_id != watch.encoder_id or len(match.code) != len(watch.codes[0]):
        return None
    distance = nearest(match.code, watch.codes)
    near = distance <= watch.radius and watch.to_publish().lets_through(attribute_terms(match.attributes))
    return distance if near else None


def _refusal(
    match: Match, watch: KeptWatch | None, distance: int | None, held_back: Collection[str]
) -> AlertRefusal | None:
    if watch is None:
        return AlertRefusal.WATCH_UNKNOWN
    if watch.state is not WatchState.ACTIVE:
        return AlertRefusal.WATCH_NOT_ACTIVE
    if distance is None:
        return AlertRefusal.NO_LONGER_NEAR
    return AlertRefusal.HELD_BACK if match.image_id in held_back else None


def _watches(connection: Connection, watch_ids: Collection[str]) -> dict[str, KeptWatch]:
    rows = connection.execute(select(WATCHES).where(WATCHES.c.watch_id.in_(list(watch_ids))))
    return {row.watch_id: watch_of(row) for row in rows}


def _known(connection: Connection, alert_ids: Sequence[str]) -> set[str]:
    return set(connection.scalars(select(ALERTS.c.alert_id).where(ALERTS.c.alert_id.in_(alert_ids))))


def _image(match: Match) -> dict[str, Any]:
    """The image as the API shows images."""
    return {
        "image_id": match.image_id,
        "item_id": match.item_id or match.image_id,
        "event_time": shown_time(from_milliseconds(match.event_time_ms)),
        "image_url": match.image_url,
        "attributes": dict(match.attributes),
    }


def _row(match: Match, watch: KeptWatch, distance: int, image: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "alert_id": match.alert_id,
        "watch_id": watch.watch_id,
        "watch_revision": watch.revision,
        "image_id": match.image_id,
        "version": match.version,
        "distance": distance,
        "encoder": match.encoder_id,
        "code": match.code,
        "image": json.dumps(image, ensure_ascii=False),
        "raised_at_ms": to_milliseconds(now),
    }


def _body(match: Match, watch: KeptWatch, distance: int, image: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "type": "alert.raised",
        "id": match.alert_id,
        "time": shown_time(now),
        "watch": {"watch_id": watch.watch_id, "name": watch.name, "revision": watch.revision},
        "case_id": watch.case_id,
        "image": {**image, "version": match.version},
        "distance": distance,
        "encoder": match.encoder_id,
        "code": match.code.hex(),
    }


def _verdict() -> ScalarSelect[str]:
    """The last verdict on an alert's image in its watch's case."""
    of_image = and_(JUDGEMENTS.c.case_id == WATCHES.c.case_id, JUDGEMENTS.c.image_id == ALERTS.c.image_id)
    wanted = select(JUDGEMENTS.c.verdict).where(of_image).order_by(JUDGEMENTS.c.number.desc()).limit(1)
    return wanted.correlate(ALERTS, WATCHES).scalar_subquery()


def _with_verdicts() -> Select[Any]:
    columns = WATCHES.c.name.label("watch_name"), WATCHES.c.case_id, _verdict().label("verdict")
    return select(ALERTS, *columns).join(WATCHES, ALERTS.c.watch_id == WATCHES.c.watch_id)


def _last_judgements(case_ids: Any) -> Any:
    """Case, image and number of the last entries of these cases."""
    wanted = select(JUDGEMENTS.c.case_id, JUDGEMENTS.c.image_id, func.max(JUDGEMENTS.c.number).label("number"))
    return (
        wanted.where(JUDGEMENTS.c.case_id.in_(case_ids))
        .group_by(JUDGEMENTS.c.case_id, JUDGEMENTS.c.image_id)
        .subquery()
    )


def _counted(watch_ids: Sequence[str], since_ms: int) -> Select[Any]:
    """For each watch and last verdict: its alerts, those since then, and different images."""
    last = _last_judgements(select(WATCHES.c.case_id).where(WATCHES.c.watch_id.in_(watch_ids)))
    of_image = and_(last.c.case_id == WATCHES.c.case_id, last.c.image_id == ALERTS.c.image_id)
    recent = func.sum(case((ALERTS.c.raised_at_ms >= since_ms, 1), else_=0))
    images = func.count(distinct(ALERTS.c.image_id))
    return (
        select(
            ALERTS.c.watch_id,
            JUDGEMENTS.c.verdict,
            func.count().label("alerts"),
            recent.label("recent"),
            images.label("images"),
        )
        .join(WATCHES, ALERTS.c.watch_id == WATCHES.c.watch_id)
        .outerjoin(last, of_image)
        .outerjoin(JUDGEMENTS, JUDGEMENTS.c.number == last.c.number)
        .where(ALERTS.c.watch_id.in_(watch_ids))
        .group_by(ALERTS.c.watch_id, JUDGEMENTS.c.verdict)
    )


def _alert_of(row: Row[Any]) -> Alert:
    verdict = None if row.verdict in (None, Verdict.WITHDRAWN) else Verdict(row.verdict)
    return Alert(
        row.number,
        row.alert_id,
        row.watch_id,
        row.watch_name,
        row.case_id,
        row.watch_revision,
        row.image_id,
        row.version,
        row.distance,
        row.encoder,
        bytes(row.code),
        row.image,
        from_milliseconds(row.raised_at_ms),
        verdict,
    )
