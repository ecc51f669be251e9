"""What goes over the wire about cases and judgements: requests as they are checked at the edge, replies as written."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from searcher.wire import SEEDS_MAX, Filters, Hit, SearchRequest, Seed, shown_time
from searcher.workbench.records import Case, CaseSeed, CaseState, Judgement, Progress, Verdict

JUDGEMENTS_MAX = 1000
NEXT_MAX = 500
_NAME_CHARACTERS_MAX = 200
_NOTE_CHARACTERS_MAX = 20_000
_IMAGE_ID_CHARACTERS_MAX = 512

Name = Annotated[str, Field(min_length=1, max_length=_NAME_CHARACTERS_MAX)]
Note = Annotated[str, Field(max_length=_NOTE_CHARACTERS_MAX)]
Seeds = Annotated[list[Seed], Field(max_length=SEEDS_MAX)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class NewCase(_Wire):
    """A case to open. Its seeds' pictures are kept with it, as they are now."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Chipped mugs", "seeds": [{"image_id": "mug-1"}]}]}
    )

    name: Name
    note: Note = ""
    seeds: Seeds = []


class CaseChange(_Wire):
    """What to change of a case; what is not named stays. `seeds` are added to those that there are."""

    name: Name | None = None
    note: Note | None = None
    state: CaseState | None = None
    seeds: Seeds = []

    @property
    def changes(self) -> dict[str, str]:
        """The columns that change."""
        return {
            name: value
            for name, value in (("name", self.name), ("note", self.note), ("state", self.state))
            if value is not None
        }


class JudgedImage(_Wire):
    """A verdict on an image; `rank` (from 1) and `distance` are those of the search that showed it."""

    image_id: Annotated[str, Field(min_length=1, max_length=_IMAGE_ID_CHARACTERS_MAX)]
    verdict: Verdict
    rank: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    distance: Annotated[int, Field(ge=-(2**31), le=2**31 - 1)] | None = None


class JudgeRequest(_Wire):
    """Verdicts on images that one search, or a sample of the case, has shown.

    In `search`, pictures are given by the code that stood for them; `sample` is the sample's id.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"judgements": [{"image_id": "mug-7", "verdict": "relevant", "rank": 2}]}]}
    )

    judgements: Annotated[list[JudgedImage], Field(min_length=1, max_length=JUDGEMENTS_MAX)]
    search: SearchRequest | None = None
    sample: Annotated[str, Field(min_length=1, max_length=32)] | None = None

    @property
    def shown_by(self) -> str | None:
        """What showed the images, as JSON; None where it was not told."""
        if self.sample is not None:
            return json.dumps({"sample": self.sample})
        return None if self.search is None else self.search.model_dump_json(exclude_defaults=True)

    @model_validator(mode="after")
    def _has_no_picture(self) -> Self:
        if self.search is not None and any(seed.image is not None for seed in self.search.seeds):
            raise ValueError("in a judgement's search, name a picture by the code that the reply gave for it")
        return self


class NextRequest(Filters):
    """The `k` images to judge next, of those that the filters let through."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"k": 50}]})

    k: Annotated[int, Field(ge=1, le=NEXT_MAX)] = 50


class ProgressReply(_Wire):
    """How many images of a case have which verdict."""

    judged: int
    relevant: int
    not_relevant: int
    unsure: int

    @classmethod
    def of(cls, progress: Progress) -> "ProgressReply":
        """The same as it is answered."""
        return cls(
            judged=progress.relevant + progress.not_relevant + progress.unsure,
            relevant=progress.relevant,
            not_relevant=progress.not_relevant,
            unsure=progress.unsure,
        )


class CaseSeedReply(_Wire):
    """A seed of a case. With `code` and `encoder` it can be searched again; `evidence` is its picture's digest."""

    code: str
    encoder: str
    weight: int
    image_id: str | None
    url: str | None
    evidence: str | None

    @classmethod
    def of(cls, seed: CaseSeed) -> "CaseSeedReply":
        """The same as it is answered."""
        return cls(
            code=seed.code.hex(),
            encoder=seed.encoder,
            weight=seed.weight,
            image_id=seed.image_id,
            url=seed.url,
            evidence=seed.evidence,
        )


class ListedCase(_Wire):
    """A case without its seeds."""

    case_id: str
    name: str
    note: str
    state: CaseState
    made_at: str
    changed_at: str
    progress: ProgressReply

    @classmethod
    def listed(cls, case: Case) -> "ListedCase":
        """The same as it is answered."""
        return cls(**_shown(case))


class CaseReply(ListedCase):
    """A case."""

    seeds: list[CaseSeedReply]

    @classmethod
    def of(cls, case: Case) -> "CaseReply":
        """The same as it is answered."""
        return cls(**_shown(case), seeds=[CaseSeedReply.of(seed) for seed in case.seeds])


class CasesReply(_Wire):
    """A page of cases, the one changed last first; `cursor` asks for the next page, null at the end."""

    cases: list[ListedCase]
    cursor: str | None


class NextReply(_Wire):
    """Images that nobody has judged in this case, most promising first; `distance` is that to the nearest relevant one.

    `left_out` counts seeds and judged images that could not be used: they have no code of the active encoder any more.
    """

    encoder: str
    hits: list[Hit]
    as_of: str
    progress: ProgressReply
    left_out: int


class JudgementReply(_Wire):
    """An entry of the ledger. `image` is the image as it was when it was judged, `evidence` its thumbnail's digest."""

    number: int
    case_id: str
    image_id: str
    verdict: Verdict
    who: str
    at: str
    rank: int | None
    distance: int | None
    encoder: str | None
    search: dict[str, Any] | None
    image: dict[str, Any] | None
    evidence: str | None

    @classmethod
    def of(cls, judgement: Judgement) -> "JudgementReply":
        """The same as it is answered."""
        return cls(
            number=judgement.number,
            case_id=judgement.case_id,
            image_id=judgement.image_id,
            verdict=judgement.verdict,
            who=judgement.who,
            at=shown_time(judgement.at),
            rank=judgement.rank,
            distance=judgement.distance,
            encoder=judgement.encoder,
            search=None if judgement.search is None else json.loads(judgement.search),
            image=None if judgement.image is None else json.loads(judgement.image),
            evidence=judgement.evidence,
        )


class JudgementsReply(_Wire):
    """Judgements, and the number to go on `after`; null at the end."""

    judgements: list[JudgementReply]
    after: int | None

    @classmethod
    def page(cls, found: Sequence[Judgement], count: int) -> "JudgementsReply":
        """A page of at most `count` of what was found for one more."""
        shown = [JudgementReply.of(one) for one in found[:count]]
        return cls(judgements=shown, after=shown[-1].number if len(found) > count else None)


def _shown(case: Case) -> dict[str, Any]:
    return {
        "case_id": case.case_id,
        "name": case.name,
        "note": case.note,
        "state": case.state,
        "made_at": shown_time(case.made_at),
        "changed_at": shown_time(case.changed_at),
        "progress": ProgressReply.of(case.progress),
    }
