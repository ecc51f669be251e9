"""Watches, alerts and decisions as the workbench keeps them, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from searcher.workbench.records import Verdict
from shared.document import Scalar, attribute_term
from shared.watch import Watch


class WatchState(StrEnum):
    """Whether images are compared with a watch. An ended one stays ended."""

    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


class AlertRefusal(StrEnum):
    """Why a match became no alert. A closed set: it is a metric's label."""

    REPEATED = "repeated"
    WATCH_UNKNOWN = "watch_unknown"
    WATCH_NOT_ACTIVE = "watch_not_active"
    NO_LONGER_NEAR = "no_longer_near"
    HELD_BACK = "held_back"


@dataclass(frozen=True, slots=True)
class NewWatch:
    """A watch to keep; `filter` maps attributes to values of which an image needs one each."""

    case_id: str
    name: str
    note: str
    encoder_id: str
    codes: Sequence[bytes]
    radius: int
    filter: Mapping[str, Sequence[Scalar]]


@dataclass(frozen=True, slots=True)
class KeptWatch:
    """A watch. `ran_revision` is the revision that has been run over the whole window, 0 for none."""

    watch_id: str
    case_id: str
    name: str
    note: str
    encoder_id: str
    codes: Sequence[bytes]
    radius: int
    filter: Mapping[str, Sequence[Scalar]]
    state: WatchState
    revision: int
    ran_revision: int
    made_at: datetime
    changed_at: datetime

    def to_publish(self) -> Watch:
        """The watch as indexers are told it; QueryInvalidError where it makes no sense."""
        terms = terms_of(self.filter)
        return Watch(self.watch_id, self.revision, self.encoder_id, self.codes, self.radius, terms)


def terms_of(filter_: Mapping[str, Sequence[Scalar]]) -> list[list[str]]:
    """A watch's filter as attribute terms: an image needs one of each inner list."""
    return [[attribute_term(name, value) for value in values] for name, values in filter_.items()]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many alerts a watch has, and how many of their images have which last verdict in the watch's case."""

    alerts: int = 0
    recent: int = 0
    unjudged: int = 0
    relevant: int = 0
    not_relevant: int = 0


@dataclass(frozen=True, slots=True)
class Alert:
    """A match, once. `image` is the image as it was, as JSON; `verdict` its last one in the watch's case."""

    number: int
    alert_id: str
    watch_id: str
    watch_name: str
    case_id: str
    watch_revision: int
    image_id: str
    version: int
    distance: int
    encoder_id: str
    code: bytes
    image: str
    raised_at: datetime
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class DecidedImage:
    """An image under a decision, as it was when it was judged: its code, itself as JSON, its thumbnail's digest."""

    image_id: str
    encoder_id: str | None
    code: bytes | None
    image: str | None
    evidence: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about images of a case. `reverses` names the decision that this entry takes back.

    `reversed_by` names the entry that took this one back. `images` counts those under it.
    """

    number: int
    decision_id: str
    case_id: str
    policy: str
    reason: str
    who: str
    at: datetime
    images: int
    reverses: str | None = None
    reversed_by: str | None = None


class DeliveryState(StrEnum):
    """What became of an event for one receiver."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to one receiver; `detail` says what went wrong last."""

    number: int
    event_id: str
    url: str
    state: DeliveryState
    tries: int
    due_at: datetime
    detail: str
    body: str
