"""Copying a whole workbench into another database, which is how one leaves the embedded default."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Integer, Row, Table, func, select, text

from searcher.workbench.database import Database
from searcher.workbench.tables import METADATA
from shared.errors import ConfigurationError

_ROWS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table that was copied: how many rows, and the SHA-256 of them, which is the same in both databases."""

    name: str
    rows: int
    digest: str


def copy_workbench(source: Database, target: Database) -> list[CopiedTable]:
    """Copy every table, in one transaction; the source stays as it is, and SQLite lets nobody write to it meanwhile.

    ConfigurationError where the target holds anything already, or does not hold the same afterwards; nothing is then
    kept. WorkbenchUnavailableError.
    """
    with source.transaction(writes=True) as reading, target.transaction(writes=True) as writing:
        for table in METADATA.sorted_tables:
            if writing.execute(select(table).limit(1)).first() is not None:
                raise ConfigurationError(f"the target is not empty: {table.name} has rows")
        return [_copied(reading, writing, table) for table in METADATA.sorted_tables]


def _copied(reading: Connection, writing: Connection, table: Table) -> CopiedTable:
    for rows in _pages(reading, table):
        writing.execute(table.insert(), [dict(row._mapping) for row in rows])
    _go_on_numbering(writing, table)
    before, after = _described(reading, table), _described(writing, table)
    if before != after:
        raise ConfigurationError(f"the copy of {table.name} is not the same: {after} instead of {before}")
    return after


def _pages(connection: Connection, table: Table) -> Iterator[Sequence[Row[Any]]]:
    """All rows in the order of their keys, some at a time."""
    key = [table.c[column.name] for column in table.primary_key]
    wanted = select(table).order_by(*key).execution_options(yield_per=_ROWS_AT_ONCE)
    yield from connection.execute(wanted).partitions()


def _described(connection: Connection, table: Table) -> CopiedTable:
    digests = sorted(_digest(row) for rows in _pages(connection, table) for row in rows)
    # Databases order texts each in their own way, so the digests are put in order.
    return CopiedTable(table.name, len(digests), hashlib.sha256("".join(digests).encode()).hexdigest())


def _digest(row: Row[Any]) -> str:
    values = [bytes(value).hex() if isinstance(value, bytes | memoryview) else value for value in row]
    return hashlib.sha256(json.dumps(values, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def _go_on_numbering(connection: Connection, table: Table) -> None:
    """Where the database numbers rows by itself, let it go on behind those that were copied."""
    numbered = table.autoincrement_column
    if connection.dialect.name != "postgresql" or numbered is None or not isinstance(numbered.type, Integer):
        return
    last = connection.execute(select(func.max(numbered))).scalar_one()
    if last is not None:
        sequence = func.pg_get_serial_sequence(text(f"'{table.name}'"), text(f"'{numbered.name}'"))
        connection.execute(select(func.setval(sequence, last)))
