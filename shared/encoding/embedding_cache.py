"""Embeddings kept in a file, so that the same picture costs the network once for all commands that embed it.

Rows are float32, looked up by a digest of the picture's pixels and of what decides its row: the embedder's spec, and
the conditions (device, batch size, versions of libraries) that can turn a last bit. So a row that is found is the row
that would be computed, to the bit, as long as the file stays on one machine. Each has a checksum, and is computed again
where that fails.

Any number of processes may use one file at once (SQLite, WAL). It grows by 4 bytes a dimension and some 60 for each
picture, 3.1 KB for 768 dimensions and 16.4 KB for 4,096, up to a bound, and then stays as it is; it can be deleted
whenever no process has it open.

It only saves time: a fault that shows while it is used (a full disk, damage) is logged, and work goes on without it.
"""

import hashlib
import json
import sqlite3
import weakref
from dataclasses import asdict
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from shared.encoding.embedder import Embedder, EmbedderSpec
from shared.errors import ConfigurationError, DependencyUnavailableError

# "Cate": tells our files from other programs'. Raise the version when the meaning of a row or a key changes.
_APPLICATION_ID = 0x43617465
_SCHEMA_VERSION = 1
_SCHEMA = "CREATE TABLE embeddings (key BLOB NOT NULL UNIQUE, row BLOB NOT NULL, checksum BLOB NOT NULL)"
_BUSY_SECONDS = 5.0
_CHECKSUM_BYTES = 8
_KEYS_AT_ONCE = 500
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

Rows = dict[bytes, NDArray[np.float32]]


class CachedEmbedder:
    """An embedder that computes only the pictures whose rows are not in the file yet.

    As `Embedder`: one thread at a time. `conditions`: what else than spec and batch size a row's last bits depend on.
    """

    def __init__(self, embedder: Embedder, cache: "EmbeddingCache", conditions: str) -> None:
        self._embedder = embedder
        self._cache = cache
        decisive = {**asdict(embedder.spec), "batch_size": embedder.batch_size, "conditions": conditions}
        self._prefix = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).digest()

    @property
    def spec(self) -> EmbedderSpec:
        """The embedder's own: a cache changes no bit."""
        return self._embedder.spec

    @property
    def batch_size(self) -> int:
        """The embedder's own."""
        return self._embedder.batch_size

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Embedder.embed`. Rows that are not finite are not kept: they may come from a shortage of memory."""
        keys = [self._key(picture) for picture in pixels]
        rows = self._cache.find(keys, self.spec.dimensions)
        missing = [place for place, key in enumerate(keys) if key not in rows]
        if missing:
            computed = self._embedder.embed(pixels[missing])
            fresh = {keys[place]: row for place, row in zip(missing, computed, strict=True)}
            self._cache.add({key: row for key, row in fresh.items() if np.isfinite(row).all()})
            rows |= fresh
        return np.stack([rows[key] for key in keys])

    def _key(self, picture: NDArray[np.uint8]) -> bytes:
        digest = hashlib.sha256(self._prefix)
        digest.update(np.ascontiguousarray(picture).data)
        return digest.digest()


class EmbeddingCache:
    """The file. After it is opened, nothing that happens to it is an error: see the module."""

    def __init__(self, path: Path, bytes_max: int) -> None:
        """Open `path`, or make it with its folders; nothing is added beyond `bytes_max`.

        ConfigurationError where it can't be opened or is something else than such a cache, which is left as it is;
        DependencyUnavailableError where another program locks it.
        """
        self._path = path.absolute()
        self._log = structlog.get_logger()
        self._readable = self._writable = True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _opened(self._path, bytes_max)
        except OSError as error:
            raise ConfigurationError(f"CATALOGUE_EMBEDDING_CACHE: {error.strerror}: {self._path.parent}") from error
        except sqlite3.Error as error:
            if _code(error) in _BUSY:
                raise DependencyUnavailableError(f"{self._path} is locked by another program") from error
            raise ConfigurationError(
                f"CATALOGUE_EMBEDDING_CACHE: {self._path} can't be used ({error}); it holds nothing that can't be "
                "computed again, so delete it, or name another file"
            ) from error
        # Embedders have no end of their own.
        weakref.finalize(self, self._connection.close)

    def find(self, keys: list[bytes], dimensions: int) -> Rows:
        """The rows that are there, each float32 of shape (dimensions,), whole and unchanged."""
        if not self._readable:
            return {}
        try:
            found = [
                entry
                for start in range(0, len(keys), _KEYS_AT_ONCE)
                for entry in self._read(keys[start:][:_KEYS_AT_ONCE])
            ]
        except sqlite3.Error as error:
            self._give_up(error)
            return {}
        whole = {key: row for key, row, checksum in found if _checksum(key, row) == checksum}
        if len(whole) < len(found):
            self._log.warning("embedding_cache_rows_damaged", path=str(self._path), rows=len(found) - len(whole))
        return {
            key: np.frombuffer(row, "<f4").astype(np.float32, copy=False)
            for key, row in whole.items()
            if len(row) == 4 * dimensions
        }

    def add(self, rows: Rows) -> None:
        """Keep these rows, in the place of any of the same keys."""
        if not self._writable or not rows:
            return
        entries = [(key, row.astype("<f4").tobytes()) for key, row in rows.items()]
        try:
            with self._connection:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)",
                    [(key, row, _checksum(key, row)) for key, row in entries],
                )
        except sqlite3.Error as error:
            self._give_up(error)

    def _read(self, keys: list[bytes]) -> list[tuple[bytes, bytes, bytes]]:
        places = ",".join("?" * len(keys))
        return self._connection.execute(f"SELECT * FROM embeddings WHERE key IN ({places})", keys).fetchall()

    def _give_up(self, error: sqlite3.Error) -> None:
        """Go on without what failed: reading and writing, or writing alone where there is no more room."""
        if _code(error) in _BUSY:
            # Others write long: these pictures are computed, and the next ones looked up again.
            self._log.warning("embedding_cache_busy", path=str(self._path))
            return
        self._writable = False
        if _code(error) == sqlite3.SQLITE_FULL:
            self._log.warning("embedding_cache_full", path=str(self._path), effect="no more rows are added")
            return
        self._readable = False
        self._log.error("embedding_cache_off", path=str(self._path), error=str(error), effect="all is computed")


def _opened(path: Path, bytes_max: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # What a power loss takes is computed again.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        _make_schema(connection)
        connection.commit()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA max_page_count = {max(1, bytes_max // page_bytes)}")
    except BaseException:
        connection.close()
        raise
    return connection


def _make_schema(connection: sqlite3.Connection) -> None:
    found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    if found == [_APPLICATION_ID, _SCHEMA_VERSION]:
        return
    if any(found) or connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        raise sqlite3.DatabaseError("a database of another program or version")
    connection.execute(_SCHEMA)
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _checksum(key: bytes, row: bytes) -> bytes:
    return hashlib.blake2b(key + row, digest_size=_CHECKSUM_BYTES).digest()


def _code(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code; None where the error is Python's own."""
    extended: int | None = getattr(error, "sqlite_errorcode", None)
    return None if extended is None else extended & 0xFF
