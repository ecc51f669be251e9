"""The ledger: cases, judgements and evidence as they are written and read. Judgements are appended, never changed.

An image's verdict in a case is its last entry; a withdrawn one counts as none.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, or_, select

from searcher.workbench.audit import write_audit
from searcher.workbench.database import Database, insert_new
from searcher.workbench.records import (
    Case,
    CaseSeed,
    CaseState,
    Evidence,
    Judgement,
    NewJudgement,
    Progress,
    Verdict,
)
from searcher.workbench.tables import CASE_SEEDS, CASES, EVIDENCE, JUDGEMENTS, SEARCHES
from shared.errors import CatalogueError
from shared.rolling_window import from_milliseconds, to_milliseconds

_CASE_ID_BYTES = 8


class CaseMissingError(CatalogueError):
    """There is no such case."""


class EvidenceMissingError(CatalogueError):
    """No picture with this digest is kept."""


class Ledger:
    """What is kept in a database. Every method is one transaction; WorkbenchUnavailableError where it is away."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    # Evidence

    def keep(self, pictures: Sequence[Evidence]) -> list[str]:
        """Keep pictures; gives their digests, in order. The same bytes are kept once."""
        digests = [hashlib.sha256(picture.content).hexdigest() for picture in pictures]
        rows = [
            {"digest": digest, **asdict(picture), "kept_at_ms": self._now_ms()}
            for digest, picture in zip(digests, pictures, strict=True)
        ]
        with self._database.transaction(writes=True) as connection:
            insert_new(connection, EVIDENCE, rows)
        return digests

    def evidence(self, digest: str) -> Evidence:
        """A kept picture; EvidenceMissingError."""
        with self._database.transaction() as connection:
            row = connection.execute(select(EVIDENCE).where(EVIDENCE.c.digest == digest)).first()
        if row is None:
            raise EvidenceMissingError("no picture with this digest is kept")
        return Evidence(row.media_type, bytes(row.content))

    # Cases

    def open_case(self, name: str, note: str, seeds: Sequence[CaseSeed], who: str) -> Case:
        """A new case."""
        case_id, now = secrets.token_hex(_CASE_ID_BYTES), self._now_ms()
        with self._database.transaction(writes=True) as connection:
            connection.execute(
                CASES.insert().values(
                    case_id=case_id, name=name, note=note, state=CaseState.OPEN, made_at_ms=now, changed_at_ms=now
                )
            )
            _add_seeds(connection, case_id, seeds)
            self._audit(connection, who, "case_opened", case_id, {"name": name})
            return _case(connection, case_id)

    def change_case(self, case_id: str, changes: Mapping[str, str], seeds: Sequence[CaseSeed], who: str) -> Case:
        """Set the name, note or state of a case, and add seeds to it; CaseMissingError."""
        with self._database.transaction(writes=True) as connection:
            _hold(connection, case_id)
            values = {**changes, "changed_at_ms": self._now_ms()}
            connection.execute(CASES.update().where(CASES.c.case_id == case_id).values(values))
            _add_seeds(connection, case_id, seeds)
            self._audit(connection, who, "case_changed", case_id, {**changes, "seeds_added": len(seeds)})
            return _case(connection, case_id)

    def case(self, case_id: str) -> Case:
        """A case with its seeds; CaseMissingError."""
        with self._database.transaction() as connection:
            return _case(connection, case_id)

    def cases(self, state: CaseState | None, after: tuple[int, str] | None, count: int) -> list[Case]:
        """Cases without their seeds, the one changed last first, behind the place `after` (milliseconds, case id)."""
        wanted = select(CASES).order_by(CASES.c.changed_at_ms.desc(), CASES.c.case_id).limit(count)
        if state is not None:
            wanted = wanted.where(CASES.c.state == state)
        if after is not None:
            changed_at_ms, case_id = after
            same = and_(CASES.c.changed_at_ms == changed_at_ms, CASES.c.case_id > case_id)
            wanted = wanted.where(or_(CASES.c.changed_at_ms < changed_at_ms, same))
        with self._database.transaction() as connection:
            rows = connection.execute(wanted).all()
            progress = _progress(connection, [row.case_id for row in rows])
        return [_case_of(row, progress[row.case_id]) for row in rows]

    # Judgements

    def judge(self, case_id: str, judgements: Sequence[NewJudgement], who: str, search: str | None = None) -> Progress:
        """Append judgements of one search (its request, as JSON); CaseMissingError.

        One that says what the image's last entry says already is a repeat and not written again.
        """
        with self._database.transaction(writes=True) as connection:
            # One after another in a case, so that numbers are given in the order in which entries can be seen.
            _hold(connection, case_id)
            search_digest = None if search is None else _keep_search(connection, search)
            last = _last_verdicts(connection, case_id, [one.image_id for one in judgements])
            now, rows = self._now_ms(), []
            for one in judgements:
                if last.get(one.image_id, Verdict.WITHDRAWN) != one.verdict:
                    last[one.image_id] = one.verdict
                    entry = {"case_id": case_id, "who": who, "at_ms": now, "search": search_digest}
                    rows.append({**asdict(one), **entry})
            if rows:
                connection.execute(JUDGEMENTS.insert(), rows)
                connection.execute(CASES.update().where(CASES.c.case_id == case_id).values(changed_at_ms=now))
            return _progress(connection, [case_id])[case_id]

    def entries(self, case_id: str | None, after: int, count: int) -> list[Judgement]:
        """Entries of the ledger with numbers above `after`, of one case or of all, in order; CaseMissingError."""
        wanted = _with_searches().where(JUDGEMENTS.c.number > after).order_by(JUDGEMENTS.c.number).limit(count)
        with self._database.transaction() as connection:
            if case_id is not None:
                _case_row(connection, case_id)
                wanted = wanted.where(JUDGEMENTS.c.case_id == case_id)
            return [_judgement_of(row) for row in connection.execute(wanted)]

    def last_number(self) -> int:
        """The number of the last entry; 0 where there is none."""
        with self._database.transaction() as connection:
            return int(connection.execute(select(func.coalesce(func.max(JUDGEMENTS.c.number), 0))).scalar_one())

    def verdicts(self, case_id: str, up_to: int | None = None) -> list[Judgement]:
        """The last entry of each image of a case that is not withdrawn, in the order of writing; CaseMissingError.

        With `up_to` as it was when the entry with this number was the last one.
        """
        with self._database.transaction() as connection:
            _case_row(connection, case_id)
            wanted = _with_searches().where(
                JUDGEMENTS.c.number.in_(_last_numbers([case_id], up_to)), JUDGEMENTS.c.verdict != Verdict.WITHDRAWN
            )
            return [_judgement_of(row) for row in connection.execute(wanted.order_by(JUDGEMENTS.c.number))]

    # The audit log

    def audit(self, who: str, action: str, case_id: str | None, detail: Mapping[str, Any]) -> None:
        """Write down that somebody took something out or decided something."""
        with self._database.transaction(writes=True) as connection:
            self._audit(connection, who, action, case_id, detail)

    def _audit(
        self, connection: Connection, who: str, action: str, case_id: str | None, detail: Mapping[str, Any]
    ) -> None:
        write_audit(connection, self._now_ms(), who, action, case_id=case_id, detail=detail)

    def _now_ms(self) -> int:
        return to_milliseconds(self._now())


def _hold(connection: Connection, case_id: str) -> None:
    """Keep others from writing to the case until the transaction ends. SQLite lets one write at a time anyway."""
    found = connection.execute(select(CASES.c.case_id).where(CASES.c.case_id == case_id).with_for_update()).first()
    if found is None:
        raise CaseMissingError("there is no such case")


def _case_row(connection: Connection, case_id: str) -> Row[Any]:
    row = connection.execute(select(CASES).where(CASES.c.case_id == case_id)).first()
    if row is None:
        raise CaseMissingError("there is no such case")
    return row


def _case(connection: Connection, case_id: str) -> Case:
    row = _case_row(connection, case_id)
    seeds = connection.execute(select(CASE_SEEDS).where(CASE_SEEDS.c.case_id == case_id).order_by(CASE_SEEDS.c.number))
    return _case_of(row, _progress(connection, [case_id])[case_id], [_seed_of(seed) for seed in seeds])


def _add_seeds(connection: Connection, case_id: str, seeds: Sequence[CaseSeed]) -> None:
    if seeds:
        connection.execute(CASE_SEEDS.insert(), [{"case_id": case_id, **asdict(seed)} for seed in seeds])


def _keep_search(connection: Connection, request: str) -> str:
    digest = hashlib.sha256(request.encode()).hexdigest()
    insert_new(connection, SEARCHES, [{"digest": digest, "request": request}])
    return digest


def _last_numbers(case_ids: Sequence[str], up_to: int | None = None) -> Select[tuple[int]]:
    """The numbers of the last entries of each image of each case."""
    of_cases = select(func.max(JUDGEMENTS.c.number)).where(JUDGEMENTS.c.case_id.in_(case_ids))
    if up_to is not None:
        of_cases = of_cases.where(JUDGEMENTS.c.number <= up_to)
    return of_cases.group_by(JUDGEMENTS.c.case_id, JUDGEMENTS.c.image_id)


def _last_verdicts(connection: Connection, case_id: str, image_ids: Sequence[str]) -> dict[str, str]:
    numbers = _last_numbers([case_id]).where(JUDGEMENTS.c.image_id.in_(image_ids))
    rows = connection.execute(
        select(JUDGEMENTS.c.image_id, JUDGEMENTS.c.verdict).where(JUDGEMENTS.c.number.in_(numbers))
    )
    return {row.image_id: row.verdict for row in rows}


def _progress(connection: Connection, case_ids: Sequence[str]) -> dict[str, Progress]:
    counted = (
        select(JUDGEMENTS.c.case_id, JUDGEMENTS.c.verdict, func.count().label("images"))
        .where(JUDGEMENTS.c.number.in_(_last_numbers(case_ids)), JUDGEMENTS.c.verdict != Verdict.WITHDRAWN)
        .group_by(JUDGEMENTS.c.case_id, JUDGEMENTS.c.verdict)
    )
    counts: dict[str, dict[str, int]] = {case_id: {} for case_id in case_ids}
    for row in connection.execute(counted):
        counts[row.case_id][row.verdict] = row.images
    return {case_id: Progress(**of_case) for case_id, of_case in counts.items()}


def _with_searches() -> Select[Any]:
    return select(JUDGEMENTS, SEARCHES.c.request).outerjoin(SEARCHES, JUDGEMENTS.c.search == SEARCHES.c.digest)


def _case_of(row: Row[Any], progress: Progress, seeds: Sequence[CaseSeed] = ()) -> Case:
    return Case(
        row.case_id,
        row.name,
        row.note,
        CaseState(row.state),
        from_milliseconds(row.made_at_ms),
        from_milliseconds(row.changed_at_ms),
        progress,
        seeds,
    )


def _seed_of(row: Row[Any]) -> CaseSeed:
    return CaseSeed(bytes(row.code), row.encoder, row.weight, row.image_id, row.url, row.evidence)


def _judgement_of(row: Row[Any]) -> Judgement:
    return Judgement(
        row.number,
        row.case_id,
        row.image_id,
        Verdict(row.verdict),
        row.who,
        from_milliseconds(row.at_ms),
        row.rank,
        row.distance,
        row.encoder,
        None if row.code is None else bytes(row.code),
        row.request,
        row.image,
        row.evidence,
    )
