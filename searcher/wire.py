"""What goes over the wire: requests as they are checked at the edge, replies as they are written.

A request is checked here once; behind it everything works on these values. Texts of errors say what is wrong and never
repeat what was sent.
"""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from shared.document import Document, Scalar, attribute_term
from shared.hash_code import BITS_MAX, similarity
from shared.rolling_window import from_milliseconds, to_milliseconds
from shared.store import NEIGHBOURS_MAX, Neighbour, PageCursor, Restriction

DEFAULT_K = 20
_URL_CHARACTERS_MAX = 8192
_FILTERS_MAX = 32
_FILTER_VALUES_MAX = 256
_TEXT_CHARACTERS_MAX = 1024


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

    `crop` cuts a picture before it is looked at. `encoder`, beside a code, says which encoder the code is of.
    """

    image_id: Annotated[str, Field(min_length=1)] | None = None
    url: Annotated[str, Field(min_length=1, max_length=_URL_CHARACTERS_MAX)] | None = None
    image: Picture | None = None
    code: Annotated[str, Field(min_length=1, max_length=BITS_MAX // 4)] | None = None
    crop: Crop | None = None
    encoder: str | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if [self.image_id, self.url, self.image, self.code].count(None) != 3:
            raise ValueError("a seed has exactly one of image_id, url, image and code")
        if self.crop is not None and self.url is None and self.image is None:
            raise ValueError("a crop goes with a picture: with url or image")
        if self.encoder is not None and self.code is None:
            raise ValueError("an encoder goes with a code")
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
    """A query: the `k` nearest images of the seed, none further than `radius` bits."""

    seeds: Annotated[list[Seed], Field(min_length=1, max_length=1)]
    k: Annotated[int, Field(ge=1, le=NEIGHBOURS_MAX)] = DEFAULT_K
    radius: Annotated[int, Field(ge=0, le=BITS_MAX)] | None = None
    group_by_item: Annotated[bool, Field(description="Only the best picture of each item.")] = False


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


class Hit(ListedImage):
    """An image near the seed: so many bits differ, and 1 - distance / bits."""

    distance: int
    similarity: float

    @classmethod
    def near(cls, neighbour: Neighbour, bits: int) -> "Hit":
        """What is shown of a neighbour."""
        distance = neighbour.distance
        return cls.model_construct(
            **_shown(neighbour.document), distance=distance, similarity=similarity(distance, bits)
        )


class SeedCode(_Wire):
    """The seed as a code; given as a seed it asks for the same search again."""

    code: str
    encoder: str


class SearchReply(_Wire):
    """Hits by distance, then image id. `reason` is there only when `complete` is false."""

    encoder: str
    bits: int
    seed: SeedCode
    hits: list[Hit]
    complete: bool
    reason: str | None = None
    took_ms: Annotated[dict[str, float], Field(description="By stage: seed, decode, embed, nearest, total.")]

    def to_json(self) -> str:
        """The reply as it is sent."""
        return self.model_dump_json(exclude={"reason"} if self.reason is None else None)


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


def encode_cursor(cursor: PageCursor) -> str:
    """A cursor as text that goes into a URL."""
    plain = json.dumps([cursor.event_time_ms, cursor.image_id])
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def decode_cursor(text: str) -> PageCursor:
    """Read a cursor; ValueError where it is not one."""
    padded = text + "=" * (-len(text) % 4)
    match json.loads(base64.b64decode(padded, altchars=b"-_", validate=True)):
        case [int(event_time_ms), str(image_id)] if abs(event_time_ms) < 2**63:
            return PageCursor(event_time_ms, image_id)
    raise ValueError("not a cursor")


def _shown(document: Document) -> dict[str, Any]:
    return {
        "image_id": document.image_id,
        "item_id": document.item_id or document.image_id,
        "event_time": from_milliseconds(document.event_time_ms)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z"),
        "image_url": document.image_url,
        "attributes": dict(document.attributes),
    }
