"""Keeps a resident index up with the store: one thread that reads the store's changes and takes them in.

The store may be away: the index then answers with what it has, and `as_of` says how old that is.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Event

import structlog

from searcher.resident.index import IndexFullError, ResidentIndex
from shared.errors import StoreUnavailableError
from shared.rolling_window import to_milliseconds, window_start
from shared.store import ChangeFeed, Changes

_AWAY_SECONDS = 1.0
# Between two removals of what has left the window; until then queries leave it out themselves.
_EXPIRY_INTERVAL = timedelta(seconds=10)


class Phase(StrEnum):
    """How far an index is."""

    FILLING = "filling"
    """Not everything is there yet: do not search it."""
    FOLLOWING = "following"
    AWAY = "away"
    """The store does not answer; what is there is complete as of `as_of`, which is None where it never was."""
    FULL = "full"
    """It did not fit into memory, and is given up until the process starts again."""


@dataclass(frozen=True, slots=True)
class FollowerState:
    """Where the index stands.

    `as_of`: every write that the store acknowledged before this time is in the index; None where it can't be searched.
    `filling` counts how often the index began from nothing: an answer holds only if it is the same before and after.
    `images` is how many are in the index, `detail` one line for a person where something is wrong.
    """

    phase: Phase
    filling: int
    as_of: datetime | None = None
    images: int = 0
    detail: str = ""


class Follower:
    """Follows one feed into one index; `run` is the thread's body, `state` may be read from any thread.

    `window_months` is the rolling window, `poll_seconds` the time between two rounds.
    """

    def __init__(
        self,
        index: ResidentIndex,
        open_feed: Callable[[], ChangeFeed],
        now: Callable[[], datetime],
        window_months: int,
        poll_seconds: float,
    ) -> None:
        self._index = index
        self._open_feed = open_feed
        self._now = now
        self._window_months = window_months
        self._poll_seconds = poll_seconds
        self._round_began: datetime | None = None
        self._expired_at: datetime | None = None
        self._log = structlog.get_logger()
        self.state = FollowerState(Phase.FILLING, 0)

    def run(self, stop: Event, wait: Callable[[float], object]) -> None:
        """Follow until `stop` is set, or the index is full. `wait` sleeps so many seconds, or less after a stop."""
        try:
            feed = self._open_feed()
            while not stop.is_set():
                wait_seconds = self._try(feed)
                if wait_seconds:
                    wait(wait_seconds)
        except IndexFullError as error:
            self._forget(Phase.FULL, str(error))
            self._log.error("the window does not fit into memory: the store is searched instead", detail=str(error))
        except (
            BaseException
        ) as error:  # A bug must not leave an index that looks followed; the thread's handler tells it.
            self._forget(Phase.AWAY, f"following ended: {error!r}")
            raise

    def _try(self, feed: ChangeFeed) -> float:
        """A step, or none where the store is away; gives the seconds to wait before the next one."""
        if self._round_began is None:
            self._round_began = self._now()
        try:
            step = feed.read()
        except StoreUnavailableError as error:
            self._away(str(error))
            return _AWAY_SECONDS
        self._back()
        self._take_in(step)
        return self._poll_seconds if step.caught_up else 0.0

    def _take_in(self, step: Changes) -> None:
        if step.lost:
            self._forget(Phase.FILLING, "")
        self._index.apply(step.changes)
        as_of = self.state.as_of
        if step.caught_up:
            as_of, self._round_began = self._round_began, None
            self._expire()
        phase = Phase.FILLING if as_of is None else Phase.FOLLOWING
        if phase is not self.state.phase:
            self._log.info("the index in memory is up to date", images=len(self._index))
        self.state = replace(self.state, phase=phase, as_of=as_of, images=len(self._index))

    def _expire(self) -> None:
        now = self._now()
        if self._expired_at is None or now - self._expired_at >= _EXPIRY_INTERVAL:
            self._index.expire(to_milliseconds(window_start(now, self._window_months)))
            self._expired_at = now

    def _forget(self, phase: Phase, detail: str) -> None:
        # The state goes first: who searches looks at it before and after.
        self.state = FollowerState(phase, self.state.filling + 1, detail=detail)
        self._index.clear()

    def _away(self, reason: str) -> None:
        if self.state.phase is not Phase.AWAY:
            self._log.warning("the store is away: the index in memory is not kept up", reason=reason)
            self.state = replace(self.state, phase=Phase.AWAY, detail=f"since {self._now().isoformat()}: {reason}")

    def _back(self) -> None:
        if self.state.phase is Phase.AWAY:
            self._log.info("the store is back")
            phase = Phase.FILLING if self.state.as_of is None else Phase.FOLLOWING
            self.state = replace(self.state, phase=phase, detail="")
