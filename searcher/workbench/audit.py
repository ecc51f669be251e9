"""The audit log: who took something out, changed something, or decided something. Only ever appended to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from searcher.workbench.database import Database
from searcher.workbench.tables import AUDIT
from shared.rolling_window import from_milliseconds


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What somebody did; `detail` depends on the action."""

    number: int
    at: datetime
    who: str
    action: str
    case_id: str | None
    detail: Mapping[str, Any]


class AuditLog:
    """Reads the log. Every method is one transaction; WorkbenchUnavailableError where the database is away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, case_id: str | None, before: int | None, count: int) -> list[AuditEntry]:
        """Entries with numbers below `before`, of a case alone where one is named, the newest first."""
        wanted = select(AUDIT).order_by(AUDIT.c.number.desc()).limit(count)
        if case_id is not None:
            wanted = wanted.where(AUDIT.c.case_id == case_id)
        if before is not None:
            wanted = wanted.where(AUDIT.c.number < before)
        with self._database.transaction() as connection:
            return [
                AuditEntry(
                    row.number, from_milliseconds(row.at_ms), row.who, row.action, row.case_id, json.loads(row.detail)
                )
                for row in connection.execute(wanted)
            ]


def write_audit(
    connection: Connection, at_ms: int, who: str, action: str, *, case_id: str | None, detail: Mapping[str, Any]
) -> None:
    """Add an entry, in the transaction of what it tells of; `at_ms` are milliseconds since the epoch."""
    values = {"at_ms": at_ms, "who": who, "action": action, "case_id": case_id}
    connection.execute(AUDIT.insert().values(**values, detail=json.dumps(detail, ensure_ascii=False)))
