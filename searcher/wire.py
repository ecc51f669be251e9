"""What goes over the wire: requests as they are checked at the edge, replies as they are written.

A request is checked here once; behind it everything works on these values. Texts of errors say what is wrong and never
repeat what was sent.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

import numpy as np
import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from searcher.folding import Folded
from searcher.strategies import StrategyName
from shared.document import Document, Scalar, attribute_term
from shared.hash_code import BITS_MAX
from shared.rolling_window import from_milliseconds, to_milliseconds
from shared.store import NEIGHBOURS_MAX, Restriction

DEFAULT_K = 20
_URL_CHARACTERS_MAX = 8192
_FILTERS_MAX = 32
_FILTER_VALUES_MAX = 256
_TEXT_CHARACTERS_MAX = 1024
SEEDS_MAX = 256
QUERIES_MAX = 256
WEIGHT_MAX = 100


def _from_base64(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("a picture is written in base64") from error


def _only_text(value: object) -> object:
    # Numbers would be taken for seconds or milliseconds since the epoch, by their size.
    if value is None or isinstance(value, str | datetime):
        return value
    raise ValueError("a time is written as text, as in 2026-11-20T10:00:00Z")


def _in_utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time is within the years 1 to 9999, in UTC") from error


def _within_the_picture(crop: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = crop
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError("a crop is left, top, right, bottom as fractions from 0 to 1, left < right and top < bottom")
    return crop


Picture = Annotated[bytes, BeforeValidator(_from_base64), Field(min_length=1, json_schema_extra={"format": "base64"})]
Moment = Annotated[datetime, BeforeValidator(_only_text), AfterValidator(_in_utc)]
Crop = Annotated[tuple[float, float, float, float], AfterValidator(_within_the_picture)]
FilterValue = bool | int | float | Annotated[str, Field(max_length=_TEXT_CHARACTERS_MAX)]
FilterName = Annotated[str, Field(min_length=1, max_length=_TEXT_CHARACTERS_MAX)]


class _Wire(BaseModel):
    # An unknown field is refused: a misspelt `radius` must not widen a search in silence.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class Seed(_Wire):
    """What a query starts from: an indexed image, a picture by URL or bytes, or a hash code. Exactly one of these.

    `crop` cuts a picture before it is looked at. `encoder`, beside a code, says which encoder the code is of. `weight`
    counts among several seeds; a negative one is of a seed that images should not be like.
    """

    image_id: Annotated[str, Field(min_length=1)] | None = None
    url: Annotated[str, Field(min_length=1, max_length=_URL_CHARACTERS_MAX)] | None = None
    image: Picture | None = None
    code: Annotated[str, Field(min_length=1, max_length=BITS_MAX // 4)] | None = None
    crop: Crop | None = None
    encoder: str | None = None
    weight: Annotated[int, Field(ge=-WEIGHT_MAX, le=WEIGHT_MAX)] = 1

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if [self.image_id, self.url, self.image, self.code].count(None) != 3:
            raise ValueError("a seed has exactly one of image_id, url, image and code")
        if self.crop is not None and self.url is None and self.image is None:
            raise ValueError("a crop goes with a picture: with url or image")
        if self.encoder is not None and self.code is None:
            raise ValueError("an encoder goes with a code")
        if self.weight == 0:
            raise ValueError("a seed of weight 0 says nothing")
        return self


class Filters(_Wire):
    """Which images are asked for."""

    filter: Annotated[
        dict[FilterName, Annotated[list[FilterValue], Field(min_length=1, max_length=_FILTER_VALUES_MAX)]],
        Field(max_length=_FILTERS_MAX, description="Attribute to values; an image needs one value of each attribute."),
    ] = {}
    since: Annotated[Moment, Field(description="Earliest event time; without an offset it is UTC.")] | None = None
    until: Annotated[Moment, Field(description="The event time is earlier than this.")] | None = None

    def restriction(self, visible_after_ms: int) -> Restriction:
        """The same for a store, with a window that starts at `visible_after_ms`."""
        return Restriction(
            visible_after_ms,
            terms=[[attribute_term(name, value) for value in values] for name, values in self.filter.items()],
            since_ms=None if self.since is None else to_milliseconds(self.since),
            until_ms=None if self.until is None else to_milliseconds(self.until),
        )


class SearchRequest(Filters):
    """A query: the `k` nearest images of the seeds, none further than `radius`; without `k`, all within `radius`.

    Of several seeds, an image's distance is the sum of its distances to each, by weight (`combine` "seeds"); or its
    bits are weighed by how well they tell seeds of positive weight from those of negative weight ("bits").
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"seeds": [{"image_id": "mug-1"}], "k": 20, "filter": {"category": ["mug"]}}]}
    )

    seeds: Annotated[list[Seed], Field(min_length=1, max_length=SEEDS_MAX)]
    combine: Literal["seeds", "bits"] = "seeds"
    k: Annotated[
        int | None, Field(ge=1, le=NEIGHBOURS_MAX, description=f"{DEFAULT_K} where there is no radius either.")
    ] = None
    radius: Annotated[int, Field(ge=0, le=BITS_MAX * SEEDS_MAX * WEIGHT_MAX)] | None = None
    strategy: StrategyName = StrategyName.AUTO
    group_by_item: Annotated[bool, Field(description="Only the best picture of each item.")] = False
    fold_radius: Annotated[
        int | None,
        Field(ge=0, le=BITS_MAX, description="Near-duplicates, so many bits apart at most, are folded into the best."),
    ] = None
    cursor: Annotated[str, Field(max_length=2048, description="From the reply before.")] | None = None

    @model_validator(mode="after")
    def _has_wanted_seeds(self) -> Self:
        if all(seed.weight < 0 for seed in self.seeds):
            raise ValueError("at least one seed has a positive weight")
        return self

    @property
    def stands_for_several(self) -> bool:
        """Whether a hit may stand for several pictures."""
        return self.group_by_item or self.fold_radius is not None

    @property
    def streams(self) -> bool:
        """Whether all images within the radius are asked for, however many."""
        return self.k is None and self.radius is not None


class BatchRequest(_Wire):
    """Many queries. Those that differ in their one seed alone share their work."""

    queries: Annotated[list[SearchRequest], Field(min_length=1, max_length=QUERIES_MAX)]


class ListedImage(_Wire):
    """An image of the catalogue."""

    image_id: str
    item_id: str
    event_time: str
    image_url: str | None
    attributes: dict[str, Scalar | list[Scalar]]

    @classmethod
    def of(cls, document: Document) -> "ListedImage":
        """What is shown of a document."""
        return cls.model_construct(**_shown(document))


# No model, not frozen, without slots: replies have hundreds, and each is made and written in a tenth of the time so.
@dataclass
class Hit:
    """An image near the seeds; `similarity` is 1 at the least distance there can be, 0 at the largest."""

    image_id: str
    item_id: str
    event_time: str
    image_url: str | None
    attributes: dict[str, Scalar | list[Scalar]]
    distance: int
    similarity: float
    folded: Annotated[list[str], Field(description="Farther hits that are near-duplicates of this one.")]

    @classmethod
    def all_of(cls, found: Sequence[Folded], bounds: tuple[int, int]) -> "list[Hit]":
        """What is shown of these; `bounds` are the least and the largest distance that there can be."""
        least, most = bounds
        documents = [one.neighbour.document for one in found]
        times = _shown_times([document.event_time_ms for document in documents])
        return [
            cls(
                document.image_id,
                document.item_id or document.image_id,
                time,
                document.image_url,
                _attributes(document),
                one.neighbour.distance,
                (most - one.neighbour.distance) / (most - least),
                list(one.others),
            )
            for one, document, time in zip(found, documents, times, strict=True)
        ]

    def model_dump_json(self) -> str:
        """As models have it."""
        return _HIT.dump_json(self).decode()


_HIT = TypeAdapter(Hit)


def _json_of(hits: Sequence[Hit]) -> str:
    try:
        return orjson.dumps(hits).decode()
    except TypeError:
        # An attribute is a whole number of more than 64 bits.
        return f"[{','.join(hit.model_dump_json() for hit in hits)}]"


class SeedCode(_Wire):
    """A seed as a code; given as a seed it asks for the same search again."""

    code: str
    encoder: str
    weight: int = 1


class SearchReply(_Wire):
    """Hits by distance, then image id, with what they are worth. `reason` is there only when `complete` is false."""

    encoder: str
    bits: int
    seeds: list[SeedCode]
    hits: list[Hit]
    strategy: Annotated[StrategyName, Field(description="What answered.")]
    exact: Annotated[bool, Field(description="Whether comparing every code gives the same hits.")]
    exact_up_to: Annotated[
        int | None, Field(description="Every image at most so far away was considered, whatever k cut off.")
    ]
    candidates: Annotated[int, Field(description="Codes that were compared.")]
    as_of: Annotated[str, Field(description="Whatever the store had acknowledged before this is included.")]
    complete: bool
    reason: str | None = None
    cursor: Annotated[str | None, Field(description="Asks for the hits behind these; null at the end.")] = None
    took_ms: Annotated[dict[str, float], Field(description="By stage: seed, decode, embed, nearest, total.")]

    def to_json(self, *, hits: bool = True) -> str:
        """The reply as it is sent, or all but its hits."""
        rest = self.model_dump_json(exclude={"hits"} if self.reason is not None else {"hits", "reason"})
        return f'{rest.removesuffix("}")},"hits":{_json_of(self.hits)}}}' if hits else rest


class ProblemField(_Wire):
    """A field of a request, and what is wrong with it."""

    field: str
    problem: str


class ProblemDocument(_Wire):
    """What went wrong (RFC 9457): `detail` tells a person, `reason` a program, `fields` where a request is wrong."""

    type: str
    title: str
    status: int
    detail: str
    reason: str
    fields: list[ProblemField] = []


class BatchReply(_Wire):
    """An answer for each query, in their order: a reply, or the problem that the query alone would have met."""

    replies: list[SearchReply | ProblemDocument]


class DeadLetterReply(_Wire):
    """Why the last event of an image was refused; `reason` is one of the README's table."""

    reason: str
    detail: str
    at: str


class ExplainReply(_Wire):
    """Where an image stands in a search. The numbers are null where the image can't be compared.

    `rank` is its place among all images that the filters let through, from 1. `equal_subcodes` are the places, from 0,
    of the 16-bit subcodes that it shares with the seed, of `subcodes` in all.
    """

    image_id: str
    verdict: Annotated[
        str,
        Field(
            description="dead_lettered, not_indexed, deleted, expired, other_encoder, held_back, filtered, "
            "beyond_radius, cut_by_k or shown: the first that holds."
        ),
    ]
    detail: str
    distance: int | None = None
    rank: int | None = None
    equal_subcodes: list[int] | None = None
    subcodes: int | None = None
    dead_letter: DeadLetterReply | None = None


class HistogramReply(_Wire):
    """How many visible images lie at each distance from the seed: `counts` has one number for 0, 1, … `bits` bits."""

    bits: int
    counts: list[int]
    as_of: str


class ImageReply(ListedImage):
    """The document of an image, with its code by the active encoder (null where it has none)."""

    version: int
    encoder: str | None
    code: str | None

    @classmethod
    def of_version(cls, document: Document, encoder_id: str | None) -> "ImageReply":
        """A document as it is shown by itself."""
        code = document.codes.get(encoder_id or "")
        return cls.model_construct(
            **_shown(document),
            version=document.version,
            encoder=encoder_id,
            code=None if code is None else code.hex(),
        )


class ImagesReply(_Wire):
    """A page of images, newest first; `cursor` asks for the next page, null at the end."""

    images: list[ListedImage]
    cursor: str | None


def shown_time(moment: datetime) -> str:
    """A UTC time as replies write it: ISO 8601, milliseconds, Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shown_times(milliseconds: Sequence[int]) -> list[str]:
    """What `shown_time` gives of times since the epoch, at once for many."""
    moments = np.array(milliseconds, np.int64).astype("datetime64[ms]")
    times: list[str] = np.datetime_as_string(moments, timezone="UTC").tolist()
    return times


def _shown(document: Document) -> dict[str, Any]:
    return {
        "image_id": document.image_id,
        "item_id": document.item_id or document.image_id,
        "event_time": shown_time(from_milliseconds(document.event_time_ms)),
        "image_url": document.image_url,
        "attributes": _attributes(document),
    }


def _attributes(document: Document) -> dict[str, Any]:
    return dict(document.attributes)
