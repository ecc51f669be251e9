"""What the workbench keeps, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CaseState(StrEnum):
    """Whether a case is being worked on."""

    OPEN = "open"
    CLOSED = "closed"


class Verdict(StrEnum):
    """What an analyst says of an image; WITHDRAWN takes back what was said before."""

    RELEVANT = "relevant"
    NOT_RELEVANT = "not_relevant"
    UNSURE = "unsure"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class CaseSeed:
    """What a case starts from: a code of `encoder`, and where it came from.

    `image_id` or `url` where it was one of these. `evidence` is the digest of the picture as it was.
    """

    code: bytes
    encoder: str
    weight: int = 1
    image_id: str | None = None
    url: str | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How many images of a case have which last verdict."""

    relevant: int = 0
    not_relevant: int = 0
    unsure: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """A piece of work: its seeds and what was judged so far."""

    case_id: str
    name: str
    note: str
    state: CaseState
    made_at: datetime
    changed_at: datetime
    progress: Progress
    seeds: Sequence[CaseSeed] = ()


@dataclass(frozen=True, slots=True)
class NewJudgement:
    """What is said of an image, and where it stood: `rank` from 1 and `distance` in the search that showed it.

    `code` is the image's code of `encoder`, `image` the image as JSON, `evidence` the digest of its thumbnail, all of
    them as they were then.
    """

    image_id: str
    verdict: Verdict
    rank: int | None = None
    distance: int | None = None
    encoder: str | None = None
    code: bytes | None = None
    image: str | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """An entry of the ledger, as it was written; entries are never changed. `search` is the request, as JSON."""

    number: int
    case_id: str
    image_id: str
    verdict: Verdict
    who: str
    at: datetime
    rank: int | None
    distance: int | None
    encoder: str | None
    code: bytes | None
    search: str | None
    image: str | None
    evidence: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """A picture that is kept, named by the SHA-256 of its bytes."""

    media_type: str
    content: bytes
