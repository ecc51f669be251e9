"""What is found, kept and decided about duplicates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Same(StrEnum):
    """What makes two pictures duplicates, and so which code is compared."""

    PHOTO = "photo"
    """The copy code: one photo, treated in whatever way, mirrored too."""
    ARTICLE = "article"
    """The embedding's code: pictures that show the same."""


class By(StrEnum):
    """What is grouped."""

    IMAGE = "image"
    ITEM = "item"
    """Items that have pictures near each other's; pictures of one item are no duplicates."""


class RunState(StrEnum):
    """How far a run is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class GroupState(StrEnum):
    """What was decided of a group."""

    OPEN = "open"
    KEPT = "kept"
    """One image is kept, the others are its duplicates."""
    DISMISSED = "dismissed"
    """They are no duplicates."""
    MERGED = "merged"
    """Its images are in another group now."""


class Action(StrEnum):
    """An entry of what was decided; entries are only ever appended."""

    KEEP = "keep"
    DISMISS = "dismiss"
    REOPEN = "reopen"
    SPLIT = "split"
    MERGE = "merge"


@dataclass(frozen=True, slots=True)
class Question:
    """What a run looks for: pairs at most `radius` bits apart, equal in the attributes `match`, differing in `differ`.

    Where an image lacks one of these attributes it is in no pair.
    """

    same: Same
    radius: int
    by: By = By.IMAGE
    match: Sequence[str] = ()
    differ: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """An image of a group: `distance` in bits to the group's first one, and what is shown of it as it was found."""

    image_id: str
    item_id: str
    code: bytes
    distance: int = 0
    image_url: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """Images that hang together by pairs, the middle one first, and the largest distance between any two.

    A `diameter` above the radius makes the group *loose*: a chain of near pictures whose ends are not near.
    """

    members: Sequence[Member]
    diameter: int


@dataclass(frozen=True, slots=True)
class Found:
    """All groups, the largest first. `images` were compared; those `held_back` are near very many others."""

    groups: Sequence[FoundGroup]
    images: int
    pairs: int
    held_back: Sequence[str]


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the job. `done` of `total` steps of its `stage`; `groups` counts by state."""

    run_id: str
    question: Question
    encoder: str
    state: RunState
    who: str
    made_at: datetime
    heard_at: datetime
    stage: str = ""
    done: int = 0
    total: int = 0
    images: int = 0
    pairs: int = 0
    held_back: Sequence[str] = ()
    detail: str = ""
    groups: Mapping[GroupState, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Group:
    """A group as it is kept; `kept` is the image that stays."""

    group_id: int
    run_id: str
    state: GroupState
    kept: str | None
    diameter: int
    loose: bool
    members: Sequence[Member]


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decides of a group. Keep names one image, split those that leave, merge the groups that join it."""

    action: Action
    image_ids: Sequence[str] = ()
    groups: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A decision as it was written down."""

    number: int
    group_id: int
    decision: Decision
    who: str
    at: datetime
