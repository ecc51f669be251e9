"""The keys of people and programs, and the sessions that were begun with them.

Only the SHA-256 of a secret is kept. A secret has 256 random bits, so none can be found from its digest by trying; a
slow hash is for passwords, which can be guessed, and would be paid at every request.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from searcher.people import COMMAND_LINE, LOCAL, Scope
from searcher.workbench.audit import write_audit
from searcher.workbench.database import Database, insert_new
from searcher.workbench.tables import KEYS, SESSIONS
from shared.errors import EXIT_CONFIGURATION, CatalogueError
from shared.rolling_window import from_milliseconds, to_milliseconds

KEYS_MAX = 1000
"""Keys in use, at most: a searcher keeps all of them in memory and reads them about once a second."""
SESSION_SECONDS = 12 * 3600
"""How long somebody stays signed in: a long working day."""
_SESSIONS_MAX = 100  # Of one key; the oldest goes first.
_TOKEN = re.compile(r"catalogue_([0-9a-f]{12})_[0-9a-f]{64}")
_NAME = re.compile(r"[\w.@+-][\w .@+-]{0,63}")
_RESERVED = frozenset({LOCAL, COMMAND_LINE})


class KeyMissingError(CatalogueError):
    """There is no key in use of this name."""

    exit_code = EXIT_CONFIGURATION


class KeyRefusedError(CatalogueError):
    """A key can't be made so: its name or its end is wrong, or there are too many; the text says which."""

    exit_code = EXIT_CONFIGURATION


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept. `previous_until` is when the secret before the last rotation stops to work."""

    key_id: str
    name: str
    scope: Scope
    made_at: datetime
    made_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None
    previous_until: datetime | None
    digest: str = field(repr=False)
    previous_digest: str | None = field(repr=False)

    def in_use(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def takes(self, digest: str, now: datetime) -> bool:
        """Whether this is the digest of its secret, or of the one before while that still works."""
        current = hmac.compare_digest(digest, self.digest)
        before = hmac.compare_digest(digest, self.previous_digest or "")
        still = self.previous_until is not None and now < self.previous_until
        return self.in_use(now) and (current or (before and still))


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with its secret, which is told this once: it is not kept."""

    key: Key
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """A browser's session: it lasts as long as the secret that it was begun with, and no longer than its own end."""

    key_id: str
    key_digest: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What a searcher needs to know of keys: those in use by id, sessions by digest, and whether any was ever made."""

    keys: Mapping[str, Key]
    sessions: Mapping[str, Session]
    asked_for: bool


NO_KEYS = Known({}, {}, asked_for=False)


def digest_of(secret: str) -> str:
    """The SHA-256 of a secret, as hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def key_id_of(secret: str) -> str | None:
    """The id of the key whose secret this would be; None where it looks like none of ours."""
    found = _TOKEN.fullmatch(secret)
    return None if found is None else found[1]


class Keys:
    """Keys and sessions in a database. Every method is one transaction; WorkbenchUnavailableError where it is away."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def create(self, name: str, scope: Scope, expires_at: datetime | None, who: str) -> NewKey:
        """A new key. Names are never used twice, because the ledger knows people by them; KeyRefusedError."""
        self._check(name, expires_at)
        with self._database.transaction(writes=True) as connection:
            return self._create(connection, name, scope, expires_at, who)

    def ensure(self, name: str, scope: Scope, who: str) -> NewKey | None:
        """A first key; None where one was ever made."""
        self._check(name, None)
        with self._database.transaction(writes=True) as connection:
            return None if _count(connection) else self._create(connection, name, scope, None, who)

    def list(self) -> list[Key]:
        """All keys, revoked and expired ones too, by name."""
        with self._database.transaction() as connection:
            keys = [_key_of(row) for row in connection.execute(select(KEYS))]
        return sorted(keys, key=lambda key: (key.name.casefold(), key.name))

    def any(self) -> bool:
        """Whether a key was ever made."""
        with self._database.transaction() as connection:
            return _count(connection) > 0

    def rotate(self, name: str, grace: timedelta, who: str) -> NewKey:
        """Give a key a new secret; the one it had works for `grace` longer, earlier ones no more. KeyMissingError."""
        now = self._now()
        with self._database.transaction(writes=True) as connection:
            key = _in_use(connection, name, now)
            secret = _new_secret(key.key_id)
            values = {
                "digest": digest_of(secret),
                "previous_digest": key.digest,
                "previous_until_ms": to_milliseconds(now + grace),
            }
            connection.execute(KEYS.update().where(KEYS.c.key_id == key.key_id).values(values))
            self._audit(connection, who, "key_rotated", {"key": name, "grace_seconds": grace.total_seconds()})
            return NewKey(_in_use(connection, name, now), secret)

    def revoke(self, name: str, who: str) -> Key:
        """End a key and its sessions for good; KeyMissingError."""
        now = self._now()
        with self._database.transaction(writes=True) as connection:
            key = _in_use(connection, name, now)
            connection.execute(
                KEYS.update().where(KEYS.c.key_id == key.key_id).values(revoked_at_ms=to_milliseconds(now))
            )
            connection.execute(SESSIONS.delete().where(SESSIONS.c.key_id == key.key_id))
            self._audit(connection, who, "key_revoked", {"key": name})
            return _key_of(connection.execute(select(KEYS).where(KEYS.c.key_id == key.key_id)).one())

    def known(self, used: Mapping[str, datetime]) -> Known:
        """What is in use now; first written down is when keys were last used, by key id."""
        if used:
            self._note(used)
        now_ms = to_milliseconds(self._now())
        lasting = or_(KEYS.c.expires_at_ms.is_(None), KEYS.c.expires_at_ms > now_ms)
        with self._database.transaction() as connection:
            rows = connection.execute(select(KEYS).where(KEYS.c.revoked_at_ms.is_(None), lasting)).all()
            sessions = connection.execute(select(SESSIONS).where(SESSIONS.c.expires_at_ms > now_ms)).all()
            asked_for = bool(rows) or _count(connection) > 0
        keys = {row.key_id: _key_of(row) for row in rows}
        return Known(keys, {row.digest: _session_of(row) for row in sessions}, asked_for)

    def begin_session(self, key: Key, key_digest: str) -> str:
        """A session of somebody who gave the secret with this digest; gives the session's own secret."""
        secret, now = secrets.token_hex(32), to_milliseconds(self._now())
        with self._database.transaction(writes=True) as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.expires_at_ms <= now))
            mine = select(SESSIONS.c.digest).where(SESSIONS.c.key_id == key.key_id)
            newest_first = connection.execute(mine.order_by(SESSIONS.c.made_at_ms.desc(), SESSIONS.c.digest))
            too_many = list(newest_first.scalars())[_SESSIONS_MAX - 1 :]
            connection.execute(SESSIONS.delete().where(SESSIONS.c.digest.in_(too_many)))
            times = {"made_at_ms": now, "expires_at_ms": now + SESSION_SECONDS * 1000}
            values = {"digest": digest_of(secret), "key_id": key.key_id, "key_digest": key_digest}
            connection.execute(SESSIONS.insert().values(**values, **times))
            self._audit(connection, key.name, "signed_in", {})
        return secret

    def end_session(self, secret: str) -> None:
        """End a session; one that is not there has ended already."""
        with self._database.transaction(writes=True) as connection:
            connection.execute(SESSIONS.delete().where(SESSIONS.c.digest == digest_of(secret)))

    def _check(self, name: str, expires_at: datetime | None) -> None:
        if not _NAME.fullmatch(name) or name.strip() != name:
            raise KeyRefusedError("a key's name is 1 to 64 letters, digits, spaces and . _ @ + -")
        if name.casefold() in _RESERVED:
            raise KeyRefusedError(f"the name {name} is kept for those who need no key")
        if expires_at is not None and expires_at <= self._now():
            raise KeyRefusedError("a key's end must lie ahead")

    def _create(self, connection: Connection, name: str, scope: Scope, expires_at: datetime | None, who: str) -> NewKey:
        if _count_in_use(connection, self._now()) >= KEYS_MAX:
            raise KeyRefusedError(f"there are {KEYS_MAX} keys in use; revoke one first")
        key_id = secrets.token_hex(6)
        secret = _new_secret(key_id)
        values = {
            "key_id": key_id,
            "name": name,
            "scope": scope,
            "digest": digest_of(secret),
            "made_at_ms": to_milliseconds(self._now()),
            "made_by": who,
            "expires_at_ms": None if expires_at is None else to_milliseconds(expires_at),
        }
        insert_new(connection, KEYS, [values])
        row = connection.execute(select(KEYS).where(KEYS.c.name == name)).first()
        if row is None or row.key_id != key_id:
            raise KeyRefusedError(f"there is, or was, a key {name} already; rotate it, or take another name")
        self._audit(connection, who, "key_made", {"key": name, "scope": scope})
        return NewKey(_key_of(row), secret)

    def _note(self, used: Mapping[str, datetime]) -> None:
        with self._database.transaction(writes=True) as connection:
            for key_id, moment in sorted(used.items()):
                at_ms = to_milliseconds(moment)
                # Several searchers write; the last use is the latest of all.
                earlier = or_(KEYS.c.used_at_ms.is_(None), KEYS.c.used_at_ms < at_ms)
                connection.execute(KEYS.update().where(KEYS.c.key_id == key_id, earlier).values(used_at_ms=at_ms))

    def _audit(self, connection: Connection, who: str, action: str, detail: Mapping[str, Any]) -> None:
        write_audit(connection, to_milliseconds(self._now()), who, action, case_id=None, detail=detail)


def _new_secret(key_id: str) -> str:
    return f"catalogue_{key_id}_{secrets.token_hex(32)}"


def _count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(KEYS)).scalar_one()


def _count_in_use(connection: Connection, now: datetime) -> int:
    lasting = or_(KEYS.c.expires_at_ms.is_(None), KEYS.c.expires_at_ms > to_milliseconds(now))
    in_use = and_(KEYS.c.revoked_at_ms.is_(None), lasting)
    return connection.execute(select(func.count()).select_from(KEYS).where(in_use)).scalar_one()


def _in_use(connection: Connection, name: str, now: datetime) -> Key:
    row = connection.execute(select(KEYS).where(KEYS.c.name == name).with_for_update()).first()
    key = None if row is None else _key_of(row)
    if key is None or not key.in_use(now):
        raise KeyMissingError(f"there is no key {name} in use; `searcher keys list` shows all")
    return key


def _key_of(row: Row[Any]) -> Key:
    return Key(
        row.key_id,
        row.name,
        Scope(row.scope),
        from_milliseconds(row.made_at_ms),
        row.made_by,
        _time(row.expires_at_ms),
        _time(row.revoked_at_ms),
        _time(row.used_at_ms),
        _time(row.previous_until_ms),
        row.digest,
        row.previous_digest,
    )


def _session_of(row: Row[Any]) -> Session:
    return Session(row.key_id, row.key_digest, from_milliseconds(row.expires_at_ms))


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_milliseconds(milliseconds)
