"""Watches as they are written and read. The database has the truth; stores are told of it, and indexers by them."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from searcher.workbench.audit import write_audit
from searcher.workbench.database import Database, insert_new
from searcher.workbench.ledger import CaseMissingError
from searcher.workbench.tables import CASES, COUNTERS, WATCHES
from searcher.workbench.watch_records import KeptWatch, NewWatch, WatchState
from shared.errors import CatalogueError, QueryInvalidError
from shared.rolling_window import from_milliseconds, to_milliseconds
from shared.watch import WATCHES_MAX, WatchList

_WATCH_ID_BYTES = 8
_REVISION = "watches"


class WatchMissingError(CatalogueError):
    """There is no such watch."""


class Watches:
    """What is watched for. Every method is one transaction; WorkbenchUnavailableError where the database is away.

    All watches share one count of revisions: a change that matters to indexers takes the next one, so the highest
    revision is that of the whole list.
    """

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def open(self, new: NewWatch, who: str) -> KeptWatch:
        """A new active watch of a case; CaseMissingError, QueryInvalidError."""
        watch_id, now = secrets.token_hex(_WATCH_ID_BYTES), self._now_ms()
        with self._database.transaction(writes=True) as connection:
            revision = next_number(connection, _REVISION)
            if connection.execute(select(CASES.c.case_id).where(CASES.c.case_id == new.case_id)).first() is None:
                raise CaseMissingError("there is no such case")
            row = {
                "watch_id": watch_id,
                "case_id": new.case_id,
                "name": new.name,
                "note": new.note,
                "encoder": new.encoder_id,
                **_code_columns(new.codes),
                "radius": new.radius,
                "filter": json.dumps(dict(new.filter), ensure_ascii=False),
                "state": WatchState.ACTIVE,
                "revision": revision,
                "ran_revision": 0,
                "made_at_ms": now,
                "changed_at_ms": now,
            }
            connection.execute(WATCHES.insert().values(row))
            made = _checked(connection, watch_id)
            detail = {"watch_id": watch_id, "name": new.name, "radius": new.radius, "codes": len(new.codes)}
            write_audit(connection, now, who, "watch_opened", case_id=new.case_id, detail=detail)
        return made

    def change(
        self, watch_id: str, changes: Mapping[str, Any], codes: Sequence[bytes] | None, encoder_id: str, who: str
    ) -> KeptWatch:
        """Set `name`, `note`, `radius`, `filter` or `state`, and with `codes` what it watches for.

        All but name and note take a new revision, which is run over the window anew. WatchMissingError,
        QueryInvalidError where it has ended or the result makes no sense.
        """
        told = {name: value for name, value in changes.items() if name != "filter"}
        values = dict(told)
        if "filter" in changes:
            values["filter"] = json.dumps(changes["filter"], ensure_ascii=False)
        if codes is not None:
            values |= {"encoder": encoder_id, **_code_columns(codes)}
            told["codes"] = len(codes)
        with self._database.transaction(writes=True) as connection:
            revision = next_number(connection, _REVISION)
            before = _watch(connection, watch_id)
            if before.state is WatchState.ENDED:
                raise QueryInvalidError("the watch has ended; open another one")
            if set(values) - {"name", "note"}:
                values["revision"] = revision
            values["changed_at_ms"] = self._now_ms()
            connection.execute(WATCHES.update().where(WATCHES.c.watch_id == watch_id).values(values))
            changed = _checked(connection, watch_id)
            detail = {"watch_id": watch_id, **told, **({"filter": changes["filter"]} if "filter" in changes else {})}
            write_audit(connection, self._now_ms(), who, "watch_changed", case_id=before.case_id, detail=detail)
        return changed

    def watch(self, watch_id: str) -> KeptWatch:
        """A watch; WatchMissingError."""
        with self._database.transaction() as connection:
            return _watch(connection, watch_id)

    def watches(
        self, state: WatchState | None, case_id: str | None, after: tuple[int, str] | None, count: int
    ) -> list[KeptWatch]:
        """Watches, the one changed last first, behind the place `after` (milliseconds, watch id)."""
        wanted = select(WATCHES).order_by(WATCHES.c.changed_at_ms.desc(), WATCHES.c.watch_id).limit(count)
        if state is not None:
            wanted = wanted.where(WATCHES.c.state == state)
        if case_id is not None:
            wanted = wanted.where(WATCHES.c.case_id == case_id)
        if after is not None:
            changed_at_ms, watch_id = after
            same = and_(WATCHES.c.changed_at_ms == changed_at_ms, WATCHES.c.watch_id > watch_id)
            wanted = wanted.where(or_(WATCHES.c.changed_at_ms < changed_at_ms, same))
        with self._database.transaction() as connection:
            return [watch_of(row) for row in connection.execute(wanted)]

    # What indexers are told

    def revision(self) -> int:
        """The revision of the list of active watches, 0 before the first watch."""
        with self._database.transaction() as connection:
            return connection.scalar(select(COUNTERS.c.value).where(COUNTERS.c.name == _REVISION)) or 0

    def active(self) -> WatchList:
        """All active watches."""
        with self._database.transaction() as connection:
            revision = connection.scalar(select(COUNTERS.c.value).where(COUNTERS.c.name == _REVISION)) or 0
            rows = connection.execute(select(WATCHES).where(WATCHES.c.state == WatchState.ACTIVE)).all()
        return WatchList(revision, [watch_of(row).to_publish() for row in rows])

    def rise_above(self, revision: int) -> None:
        """Go on counting above this one; what is active then is published and run anew."""
        with self._database.transaction(writes=True) as connection:
            highest = next_number(connection, _REVISION, at_least=revision + 1)
            active = WATCHES.c.state == WatchState.ACTIVE
            connection.execute(WATCHES.update().where(active).values(revision=highest))

    # What has been run over the window

    def to_run(self) -> list[KeptWatch]:
        """Active watches of which no run over the window has ended since they changed."""
        wanted = select(WATCHES).where(
            WATCHES.c.state == WatchState.ACTIVE, WATCHES.c.ran_revision < WATCHES.c.revision
        )
        with self._database.transaction() as connection:
            return [watch_of(row) for row in connection.execute(wanted.order_by(WATCHES.c.revision))]

    def ran_revision(self) -> int:
        """The highest revision of a watch that has been run, and so had been published; 0 where none has."""
        with self._database.transaction() as connection:
            return connection.scalar(select(func.max(WATCHES.c.ran_revision))) or 0

    def ran(self, watch: KeptWatch) -> None:
        """Write down that this revision has been run over the whole window."""
        values = {"ran_revision": watch.revision}
        with self._database.transaction(writes=True) as connection:
            connection.execute(WATCHES.update().where(WATCHES.c.watch_id == watch.watch_id).values(values))

    def _now_ms(self) -> int:
        return to_milliseconds(self._now())


def next_number(connection: Connection, name: str, at_least: int = 1) -> int:
    """Count up, and keep others from doing so until the transaction ends."""
    insert_new(connection, COUNTERS, [{"name": name, "value": 0}])
    value = connection.scalar(select(COUNTERS.c.value).where(COUNTERS.c.name == name).with_for_update()) or 0
    following = max(value + 1, at_least)
    connection.execute(COUNTERS.update().where(COUNTERS.c.name == name).values(value=following))
    return following


def watch_of(row: Row[Any]) -> KeptWatch:
    """A row of the table of watches."""
    codes = bytes(row.codes)
    return KeptWatch(
        row.watch_id,
        row.case_id,
        row.name,
        row.note,
        row.encoder,
        [codes[start : start + row.code_bytes] for start in range(0, len(codes), row.code_bytes)],
        row.radius,
        json.loads(row.filter),
        WatchState(row.state),
        row.revision,
        row.ran_revision,
        from_milliseconds(row.made_at_ms),
        from_milliseconds(row.changed_at_ms),
    )


def _code_columns(codes: Sequence[bytes]) -> dict[str, Any]:
    if not codes or len({len(code) for code in codes}) > 1:
        raise QueryInvalidError("a watch needs codes of one encoder")
    return {"codes": b"".join(codes), "code_bytes": len(codes[0])}


def _watch(connection: Connection, watch_id: str) -> KeptWatch:
    row = connection.execute(select(WATCHES).where(WATCHES.c.watch_id == watch_id)).first()
    if row is None:
        raise WatchMissingError("there is no such watch")
    return watch_of(row)


def _checked(connection: Connection, watch_id: str) -> KeptWatch:
    """The watch as it is after a change, if it makes sense and there are not too many."""
    watch = _watch(connection, watch_id)
    active = select(func.count()).select_from(WATCHES).where(WATCHES.c.state == WatchState.ACTIVE)
    if (connection.scalar(active) or 0) > WATCHES_MAX:
        raise QueryInvalidError(f"at most {WATCHES_MAX} watches can be active")
    watch.to_publish()
    return watch
