"""What is wrong with an image in the store, decided from its copies, the source's events, and the clock. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.document import Kind
from shared.rolling_window import CLOCK_SKEW_MAX, is_droppable, is_inside
from shared.store import StoredCopy

# Workers drop months every ten minutes; one that is still there so long after its time was forgotten.
_DROPPING_TAKES_AT_MOST = timedelta(hours=1)


class Fault(StrEnum):
    """What can be wrong (a metric label)."""

    DOUBLED = "doubled"
    """A live copy lies beside one that outdoes it: the image may be shown twice, or as it was before."""
    STALE = "stale"
    """The highest version in the store is lower than one that was read from the source and committed."""
    MISSING = "missing"
    """The source's highest version is inside the window, and there is no document of it."""
    FOREIGN_ENCODER = "foreign_encoder"
    """A visible image has no code of the active encoder: no query finds it."""
    EXPIRED = "expired"
    """A month that can hold nothing visible is still there."""


class Obstacle(StrEnum):
    """Why a fault can't be repaired from here."""

    SAME_VERSION = "the same version is there, so a worker would take the event for a repeat"
    NOT_IN_SOURCE = "the source was not read, or does not hold the event"
    STILL_THERE = "it is there again after the repair"


@dataclass(frozen=True, slots=True)
class Expected:
    """The highest version of an image among the events that must be in the store, and where it was read."""

    version: int
    event_time_ms: int
    deleted: bool
    partition: str
    offset: int


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides beside the copies and the events: the encoder that must have a code (None: any), and the window."""

    encoder_id: str | None
    now: datetime
    window_months: int

    def is_over(self, month: str) -> bool:
        """Whether nothing in this month counts any more: a worker may drop it at any time."""
        return is_droppable(month, self.now, self.window_months)

    def is_left_over(self, month: str) -> bool:
        """Whether a worker would have dropped this month by now."""
        return is_droppable(month, self.now - _DROPPING_TAKES_AT_MOST, self.window_months)


Findings = Mapping[Fault, Obstacle | None]
"""The faults of one image, each with what stands in the way of its repair."""


def findings_of(copies: Sequence[StoredCopy], expected: Expected | None, rules: Rules) -> Findings:
    """What is wrong with one image. `copies` are all of it in months that are not over; `expected` None: no event of it
    has to be there."""
    # As the stores choose: the highest version, of equal ones one that is no marker of a move, of these the newest.
    winner = max(copies, key=lambda one: (one.version, one.kind is not Kind.MOVED, one.month), default=None)
    found: dict[Fault, Obstacle | None] = {}
    if any(one.live and one is not winner for one in copies):
        found[Fault.DOUBLED] = None
    if winner is not None and winner.live and _lacks_code(winner, rules):
        found[Fault.FOREIGN_ENCODER] = _obstacle_to_a_code(winner, expected)
    if expected is not None:
        found |= _against_the_source(winner, expected, rules)
    return found


def _lacks_code(copy: StoredCopy, rules: Rules) -> bool:
    visible = is_inside(copy.event_time_ms, rules.now, rules.window_months)
    return visible and rules.encoder_id is not None and rules.encoder_id not in copy.encoder_ids


def _obstacle_to_a_code(winner: StoredCopy, expected: Expected | None) -> Obstacle | None:
    """What keeps a worker that gets the event again from adding the code."""
    if expected is None or expected.version < winner.version:
        return Obstacle.NOT_IN_SOURCE
    return Obstacle.SAME_VERSION if expected.deleted and expected.version == winner.version else None


def _against_the_source(winner: StoredCopy | None, expected: Expected, rules: Rules) -> Findings:
    # A worker's clock may have been ahead: to it the event was outside.
    inside = is_inside(expected.event_time_ms, rules.now + CLOCK_SKEW_MAX, rules.window_months)
    visible = inside and not expected.deleted
    if winner is None:
        # A marker, and what was outside the window, may have gone with its month.
        return {Fault.MISSING: None} if visible else {}
    if winner.version < expected.version:
        return {Fault.STALE: None}
    if visible and winner.version == expected.version and winner.kind in (Kind.MOVED, Kind.EXPIRED):
        return {Fault.MISSING: Obstacle.SAME_VERSION}
    return {}
