"""Follows the writes of the SQLite store: every write takes the next number, so new is what has a higher one.

Writers are serialised and take their numbers within the transaction, so the order of the numbers is that of the
commits: a reader that sees one number sees all below it that are still held.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

from shared.store import Change, Changes
from shared.store.sqlite import Connection, Database
from shared.store.sqlite_rows import NUMBER_BYTES

_STEP_CHANGES = 5000
# Markers have no code, and an image may have codes of other encoders only.
_CHANGES = f"""
SELECT documents.number, image_id, version, documents.event_time_ms, substr(entry, {NUMBER_BYTES + 1}),
    item_id, image_url, attributes
FROM documents LEFT JOIN codes ON encoder = (SELECT number FROM encoders WHERE encoder_id = ?)
    AND document = documents.number
WHERE documents.number > ? ORDER BY documents.number LIMIT ?
"""
_TERMS = "SELECT document, term FROM terms WHERE document > ? AND document <= ? ORDER BY document, term"


class SqliteChangeFeed:
    """The contract is `shared.store.ChangeFeed`'s.

    A month that is dropped gives its versions free, so that what followers know of them is void.
    """

    def __init__(
        self,
        database: Database,
        encoder_id: str,
        *,
        terms: bool,
        shown: bool = False,
        step_changes: int = _STEP_CHANGES,
    ) -> None:
        """Follow the codes of `encoder_id`, with what else is asked for, so many changes in a step."""
        self._database = database
        self._encoder_id = encoder_id
        self._terms = terms
        self._shown = shown
        self._step_changes = step_changes
        self._last = 0
        self._months: frozenset[int] = frozenset()

    def read(self) -> Changes:
        """The next step, of one state of the file."""
        with self._database.reading() as connection:
            months = frozenset(number for (number,) in connection.execute("SELECT number FROM months"))
            lost = not self._months <= months
            start = 0 if lost else self._last
            rows = connection.execute(_CHANGES, (self._encoder_id, start, self._step_changes)).fetchall()
            last: int = rows[-1][0] if rows else start
            terms = _terms(connection, start, last) if self._terms else {}
        # Only now: a step that failed is read again.
        self._months, self._last = months, last
        changes = [
            Change(name, version, time, code, terms.get(number, ()), _shown(code, shown) if self._shown else None)
            for number, name, version, time, code, *shown in rows
        ]
        return Changes(changes, len(rows) < self._step_changes, lost)


def _shown(code: bytes | None, row: Sequence[str | None]) -> bytes | None:
    """What `pack_shown` gives of the document of a row, None for a marker."""
    item_id, image_url, attributes = row
    if code is None:
        return None
    return f"[{json.dumps(item_id)},{json.dumps(image_url)},{attributes}]".encode()


def _terms(connection: Connection, after: int, last: int) -> Mapping[int, Sequence[str]]:
    """The terms of the documents of these numbers."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for number, term in connection.execute(_TERMS, (after, last)):
        found[number].append(term)
    return found
