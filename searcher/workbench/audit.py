"""The audit log: who took something out, changed something, or decided something. Only ever appended to."""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from searcher.workbench.tables import AUDIT


def write_audit(
    connection: Connection, at_ms: int, who: str, action: str, *, case_id: str | None, detail: Mapping[str, Any]
) -> None:
    """Add an entry, in the transaction of what it tells of; `at_ms` are milliseconds since the epoch."""
    values = {"at_ms": at_ms, "who": who, "action": action, "case_id": case_id}
    connection.execute(AUDIT.insert().values(**values, detail=json.dumps(detail, ensure_ascii=False)))
