"""The store in one SQLite file: one row for each image, so an update replaces in place and no copy can be left over."""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from shared.document import Document, Kind
from shared.errors import ConfigurationError, QueryInvalidError, RejectedError
from shared.hash_code import hamming_distances
from shared.rolling_window import is_droppable, month_of
from shared.store import (
    ChangeFeed,
    Neighbour,
    Neighbours,
    PageCursor,
    Restriction,
    StoredCopy,
    StoredEncoder,
    WriteOutcome,
)
from shared.store.sqlite import Connection, Database
from shared.store.sqlite_changes import SqliteChangeFeed
from shared.store.sqlite_rows import COLUMNS, NUMBER_BYTES, codes_of, document_of, prepare, remove_document, write_rows
from shared.store.sqlite_subcodes import having_subcodes
from shared.watch import NO_WATCHES, WatchList, from_bytes, to_bytes

# Rows removed in one transaction, so that a large month does not keep another writer waiting past its patience.
_DROP_ROWS = 5000
# A word of fewer images than this is looked up by the word, others by the image.
_RARE = 2000
# Copies that a scan reads in one transaction: a long one would keep the write-ahead log from being cut.
_SCAN_ROWS = 2000
_PUBLISH = """
INSERT INTO watches (one, revision, list) VALUES (1, ?, ?)
ON CONFLICT (one) DO UPDATE SET revision = excluded.revision, list = excluded.list WHERE excluded.revision > revision
"""
_COPIES = """
SELECT month, image_id, kind, version, event_time_ms, (
    SELECT json_group_array(encoder_id)
    FROM encoders CROSS JOIN codes ON encoder = encoders.number AND document = documents.number
) FROM documents
"""


class SqliteStore:
    """The contract is `shared.store.Store`'s. One process writes images; others may read, and publish watches."""

    def __init__(self, path: Path, busy_seconds: float = 10.0) -> None:
        """Open or make the file; ConfigurationError where that can't be. `busy_seconds`: patience with a lock."""
        self._database = Database(path, busy_seconds)

    @property
    def searchable_after_seconds(self) -> float:
        # A read sees what was committed before it.
        return 0.0

    # Encoders

    def activate_encoder(self, encoder: StoredEncoder) -> None:
        with self._database.writing() as connection:
            active = connection.execute("SELECT encoder_id FROM encoders WHERE active = 1").fetchone()
            if active is not None and active[0] != encoder.encoder_id:
                raise ConfigurationError("another encoder is active; an index has one for good")
            connection.execute(
                "INSERT INTO encoders (encoder_id, bits, blob, active) VALUES (?, ?, ?, 1) "
                "ON CONFLICT (encoder_id) DO UPDATE SET bits = excluded.bits, blob = excluded.blob, active = 1",
                (encoder.encoder_id, encoder.bits, encoder.blob),
            )

    def active_encoder(self) -> StoredEncoder | None:
        with self._database.reading() as connection:
            row = connection.execute("SELECT encoder_id, bits, blob FROM encoders WHERE active = 1").fetchone()
        return None if row is None else StoredEncoder(*row)

    # Watches

    def publish_watches(self, watches: WatchList) -> None:
        packed = to_bytes(watches)
        with self._database.writing() as connection:
            connection.execute(_PUBLISH, (watches.revision, packed))

    def watches_revision(self) -> int:
        with self._database.reading() as connection:
            row = connection.execute("SELECT revision FROM watches").fetchone()
        return 0 if row is None else int(row[0])

    def watches(self) -> WatchList:
        with self._database.reading() as connection:
            row = connection.execute("SELECT list FROM watches").fetchone()
        return NO_WATCHES if row is None else from_bytes(row[0])

    # Writing

    def settle(self, image_ids: Sequence[str]) -> Mapping[str, Document]:
        return self.documents(image_ids)

    def write(self, documents: Sequence[Document], now: datetime) -> Sequence[WriteOutcome | RejectedError]:
        month = month_of(now)
        prepared = [prepare(document, month) for document in documents]
        with self._database.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO months (month) VALUES (?)", (month,))
            return [one if isinstance(one, RejectedError) else write_rows(connection, one) for one in prepared]

    def drop_expired(self, now: datetime, window_months: int) -> Sequence[str]:
        with self._database.reading() as connection:
            months = [month for (month,) in connection.execute("SELECT month FROM months ORDER BY month")]
        expired = [month for month in months if is_droppable(month, now, window_months)]
        for month in expired:
            while self._drop_some(month):
                pass
        return expired

    # Reading

    def documents(self, image_ids: Sequence[str]) -> Mapping[str, Document]:
        found: dict[str, Document] = {}
        with self._database.reading() as connection:
            for image_id in image_ids:
                row = connection.execute(f"SELECT {COLUMNS} FROM documents WHERE image_id = ?", (image_id,)).fetchone()
                if row is not None:
                    found[image_id] = document_of(row, codes_of(connection, row[0]))
        return found

    def documents_at(self, versions: Mapping[str, int]) -> Mapping[str, Document]:
        found = self.documents(list(versions))
        return {image_id: one for image_id, one in found.items() if one.live and one.version == versions[image_id]}

    def thumbnail(self, image_id: str) -> bytes | None:
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT webp FROM thumbnails WHERE document = (SELECT number FROM documents WHERE image_id = ?)",
                (image_id,),
            ).fetchone()
        return None if row is None else row[0]

    def nearest(
        self, encoder_id: str, code: bytes, count: int, radius: int | None, restriction: Restriction
    ) -> Neighbours:
        where, values = _conditions("codes", "document", restriction)
        with self._database.reading() as connection:
            encoder = connection.execute(
                "SELECT number, bits FROM encoders WHERE encoder_id = ?", (encoder_id,)
            ).fetchone()
            if encoder is None:
                return Neighbours(())
            number, bits = encoder
            if bits != len(code) * 8:
                raise QueryInvalidError(f"codes of this encoder have {bits} bits, not {len(code) * 8}")
            if restriction.subcodes is not None:
                question, bounds = having_subcodes(connection, number, restriction.subcodes)
                where += f" AND codes.document IN ({question})"
                values += bounds
            # Concatenated inside SQLite: a row each in Python would take five times as long and hold up other threads.
            # Bytes cast to text stay the bytes they are, zeros included.
            entries: bytes | None = connection.execute(
                "SELECT CAST(group_concat(CAST(entry AS TEXT), '') AS BLOB) FROM codes "
                f"WHERE codes.encoder = ? AND {where}",
                (number, *values),
            ).fetchone()[0]
            if not entries:
                return Neighbours(())
            near = _near(entries, code, count, radius)
            image_ids = _image_ids(connection, list(near))
            nearest = sorted((distance, image_ids[document], document) for document, distance in near.items())[:count]
            question = f"SELECT {COLUMNS} FROM documents WHERE number = ?"
            return Neighbours(
                [
                    Neighbour(distance, document_of(connection.execute(question, (document,)).fetchone(), {}))
                    for distance, _, document in nearest
                ],
                compared=len(entries) // (NUMBER_BYTES + len(code)),
            )

    def approximately_nearest(
        self, encoder_id: str, code: bytes, count: int, radius: int | None, restriction: Restriction
    ) -> Neighbours:
        raise QueryInvalidError("the embedded store keeps no graph; ask for an exact strategy")

    def follow(self, encoder_id: str, *, terms: bool, shown: bool = False) -> ChangeFeed:
        return SqliteChangeFeed(self._database, encoder_id, terms=terms, shown=shown)

    def newest(
        self, words: Sequence[str], restriction: Restriction, after: PageCursor | None, count: int
    ) -> Sequence[Document]:
        where, values = _conditions("documents", "number", restriction)
        if after is not None:
            where += " AND event_time_ms <= ? AND (event_time_ms < ? OR image_id > ?)"
            values += [after.event_time_ms, after.event_time_ms, after.image_id]
        with self._database.reading() as connection:
            for condition, bounds in _word_conditions(connection, words):
                where += f" AND {condition}"
                values += bounds
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM documents WHERE kind = 'image' AND {where} "
                "ORDER BY event_time_ms DESC, image_id LIMIT ?",
                (*values, count),
            )
            return [document_of(row, {}) for row in rows]

    def visible_count(self, restriction: Restriction) -> int:
        where, values = _conditions("documents", "number", restriction)
        with self._database.reading() as connection:
            question = f"SELECT count(*) FROM documents WHERE kind = 'image' AND {where}"
            return int(connection.execute(question, values).fetchone()[0])

    def scan(self) -> Generator[StoredCopy, None, None]:
        last = ""
        while True:
            with self._database.reading() as connection:
                page = connection.execute(
                    f"{_COPIES} WHERE image_id > ? ORDER BY image_id LIMIT ?", (last, _SCAN_ROWS)
                ).fetchall()
            yield from map(_copy_of, page)
            if len(page) < _SCAN_ROWS:
                return
            last = page[-1][1]

    def copies(self, image_ids: Sequence[str]) -> Sequence[StoredCopy]:
        with self._database.reading() as connection:
            found = [connection.execute(f"{_COPIES} WHERE image_id = ?", (one,)).fetchone() for one in image_ids]
        return [_copy_of(row) for row in found if row is not None]

    def check(self) -> None:
        with self._database.reading() as connection:
            connection.execute("SELECT count(*) FROM months").fetchone()

    def close(self) -> None:
        self._database.close()

    def _drop_some(self, month: str) -> bool:
        """Remove some documents of the month, or the month once it is empty; gives whether there may be more."""
        with self._database.writing() as connection:
            rows = connection.execute("SELECT number FROM documents WHERE month = ? LIMIT ?", (month, _DROP_ROWS))
            numbers = [number for (number,) in rows]
            for number in numbers:
                remove_document(connection, number)
            if not numbers:
                connection.execute("DELETE FROM months WHERE month = ?", (month,))
            return bool(numbers)


def _copy_of(row: Sequence[Any]) -> StoredCopy:
    month, image_id, kind, version, event_time_ms, encoder_ids = row
    return StoredCopy(month, image_id, Kind(kind), version, event_time_ms, frozenset(json.loads(encoder_ids)))


def _conditions(table: str, number_column: str, restriction: Restriction) -> tuple[str, list[Any]]:
    """The restriction as SQL conditions on a table that has the column `event_time_ms`, and their values."""
    conditions, values = [f"{table}.event_time_ms > ?"], [restriction.visible_after_ms]
    if restriction.since_ms is not None:
        conditions.append(f"{table}.event_time_ms >= ?")
        values.append(restriction.since_ms)
    if restriction.until_ms is not None:
        conditions.append(f"{table}.event_time_ms < ?")
        values.append(restriction.until_ms)
    found: list[Any] = [*values]
    for alternatives in restriction.terms:
        places = ", ".join("?" * len(alternatives))
        conditions.append(f"{table}.{number_column} IN (SELECT document FROM terms WHERE term IN ({places}))")
        found += alternatives
    return " AND ".join(conditions), found


def _word_conditions(connection: Connection, words: Sequence[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    """For each word a condition on documents, and its values.

    Where a word is rare, its images are listed and sorted. Where all are common, the images are walked from the newest,
    which finds a page at once and would go through all of them for a rare word.
    """
    limits = {word: (word, word + chr(0x10FFFF)) for word in words}
    question = "SELECT count(*) FROM (SELECT 1 FROM words WHERE word >= ? AND word < ? LIMIT ?)"
    counts = {word: connection.execute(question, (*limits[word], _RARE)).fetchone()[0] for word in limits}
    rarest = min(counts, key=counts.__getitem__, default=None)
    for word, bounds in limits.items():
        if word == rarest and counts[word] < _RARE:
            yield "number IN (SELECT document FROM words WHERE word >= ? AND word < ?)", bounds
        else:
            yield "EXISTS (SELECT 1 FROM words WHERE document = number AND word >= ? AND word < ?)", bounds


def _near(entries: bytes, code: bytes, count: int, radius: int | None) -> dict[int, int]:
    """Distance by document number of the `count` nearest entries and of all that tie with the last of them."""
    layout = np.dtype([("document", f">i{NUMBER_BYTES}"), ("code", np.uint8, (len(code),))])
    table = np.frombuffer(entries, dtype=layout)
    distances = hamming_distances(code, np.ascontiguousarray(table["code"]))
    bound = len(code) * 8 if radius is None else radius
    if count < len(distances):
        bound = min(bound, int(np.partition(distances, count - 1)[count - 1]))
    within = np.flatnonzero(distances <= bound)
    return dict(zip(table["document"][within].tolist(), distances[within].tolist(), strict=True))


def _image_ids(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    rows = connection.execute(
        "SELECT number, image_id FROM documents WHERE number IN (SELECT value FROM json_each(?))",
        (json.dumps(numbers),),
    )
    return dict(rows.fetchall())
