"""The keys and sessions in use, kept in memory: a request asks the database nothing and waits for no thread.

They are read again about once a second while requests come. Nobody goes by what is older than a few seconds, so that a
revocation counts by then; only while the database is away do known keys go on, for some minutes. After those, and where
nothing was ever read, nobody gets in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

import structlog

from searcher.workbench.keys import Key, Known, digest_of, key_id_of
from shared.errors import CatalogueError, DependencyUnavailableError

LOOK_AGAIN = timedelta(seconds=1)
"""What is older is read again, while requests go on by it."""
KNOWN_FOR = timedelta(seconds=5)
"""What is older is waited for: the time in which a revocation counts everywhere."""
KNOWN_FOR_WHILE_AWAY = timedelta(minutes=5)
"""How long known keys go on while the database is away: longer than PostgreSQL needs to change over to a standby."""
_UNKNOWN_SOUGHT = timedelta(milliseconds=200)  # So a key works right after it was made, and wrong ones cost little.
_USE_TOLD = timedelta(minutes=1)  # "Last used" is written down so often.

Look = Callable[[Mapping[str, datetime]], Awaitable[Known]]
"""Writes down when keys were last used, by id, and reads all that is in use; CatalogueError where it can't."""


class KeysUnknownError(DependencyUnavailableError):
    """The database is away, and what was known of keys is too old, or nothing was: nobody is let in."""


class KeyRing:
    """Tells whose secret something is."""

    def __init__(self, look: Callable[[Mapping[str, datetime]], Awaitable[Known]], now: Callable[[], datetime]) -> None:
        """`look` writes down when keys were last used and reads all that is in use; CatalogueError where it can't."""
        self._ask = look
        self._now = now
        self._known: Known | None = None
        self._looked_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._away: CatalogueError | None = None
        self._changes = 0
        self._look: asyncio.Task[CatalogueError | None] | None = None
        self._used: dict[str, datetime] = {}
        self._told: dict[str, datetime] = {}

    async def known(self, no_older_than: timedelta = KNOWN_FOR) -> Known:
        """The keys and sessions in use; KeysUnknownError."""
        known = self._at_hand(no_older_than)
        while known is None:
            # Shared by all who wait, and not ended when one of them goes away.
            failure = await asyncio.shield(self._looking())
            if failure is None and self._looked_at is not None:
                known = self._known
            elif failure is not None and (known := self._at_hand(no_older_than)) is None:
                raise KeysUnknownError(f"keys can't be read: {failure}") from failure
        if self._is_older(self._tried_at, LOOK_AGAIN):
            self._looking()
        return known

    async def key_of(self, secret: str) -> Key | None:
        """The key with this secret, None where there is none in use; errors as of `known`."""
        key_id = key_id_of(secret)
        if key_id is None:
            return None
        digest = digest_of(secret)
        key = self._taking(await self.known(), key_id, digest)
        if key is None:
            key = self._taking(await self.known(_UNKNOWN_SOUGHT), key_id, digest)
        return key

    async def key_of_session(self, secret: str) -> Key | None:
        """The key with which this session was begun, None where it has ended; errors as of `known`."""
        # Found by its digest: what the look-up's time tells of digests leads to no secret.
        digest = digest_of(secret)
        key = self._in_session(await self.known(), digest)
        if key is None:
            key = self._in_session(await self.known(_UNKNOWN_SOUGHT), digest)
        return key

    def forget(self) -> None:
        """Look again before anybody goes by what is known: something was changed."""
        self._changes += 1
        self._looked_at = None

    def _taking(self, known: Known, key_id: str, digest: str) -> Key | None:
        key = known.keys.get(key_id)
        if key is None or not key.takes(digest, self._now()):
            return None
        self._note(key_id)
        return key

    def _in_session(self, known: Known, digest: str) -> Key | None:
        session = known.sessions.get(digest)
        if session is None or self._now() >= session.expires_at:
            return None
        key = known.keys.get(session.key_id)
        if key is None or not key.takes(session.key_digest, self._now()):
            return None
        self._note(key.key_id)
        return key

    def _note(self, key_id: str) -> None:
        if self._is_older(self._told.get(key_id), _USE_TOLD):
            now = self._now()
            self._told[key_id] = self._used[key_id] = now
            self._looking()

    def _at_hand(self, no_older_than: timedelta) -> Known | None:
        limit = no_older_than if self._away is None else KNOWN_FOR_WHILE_AWAY
        return None if self._is_older(self._looked_at, limit) else self._known

    def _is_older(self, moment: datetime | None, limit: timedelta) -> bool:
        # A clock that was put back makes a moment lie ahead: it tells nothing any more.
        return moment is None or not timedelta(0) <= self._now() - moment <= limit

    def _looking(self) -> asyncio.Task[CatalogueError | None]:
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._look_now())
        return self._look

    async def _look_now(self) -> CatalogueError | None:
        changes, used, began = self._changes, self._used, self._now()
        self._used, self._tried_at = {}, began
        try:
            known = await self._ask(used)
        except CatalogueError as error:
            self._used = used | self._used
            if self._away is None:
                structlog.get_logger().warning("keys_away", reason=str(error))
            self._away = error
            return error
        if self._away is not None:
            structlog.get_logger().info("keys_back")
        self._away = None
        # What was changed meanwhile may not be in it.
        if changes == self._changes:
            self._known, self._looked_at = known, began
        return None
