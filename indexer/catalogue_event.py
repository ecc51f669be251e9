"""The catalogue event: one record of the event source, parsed and validated once."""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.document import Attributes, Scalar
from shared.errors import RejectedError, RejectionReason
from shared.event_log import Headers, Record
from shared.rolling_window import EVENT_AHEAD_MAX, to_milliseconds

IMAGE_ID_BYTES_MAX = 512
VERSION_MAX = 2**63 - 1
URL_CHARACTERS_MAX = 8192
ATTRIBUTES_MAX = 256
ATTRIBUTE_CHARACTERS_MAX = 32_768

# The resolved version and event time travel with a record that is sent again (dead letters), where its own timestamp,
# their default, would be another. Written as decimal digits.
VERSION_HEADER = "catalogue-version"
VERSION_EXPLICIT_HEADER = "catalogue-version-explicit"
EVENT_TIME_HEADER = "catalogue-event-time-us"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What orders an event: its version, whether the producer gave it, and its event time in µs since the epoch."""

    version: int
    version_explicit: bool
    event_time_us: int

    def headers(self) -> Headers:
        """The headers that carry this with a record."""
        return [
            (VERSION_HEADER, str(self.version).encode()),
            (VERSION_EXPLICIT_HEADER, str(int(self.version_explicit)).encode()),
            (EVENT_TIME_HEADER, str(self.event_time_us).encode()),
        ]


@dataclass(frozen=True, slots=True)
class CatalogueEvent:
    """A new, updated or deleted image: `image_url` and `image_bytes` are both None in a delete, else one is set."""

    image_id: str
    resolved: Resolved
    item_id: str
    image_url: str | None
    image_bytes: bytes | None
    attributes: Attributes

    @property
    def deleted(self) -> bool:
        """Whether this event removes the image."""
        return self.image_url is None and self.image_bytes is None

    @property
    def event_time_ms(self) -> int:
        """The event time, milliseconds since the epoch, rounded down."""
        return self.resolved.event_time_us // 1000


def parse(record: Record, now: datetime, event_bytes_max: int) -> CatalogueEvent:
    """Read a record; RejectedError says what is wrong with it.

    In a plain file (no key, no timestamp) `image_id` and `event_time` must be in the value.
    """
    if record.size_bytes > event_bytes_max:
        raise RejectedError(
            RejectionReason.EVENT_TOO_LARGE, f"{record.size_bytes} bytes, more than the {event_bytes_max} allowed"
        )
    value = None if record.value is None else _json_object(record.value)
    image_id = _image_id(record.key, value)
    resolved = _resolve(record, value)
    if resolved.event_time_us // 1000 > to_milliseconds(now + EVENT_AHEAD_MAX):
        raise RejectedError(
            RejectionReason.EVENT_FROM_THE_FUTURE, "event_time is more than a day ahead of the worker's clock"
        )
    if value is None or _deleted(value):
        return CatalogueEvent(image_id, resolved, image_id, None, None, {})
    url, content = _image(value)
    return CatalogueEvent(image_id, resolved, _item_id(value, image_id), url, content, _attributes(value))


def image_id_leniently(record: Record) -> str | None:
    """The image id of a record that `parse` rejected, where it can be told."""
    try:
        return _image_id(record.key, None if record.value is None else _json_object(record.value))
    except RejectedError:
        return None


def carried(headers: Headers) -> Resolved | None:
    """What `Resolved.headers` wrote, None where it is not there; RejectedError where it makes no sense."""
    found = dict(headers)
    if VERSION_HEADER not in found:
        return None
    return Resolved(
        _header_number(found, VERSION_HEADER),
        bool(_header_number(found, VERSION_EXPLICIT_HEADER)),
        _header_number(found, EVENT_TIME_HEADER),
    )


def resolve_leniently(record: Record) -> Resolved | None:
    """The version and event time of a record that `parse` rejected, where they can be told."""
    try:
        return _resolve(record, None if record.value is None else _json_object(record.value))
    except RejectedError:
        return None


def _invalid(detail: str) -> RejectedError:
    return RejectedError(RejectionReason.EVENT_INVALID, detail)


def _json_object(value: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise RejectedError(RejectionReason.EVENT_NOT_JSON, "the value is not JSON") from error
    if not isinstance(parsed, dict):
        raise _invalid("the value is not a JSON object")
    return parsed


def _image_id(key: bytes | None, value: Mapping[str, Any] | None) -> str:
    try:
        from_key = None if key is None else key.decode()
    except UnicodeDecodeError as error:
        raise _invalid("the key is not UTF-8") from error
    from_value = None if value is None else value.get("image_id")
    if from_value is not None and not isinstance(from_value, str):
        raise _invalid("image_id is not a string")
    if from_key is not None and from_value is not None and from_key != from_value:
        raise _invalid("the key and image_id differ")
    return _identifier(from_key if from_key is not None else from_value, "image_id")


def _item_id(value: Mapping[str, Any], image_id: str) -> str:
    item_id = value.get("item_id")
    return image_id if item_id is None else _identifier(item_id, "item_id")


def _identifier(text: object, name: str) -> str:
    if not isinstance(text, str) or not text:
        raise _invalid(f"{name} is missing or not a string")
    if len(_utf8(text, name)) > IMAGE_ID_BYTES_MAX:
        raise _invalid(f"{name} is longer than {IMAGE_ID_BYTES_MAX} bytes")
    return text


def _utf8(text: str, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _invalid(f"{name} is not valid Unicode") from error


def _resolve(record: Record, value: Mapping[str, Any] | None) -> Resolved:
    resolved = carried(record.headers)
    if resolved is not None:
        return resolved
    event_time_us = _event_time_us(record, value)
    version = None if value is None else value.get("version")
    if version is None:
        return Resolved(event_time_us, version_explicit=False, event_time_us=event_time_us)
    if isinstance(version, bool) or not isinstance(version, int) or not 0 <= version <= VERSION_MAX:
        raise _invalid("version is not an integer from 0 to 2**63 - 1")
    return Resolved(version, version_explicit=True, event_time_us=event_time_us)


def _header_number(headers: Mapping[str, bytes], name: str) -> int:
    digits = headers.get(name, b"")
    if not digits.isdigit() or len(digits) > len(str(VERSION_MAX)) or int(digits) > VERSION_MAX:
        raise _invalid(f"the header {name} is missing or not a number from 0 to 2**63 - 1")
    return int(digits)


def _event_time_us(record: Record, value: Mapping[str, Any] | None) -> int:
    text = None if value is None else value.get("event_time")
    if text is None:
        if record.timestamp_ms is None or record.timestamp_ms < 0:
            raise _invalid("event_time is missing")
        return record.timestamp_ms * 1000
    if not isinstance(text, str):
        raise _invalid("event_time is not a string")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid("event_time is not an ISO 8601 time") from error
    if moment.tzinfo is None:
        raise _invalid("event_time has no time zone")
    try:
        microseconds = (moment - _EPOCH) // _MICROSECOND
    except OverflowError as error:
        raise _invalid("event_time is out of range") from error
    if microseconds < 0:
        raise _invalid("event_time lies before 1970")
    return microseconds


def _deleted(value: Mapping[str, Any]) -> bool:
    deleted = value.get("deleted")
    if deleted is not None and not isinstance(deleted, bool):
        raise _invalid("deleted is not a boolean")
    return deleted is True


def _image(value: Mapping[str, Any]) -> tuple[str | None, bytes | None]:
    image = value.get("image")
    if not isinstance(image, dict):
        raise _invalid('image is missing or not an object (a delete has "deleted": true)')
    url, encoded = image.get("url"), image.get("bytes")
    if (url is None) == (encoded is None):
        raise _invalid("image needs either url or bytes")
    if url is not None:
        if not isinstance(url, str) or not url or len(url) > URL_CHARACTERS_MAX:
            raise _invalid(f"image.url is not a string of 1 to {URL_CHARACTERS_MAX} characters")
        _utf8(url, "image.url")
        return url, None
    if not isinstance(encoded, str):
        raise _invalid("image.bytes is not a string")
    try:
        return None, base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid("image.bytes is not base64") from error


def _attributes(value: Mapping[str, Any]) -> Attributes:
    attributes = value.get("attributes")
    if attributes is None:
        return {}
    if not isinstance(attributes, dict) or len(attributes) > ATTRIBUTES_MAX:
        raise _invalid(f"attributes is not an object of at most {ATTRIBUTES_MAX} fields")
    checked = {
        _attribute_name(name): _attribute(name, found) for name, found in attributes.items() if found is not None
    }
    if len(json.dumps(checked)) > ATTRIBUTE_CHARACTERS_MAX:
        raise _invalid(f"attributes take more than {ATTRIBUTE_CHARACTERS_MAX} characters")
    return checked


def _attribute_name(name: str) -> str:
    _utf8(name, "an attribute's name")
    return name


def _attribute(name: str, found: object) -> Scalar | list[Scalar]:
    return [_scalar(name, one) for one in found] if isinstance(found, list) else _scalar(name, found)


def _scalar(name: str, found: object) -> Scalar:
    if isinstance(found, str):
        _utf8(found, f"attribute {name[:64]!r}")
        return found
    if isinstance(found, bool | int):
        return found
    if isinstance(found, float) and math.isfinite(found):
        return found
    raise _invalid(f"attribute {name[:64]!r} is neither a scalar nor a list of scalars")
