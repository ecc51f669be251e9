"""The SQLite file: the one module that imports sqlite3, and where its errors end. Schema, connections, transactions.

One process writes images (any number of its threads, one at a time), others read beside it and now and then publish
watches: WAL, and writers wait for each other. `synchronous=FULL`: what was committed survives power loss.
"""

import contextlib
import sqlite3
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from shared.errors import CatalogueError, ConfigurationError, StoreUnavailableError

Connection = sqlite3.Connection

# "Cata": tells our files from other programs'. Raise the version when older programs can't read or write the schema.
_APPLICATION_ID = 0x43617461
_SCHEMA_VERSION = 2
_SCHEMA = """
-- A month that is made anew takes a new number: that tells a follower that the older one was dropped.
CREATE TABLE months (number INTEGER PRIMARY KEY AUTOINCREMENT, month TEXT NOT NULL UNIQUE);

-- Every write of an image takes a new number, higher than any before: the numbers are the order of the writes.
CREATE TABLE documents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    image_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    version_explicit INTEGER NOT NULL,
    event_time_ms INTEGER NOT NULL,
    indexed_at_ms INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    image_url TEXT,
    attributes TEXT NOT NULL,
    content_sha256 TEXT NOT NULL,
    month TEXT NOT NULL
);
CREATE INDEX documents_by_month ON documents (month);
CREATE INDEX documents_by_time ON documents (event_time_ms DESC, image_id) WHERE kind = 'image';

CREATE TABLE encoders (
    number INTEGER PRIMARY KEY,
    encoder_id TEXT NOT NULL UNIQUE,
    bits INTEGER NOT NULL,
    blob BLOB,
    active INTEGER UNIQUE CHECK (active = 1)
);

-- An entry is the document's number, 8 bytes, most significant first, and the code: one column holds all a scan needs.
CREATE TABLE codes (
    encoder INTEGER NOT NULL,
    document INTEGER NOT NULL,
    event_time_ms INTEGER NOT NULL,
    entry BLOB NOT NULL,
    PRIMARY KEY (encoder, document)
) WITHOUT ROWID;

CREATE TABLE subcodes (
    encoder INTEGER NOT NULL,
    run INTEGER NOT NULL,
    key INTEGER NOT NULL,
    document INTEGER NOT NULL,
    PRIMARY KEY (encoder, run, key, document)
) WITHOUT ROWID;

CREATE TABLE terms (term TEXT NOT NULL, document INTEGER NOT NULL, PRIMARY KEY (term, document)) WITHOUT ROWID;
CREATE INDEX terms_by_document ON terms (document);

CREATE TABLE words (word TEXT NOT NULL, document INTEGER NOT NULL, PRIMARY KEY (word, document)) WITHOUT ROWID;
CREATE INDEX words_by_document ON words (document, word);

CREATE TABLE thumbnails (document INTEGER PRIMARY KEY, webp BLOB NOT NULL);
"""
# Tables that came later, and that a program which does not know them can do without: made wherever they are missing.
_ADDITIONS = """
CREATE TABLE IF NOT EXISTS watches (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL,
                                    list BLOB NOT NULL);
"""
_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_REFUSED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)


class Database:
    """Connections to one file, lent for a transaction each; safe to use from several threads."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        """Open `path`, or make it with its folders. `busy_seconds`: how long to wait while another writes.

        ConfigurationError where it can't be opened or is no catalogue of this version.
        """
        # Absolute, so that no name is one of SQLite's special ones (":memory:").
        self._path = path.absolute()
        self._busy_seconds = busy_seconds
        self._idle: deque[Connection] = deque()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"CATALOGUE_STORE_URL: {error.strerror}: {self._path.parent}") from error
        try:
            self._make_schema()
        except StoreUnavailableError as error:
            cause = error.__cause__
            if isinstance(cause, sqlite3.Error) and _code(cause) in _REFUSED:
                raise ConfigurationError(f"CATALOGUE_STORE_URL: {error}") from error
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the file throughout and keeps nobody waiting."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable once this ends without an exception, and undone otherwise."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    def close(self) -> None:
        """Close what is not lent."""
        while self._idle:
            self._idle.pop().close()

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        connection = None
        try:
            connection = self._idle.pop() if self._idle else self._connect()
            connection.execute(begin)
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection is not None:
                connection.close()
            raise self._translated(error) from error
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        self._idle.append(connection)

    def _connect(self) -> Connection:
        connection = sqlite3.connect(
            self._path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            # KiB, at most, for each connection: a batch of updates touches many pages of the subcodes.
            connection.execute("PRAGMA cache_size = -16384")
            # Scans read straight from the page cache of the system.
            connection.execute("PRAGMA mmap_size = 1073741824")
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_schema(self) -> None:
        with self.writing() as connection:
            found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
            if found != [_APPLICATION_ID, _SCHEMA_VERSION]:
                if any(found) or connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                    raise ConfigurationError(f"CATALOGUE_STORE_URL: {self._path} is a database {_made_by(*found)}")
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            connection.execute(_ADDITIONS)

    def _translated(self, error: sqlite3.Error) -> CatalogueError | sqlite3.Error:
        code = _code(error)
        if code in _LOCKED:
            return StoreUnavailableError(f"{self._path} was locked by another program for {self._busy_seconds:g} s")
        if code == sqlite3.SQLITE_FULL:
            return StoreUnavailableError(f"no space is left for {self._path}")
        if code in _DAMAGED:
            return ConfigurationError(
                f"CATALOGUE_STORE_URL: {self._path} is no SQLite database, or a damaged one ({error}); "
                "restore it, or remove it and index again"
            )
        if isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR:
            return StoreUnavailableError(f"{self._path} can't be used: {error}")
        # A mistake in a statement of ours is no state of the file.
        return error


def _made_by(application_id: int, version: int) -> str:
    """Whose the database is, and what to do about it."""
    if application_id != _APPLICATION_ID:
        return "of another program; name another file"
    return (
        f"of schema version {version}, and this program reads {_SCHEMA_VERSION}; name another file, or remove this "
        "one, and index again from the start of the events"
    )


def _code(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code; None where the error is Python's own."""
    extended: int | None = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else extended & 0xFF
