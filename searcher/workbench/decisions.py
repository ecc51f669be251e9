"""Decisions: what is done with images that a case found relevant, by which policy and why. Reversing adds an entry."""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from searcher.wire import shown_time
from searcher.workbench.audit import write_audit
from searcher.workbench.database import Database
from searcher.workbench.ledger import CaseMissingError
from searcher.workbench.outbox import Event, Outbox, Stream
from searcher.workbench.records import Verdict
from searcher.workbench.tables import CASES, DECIDED_IMAGES, DECISIONS, JUDGEMENTS
from searcher.workbench.watch_records import DecidedImage, Decision
from shared.errors import CatalogueError, QueryInvalidError
from shared.rolling_window import from_milliseconds, to_milliseconds

_DECISION_ID_BYTES = 16
# A decision goes out as one event, of some 300 bytes an image: well below what a log and most receivers take.
DECIDED_IMAGES_MAX = 10_000


class DecisionMissingError(CatalogueError):
    """There is no such decision."""


@dataclass(frozen=True, slots=True)
class _Entry:
    policy: str
    reason: str
    who: str
    reverses: str | None = None


class Decisions:
    """Every method is one transaction; WorkbenchUnavailableError where the database is away."""

    def __init__(self, database: Database, now: Callable[[], datetime], outbox: Outbox) -> None:
        self._database = database
        self._now = now
        self._outbox = outbox

    def decide(self, case_id: str, policy: str, reason: str, image_ids: Sequence[str] | None, who: str) -> Decision:
        """Decide about images that are relevant in a case now, and put that in the outbox.

        Without `image_ids` about all of them that no decision by the same policy stands for. CaseMissingError;
        QueryInvalidError where there are none, or too many, or some of those named are not relevant.
        """
        with self._database.transaction(writes=True) as connection:
            case = _held_case(connection, case_id)
            relevant = _relevant(connection, case_id)
            chosen = _chosen(relevant, image_ids, set() if image_ids else _decided(connection, case_id, policy))
            decision_id = self._write(connection, case, _Entry(policy, reason, who), chosen)
            return _decision(connection, decision_id)

    def reverse(self, decision_id: str, reason: str, who: str) -> Decision:
        """Take a decision back; gives the entry that does. DecisionMissingError; QueryInvalidError where it is taken
        back already, or is itself such an entry."""
        with self._database.transaction(writes=True) as connection:
            decision = _decision(connection, decision_id)
            case = _held_case(connection, decision.case_id)
            # Looked at again, now that nobody else can reverse it.
            decision = _decision(connection, decision_id)
            if decision.reverses is not None or decision.reversed_by is not None:
                raise QueryInvalidError("only a decision that stands can be reversed")
            images = _images(connection, decision_id)
            reversal = self._write(connection, case, _Entry(decision.policy, reason, who, decision_id), images)
            return _decision(connection, reversal)

    def decision(self, decision_id: str) -> tuple[Decision, Sequence[DecidedImage]]:
        """A decision and the images under it; DecisionMissingError."""
        with self._database.transaction() as connection:
            return _decision(connection, decision_id), _images(connection, decision_id)

    def decisions(self, case_id: str | None, before: int | None, count: int) -> list[Decision]:
        """Entries, of one case or of all, with numbers below `before`, the newest first."""
        wanted = _decisions().order_by(DECISIONS.c.number.desc()).limit(count)
        if case_id is not None:
            wanted = wanted.where(DECISIONS.c.case_id == case_id)
        if before is not None:
            wanted = wanted.where(DECISIONS.c.number < before)
        with self._database.transaction() as connection:
            return [_decision_of(row) for row in connection.execute(wanted)]

    def _write(self, connection: Connection, case: Row[Any], entry: _Entry, images: Sequence[DecidedImage]) -> str:
        decision_id, now = secrets.token_hex(_DECISION_ID_BYTES), self._now()
        row = {"decision_id": decision_id, "case_id": case.case_id, "at_ms": to_milliseconds(now), **asdict(entry)}
        connection.execute(DECISIONS.insert().values(row))
        connection.execute(DECIDED_IMAGES.insert(), [{"decision_id": decision_id, **_columns(one)} for one in images])
        action = "decision_made" if entry.reverses is None else "decision_reversed"
        reverses = {} if entry.reverses is None else {"reverses": entry.reverses}
        told = {"policy": entry.policy, "reason": entry.reason}
        detail = {"decision_id": decision_id, **reverses, **told, "images": len(images)}
        write_audit(connection, to_milliseconds(now), entry.who, action, case_id=case.case_id, detail=detail)
        body = {
            "type": action.replace("_", "."),
            "id": decision_id,
            "time": shown_time(now),
            **reverses,
            "case": {"case_id": case.case_id, "name": case.name},
            **told,
            "who": entry.who,
            "images": [_told(one) for one in images],
        }
        self._outbox.add(connection, Stream.DECISIONS, [Event(decision_id, body)])
        return decision_id


def _held_case(connection: Connection, case_id: str) -> Row[Any]:
    """The case, which nobody else can write to until the transaction ends."""
    row = connection.execute(select(CASES).where(CASES.c.case_id == case_id).with_for_update()).first()
    if row is None:
        raise CaseMissingError("there is no such case")
    return row


def _relevant(connection: Connection, case_id: str) -> dict[str, DecidedImage]:
    last = select(func.max(JUDGEMENTS.c.number)).where(JUDGEMENTS.c.case_id == case_id).group_by(JUDGEMENTS.c.image_id)
    wanted = select(JUDGEMENTS).where(JUDGEMENTS.c.number.in_(last), JUDGEMENTS.c.verdict == Verdict.RELEVANT)
    rows = connection.execute(wanted.order_by(JUDGEMENTS.c.number))
    return {row.image_id: _image_of(row) for row in rows}


def _decided(connection: Connection, case_id: str, policy: str) -> set[str]:
    """The images that decisions of the case by this policy stand for."""
    reversed_ones = select(DECISIONS.c.reverses).where(DECISIONS.c.reverses.is_not(None))
    standing = select(DECISIONS.c.decision_id).where(
        DECISIONS.c.case_id == case_id,
        DECISIONS.c.policy == policy,
        DECISIONS.c.reverses.is_(None),
        DECISIONS.c.decision_id.not_in(reversed_ones),
    )
    return set(connection.scalars(select(DECIDED_IMAGES.c.image_id).where(DECIDED_IMAGES.c.decision_id.in_(standing))))


def _chosen(
    relevant: dict[str, DecidedImage], named: Sequence[str] | None, decided: set[str]
) -> Sequence[DecidedImage]:
    if named and not relevant.keys() >= set(named):
        raise QueryInvalidError("a decision is about images that are relevant in the case")
    chosen = [relevant[image_id] for image_id in dict.fromkeys(named or relevant) if image_id not in decided]
    if not chosen:
        raise QueryInvalidError("no relevant image of the case is left to decide about by this policy")
    if len(chosen) > DECIDED_IMAGES_MAX:
        raise QueryInvalidError(f"a decision is about {DECIDED_IMAGES_MAX} images at most; name some of them")
    return chosen


def _told(image: DecidedImage) -> dict[str, Any]:
    """An image as others are told of it."""
    shown = json.loads(image.image) if image.image else {}
    return {
        "image_id": image.image_id,
        "item_id": shown.get("item_id"),
        "image_url": shown.get("image_url"),
        "encoder": image.encoder_id,
        "code": None if image.code is None else image.code.hex(),
    }


def _columns(image: DecidedImage) -> dict[str, Any]:
    columns = asdict(image)
    return {"encoder": columns.pop("encoder_id"), **columns}


def _images(connection: Connection, decision_id: str) -> list[DecidedImage]:
    wanted = select(DECIDED_IMAGES).where(DECIDED_IMAGES.c.decision_id == decision_id)
    return [_image_of(row) for row in connection.execute(wanted.order_by(DECIDED_IMAGES.c.image_id))]


def _image_of(row: Row[Any]) -> DecidedImage:
    code = None if row.code is None else bytes(row.code)
    return DecidedImage(row.image_id, row.encoder, code, row.image, row.evidence)


def _decision(connection: Connection, decision_id: str) -> Decision:
    row = connection.execute(_decisions().where(DECISIONS.c.decision_id == decision_id)).first()
    if row is None:
        raise DecisionMissingError("there is no such decision")
    return _decision_of(row)


def _decisions() -> Select[Any]:
    later = DECISIONS.alias()
    reversed_by = select(later.c.decision_id).where(later.c.reverses == DECISIONS.c.decision_id).scalar_subquery()
    images = (
        select(func.count())
        .select_from(DECIDED_IMAGES)
        .where(DECIDED_IMAGES.c.decision_id == DECISIONS.c.decision_id)
        .scalar_subquery()
    )
    return select(DECISIONS, reversed_by.label("reversed_by"), images.label("images"))


def _decision_of(row: Row[Any]) -> Decision:
    return Decision(
        row.number,
        row.decision_id,
        row.case_id,
        row.policy,
        row.reason,
        row.who,
        from_milliseconds(row.at_ms),
        row.images,
        row.reverses,
        row.reversed_by,
    )
