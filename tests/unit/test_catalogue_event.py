"""The contract of a catalogue event: what `parse` takes, what it fills in, and what it refuses."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.catalogue_event import (
    CatalogueEvent,
    Resolved,
    carried,
    image_id_leniently,
    parse,
    resolve_leniently,
)
from shared.document import Attributes
from shared.errors import RejectedError, RejectionReason
from shared.event_log import Headers, Record

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_MS = 1795176000000
EVENT_BYTES_MAX = 10_000
TIME_TEXT = "2026-11-20T10:00:00Z"
TIME_US = 1795168800_000000
URL = {"url": "https://example.org/a.jpg"}
OMIT: Any = object()


def from_kafka(
    value: Any,
    key: bytes | None = b"sku-17",
    timestamp_ms: int | None = NOW_MS,
    headers: Headers = (),
) -> Record:
    """A record of a topic; a value that is not bytes or None is written as JSON."""
    content = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    return Record("0", 5, 6, timestamp_ms, key, content, headers)


def from_file(value: Any) -> Record:
    """A line of a file."""
    return from_kafka(value, key=None, timestamp_ms=None)


def parsed(record: Record) -> CatalogueEvent:
    return parse(record, NOW, EVENT_BYTES_MAX)


def refusal(record: Record) -> tuple[RejectionReason, str]:
    with pytest.raises(RejectedError) as caught:
        parsed(record)
    assert not caught.value.retriable
    return caught.value.reason, str(caught.value)


def event(**fields: Any) -> dict[str, Any]:
    """A valid event; a field given as OMIT is left out."""
    full = {"image_id": "sku-17", "event_time": TIME_TEXT, "image": URL} | fields
    return {name: value for name, value in full.items() if value is not OMIT}


def test_a_full_event_is_read() -> None:
    attributes: Attributes = {"title": "Blue mug", "price": 9.99, "stock": 3, "new": True, "colours": ["blue", 1]}
    record = from_kafka(event(item_id="sku", version=1763700000123456, attributes=attributes))
    assert parsed(record) == CatalogueEvent(
        image_id="sku-17",
        resolved=Resolved(1763700000123456, version_explicit=True, event_time_us=TIME_US),
        item_id="sku",
        image_url="https://example.org/a.jpg",
        image_bytes=None,
        attributes=attributes,
    )


def test_a_line_of_a_file_is_read() -> None:
    found = parsed(from_file(event()))
    assert (found.image_id, found.resolved.event_time_us, found.event_time_ms) == ("sku-17", TIME_US, TIME_US // 1000)


# Ids ------------------------------------------------------------------------------------------------------------------


def test_the_key_is_the_image_id_where_the_value_has_none() -> None:
    assert parsed(from_kafka(event(image_id=OMIT), key="füße/1".encode())).image_id == "füße/1"
    assert parsed(from_kafka(event(image_id=None))).image_id == "sku-17"


def test_the_value_has_the_image_id_where_there_is_no_key() -> None:
    assert parsed(from_kafka(event(), key=None)).image_id == "sku-17"


def test_key_and_image_id_must_agree() -> None:
    assert refusal(from_kafka(event(image_id="sku-18"))) == (
        RejectionReason.EVENT_INVALID,
        "the key and image_id differ",
    )
    assert refusal(from_kafka(event(), key=b""))[1] == "the key and image_id differ"


@pytest.mark.parametrize(
    ("record", "detail"),
    [
        (from_file(event(image_id=OMIT)), "image_id is missing"),
        (from_file(event(image_id="")), "image_id is missing"),
        (from_file(event(image_id=17)), "image_id is not a string"),
        (from_file(event(image_id="x" * 513)), "longer than 512 bytes"),
        (from_file(event(image_id="ü" * 257)), "longer than 512 bytes"),
        (from_file(b'{"image_id": "\\ud800"}'), "not valid Unicode"),
        (from_kafka(None, key=b"\xff"), "the key is not UTF-8"),
        (from_kafka(None, key=None), "image_id is missing"),
        (from_kafka(None, key=b"x" * 513), "longer than 512 bytes"),
    ],
)
def test_an_event_without_a_usable_image_id_is_refused(record: Record, detail: str) -> None:
    reason, text = refusal(record)
    assert reason is RejectionReason.EVENT_INVALID
    assert detail in text


def test_the_longest_image_id_is_taken() -> None:
    assert parsed(from_kafka(None, key=b"x" * 512)).image_id == "x" * 512


def test_the_item_is_the_image_by_default() -> None:
    assert parsed(from_kafka(event())).item_id == "sku-17"
    assert parsed(from_kafka(event(item_id=None))).item_id == "sku-17"


@pytest.mark.parametrize("item_id", ["", 5, ["a"], "x" * 513, "\ud800"])
def test_a_wrong_item_id_is_refused(item_id: Any) -> None:
    assert refusal(from_kafka(event(item_id=item_id)))[0] is RejectionReason.EVENT_INVALID


# Deletes --------------------------------------------------------------------------------------------------------------


def test_a_null_value_deletes() -> None:
    found = parsed(from_kafka(None))
    assert (found.deleted, found.image_id, found.attributes) == (True, "sku-17", {})
    assert found.resolved == Resolved(NOW_MS * 1000, version_explicit=False, event_time_us=NOW_MS * 1000)


def test_deleted_in_place_of_an_image_deletes() -> None:
    found = parsed(from_file(event(image=OMIT, deleted=True, version=7)))
    assert found.deleted
    assert found.resolved == Resolved(7, version_explicit=True, event_time_us=TIME_US)


def test_deleted_wins_over_an_image_and_false_says_nothing() -> None:
    assert parsed(from_file(event(deleted=True))).deleted
    assert not parsed(from_file(event(deleted=False))).deleted
    assert not parsed(from_file(event(deleted=None))).deleted


@pytest.mark.parametrize("deleted", ["true", 1, {}])
def test_deleted_must_be_a_boolean(deleted: Any) -> None:
    assert refusal(from_file(event(deleted=deleted))) == (
        RejectionReason.EVENT_INVALID,
        "deleted is not a boolean",
    )


# Version and time -----------------------------------------------------------------------------------------------------


def test_the_version_is_the_event_time_in_microseconds_by_default() -> None:
    found = parsed(from_kafka(event(event_time="2026-11-20T11:00:00.123456789+01:00")))
    assert found.resolved == Resolved(TIME_US + 123456, version_explicit=False, event_time_us=TIME_US + 123456)
    assert parsed(from_kafka(event(version=None))).resolved.version == TIME_US


def test_the_event_time_is_the_timestamp_of_the_record_by_default() -> None:
    found = parsed(from_kafka(event(event_time=OMIT, version=3)))
    assert found.resolved == Resolved(3, version_explicit=True, event_time_us=NOW_MS * 1000)
    assert parsed(from_kafka(event(event_time=None))).resolved.version == NOW_MS * 1000


def test_a_line_of_a_file_needs_an_event_time() -> None:
    assert refusal(from_file(event(event_time=OMIT)))[1] == "event_time is missing"
    assert refusal(from_file(event(event_time=OMIT, image=OMIT, deleted=True)))[1] == "event_time is missing"


def test_a_timestamp_before_the_epoch_is_none() -> None:
    assert refusal(from_kafka(event(event_time=OMIT), timestamp_ms=-1))[1] == "event_time is missing"


@pytest.mark.parametrize("version", [0, 2**63 - 1])
def test_versions_go_from_0_to_the_largest_64_bit_integer(version: int) -> None:
    assert parsed(from_kafka(event(version=version))).resolved == Resolved(version, True, TIME_US)


@pytest.mark.parametrize("version", [-1, 2**63, 1.0, "1", True, [1]])
def test_another_version_is_refused(version: Any) -> None:
    reason, detail = refusal(from_kafka(event(version=version)))
    assert reason is RejectionReason.EVENT_INVALID
    assert "version" in detail


@pytest.mark.parametrize(
    ("event_time", "detail"),
    [
        ("2026-11-20T10:00:00", "no time zone"),
        ("2026-11-20", "no time zone"),
        ("yesterday", "not an ISO 8601 time"),
        (1795168800, "not a string"),
        ("1969-12-31T23:59:59Z", "before 1970"),
        ("0001-01-01T00:00:00+14:00", "before 1970"),
    ],
)
def test_a_wrong_event_time_is_refused(event_time: Any, detail: str) -> None:
    reason, text = refusal(from_kafka(event(event_time=event_time)))
    assert reason is RejectionReason.EVENT_INVALID
    assert detail in text


def test_an_event_is_taken_up_to_a_day_ahead_to_the_millisecond() -> None:
    ahead = NOW + timedelta(days=1)
    assert parsed(from_file(event(event_time=ahead.isoformat()))).event_time_ms == NOW_MS + 86_400_000
    later = (ahead + timedelta(milliseconds=1)).isoformat()
    assert refusal(from_file(event(event_time=later)))[0] is RejectionReason.EVENT_FROM_THE_FUTURE
    assert refusal(from_file(event(event_time="9999-12-31T23:59:59Z")))[0] is RejectionReason.EVENT_FROM_THE_FUTURE


def test_a_timestamp_more_than_a_day_ahead_is_refused_too() -> None:
    record = from_kafka(None, timestamp_ms=NOW_MS + 86_400_001)
    assert refusal(record)[0] is RejectionReason.EVENT_FROM_THE_FUTURE


def test_the_version_says_nothing_of_the_future() -> None:
    assert parsed(from_kafka(event(version=2**63 - 1))).resolved.event_time_us == TIME_US


# Carried version and time ---------------------------------------------------------------------------------------------


def test_carried_headers_win_over_the_timestamp_of_a_record_that_is_sent_again() -> None:
    resolved = Resolved(17, version_explicit=False, event_time_us=TIME_US)
    record = from_kafka(None, headers=[("other", b"x"), *resolved.headers()])
    assert parsed(record).resolved == resolved
    assert resolve_leniently(record) == resolved


@given(st.integers(0, 2**63 - 1), st.booleans(), st.integers(0, 2**63 - 1))
def test_what_headers_carry_comes_back(version: int, explicit: bool, event_time_us: int) -> None:
    resolved = Resolved(version, explicit, event_time_us)
    assert carried(resolved.headers()) == resolved


def test_a_record_without_such_headers_carries_nothing() -> None:
    assert carried([("other", b"1")]) is None


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("digits", [b"", b"-1", b"+1", b"1_0", b" 1", b"9223372036854775808", b"\xd9\xa1", b"9" * 5000])
def test_headers_that_make_no_sense_are_refused(place: int, digits: bytes) -> None:
    headers = list(Resolved(1, True, 1).headers())
    headers[place] = (headers[place][0], digits)
    record = from_kafka(event(), headers=headers)
    assert refusal(record)[0] is RejectionReason.EVENT_INVALID
    assert resolve_leniently(record) is None


def test_a_missing_header_of_the_three_is_refused() -> None:
    headers = list(Resolved(1, True, 1).headers())[:2]
    assert "catalogue-event-time-us" in refusal(from_kafka(event(), headers=headers))[1]


def test_version_and_time_of_a_refused_event_are_told_where_they_can_be() -> None:
    record = from_kafka(event(image="wrong", version=9))
    assert refusal(record)[0] is RejectionReason.EVENT_INVALID
    assert resolve_leniently(record) == Resolved(9, True, TIME_US)
    assert resolve_leniently(from_kafka(b"{")) is None
    assert image_id_leniently(record) == "sku-17"
    assert image_id_leniently(from_file(b"{")) is None


# Images ---------------------------------------------------------------------------------------------------------------


def test_inline_bytes_are_decoded() -> None:
    found = parsed(from_file(event(image={"bytes": base64.b64encode(b"\x00\xffpicture").decode()})))
    assert (found.image_bytes, found.image_url, found.deleted) == (b"\x00\xffpicture", None, False)


def test_empty_inline_bytes_are_an_image_that_will_not_decode_and_no_delete() -> None:
    found = parsed(from_file(event(image={"bytes": ""})))
    assert (found.image_bytes, found.deleted) == (b"", False)


@pytest.mark.parametrize(
    "image",
    [
        OMIT,
        None,
        "https://example.org",
        [],
        {},
        {"url": None},
        {"url": ""},
        {"url": 5},
        {"url": "h" * 8193},
        {"url": "https://\ud800"},
        {"url": "https://example.org", "bytes": "AA=="},
        {"bytes": 5},
        {"bytes": "A"},
        {"bytes": "AA=!"},
        {"bytes": "ü"},
    ],
)
def test_an_event_without_a_usable_image_is_refused(image: Any) -> None:
    reason, detail = refusal(from_file(event(image=image)))
    assert reason is RejectionReason.EVENT_INVALID
    assert "image" in detail


# Attributes -----------------------------------------------------------------------------------------------------------


def test_null_attributes_are_left_out() -> None:
    assert parsed(from_file(event(attributes={"a": None, "b": 1}))).attributes == {"b": 1}
    assert parsed(from_file(event(attributes=None))).attributes == {}
    assert parsed(from_file(event(attributes={"list": []}))).attributes == {"list": []}


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        "a",
        {"a": {"b": 1}},
        {"a": [[1]]},
        {"a": [None]},
        {"a": "\ud800"},
        {"\ud800": 1},
        {f"a{i}": i for i in range(257)},
        {"a": "x" * 32_768},
    ],
)
def test_attributes_that_are_not_flat_or_too_many_are_refused(attributes: Any) -> None:
    record = from_file(event(attributes=attributes))
    with pytest.raises(RejectedError, match="attribute") as caught:
        parse(record, NOW, 1_000_000)
    assert caught.value.reason is RejectionReason.EVENT_INVALID


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused(number: str) -> None:
    line = json.dumps(event(attributes={"price": "?"})).replace('"?"', number)
    assert refusal(from_file(line.encode()))[0] is RejectionReason.EVENT_INVALID


def test_a_long_attribute_name_is_told_in_short() -> None:
    assert len(refusal(from_file(event(attributes={"n" * 5000: {}})))[1]) < 200


def test_unknown_fields_are_ignored() -> None:
    assert parsed(from_file(event(colour={"deep": [1]}))) == parsed(from_file(event()))


# The whole ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"", b"{", b"\xff\xfe\xfd", b"[" * 5000, b'{"version": ' + b"9" * 5000 + b"}"])
def test_what_is_not_json_is_refused(value: bytes) -> None:
    assert refusal(from_kafka(value)) == (RejectionReason.EVENT_NOT_JSON, "the value is not JSON")


@pytest.mark.parametrize("value", [b"[]", b"null", b'"text"', b"5"])
def test_json_that_is_no_object_is_refused(value: bytes) -> None:
    assert refusal(from_kafka(value)) == (RejectionReason.EVENT_INVALID, "the value is not a JSON object")


def test_the_size_counts_key_value_and_headers() -> None:
    value = json.dumps(event()).encode()
    room = EVENT_BYTES_MAX - len(value) - len(b"sku-17") - len("name")
    assert parsed(from_kafka(value, headers=[("name", b"x" * room)])).image_id == "sku-17"
    assert refusal(from_kafka(value, headers=[("name", b"x" * (room + 1))])) == (
        RejectionReason.EVENT_TOO_LARGE,
        "10001 bytes, more than the 10000 allowed",
    )


TEXTS = st.text(max_size=8) | st.text(alphabet="\ud800a", max_size=3)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
JSON_VALUES = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(TEXTS, SCALARS, max_size=3)
FIELDS = ("image_id", "item_id", "version", "event_time", "image", "deleted", "attributes")
IMAGES = st.dictionaries(st.sampled_from(["url", "bytes"]), JSON_VALUES)
EVENTS = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON_VALUES | IMAGES))
TIMES = st.none() | st.integers(-(2**63), 2**63 - 1)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["catalogue-version", "catalogue-version-explicit", "catalogue-event-time-us", "x"]),
        st.binary(max_size=3) | st.integers(0, 2**64).map(lambda number: str(number).encode()),
    ),
    max_size=4,
)


def assert_taken_or_refused(record: Record) -> None:
    try:
        found = parsed(record)
    except RejectedError:
        return
    assert 1 <= len(found.image_id.encode()) <= 512
    assert 0 <= found.resolved.version < 2**63
    assert 0 <= found.resolved.event_time_us < 2**63
    assert found.resolved == resolve_leniently(record)
    assert found.deleted or (found.image_url is None) != (found.image_bytes is None)
    json.dumps(found.attributes, allow_nan=False).encode()


@given(st.none() | st.binary(), st.none() | st.binary(max_size=20), TIMES, HEADERS)
def test_any_bytes_are_taken_or_refused(
    value: bytes | None, key: bytes | None, time: int | None, headers: Headers
) -> None:
    assert_taken_or_refused(from_kafka(value, key, time, headers))


@given(EVENTS, TIMES, HEADERS)
def test_any_json_object_is_taken_or_refused(value: dict[str, Any], time: int | None, headers: Headers) -> None:
    assert_taken_or_refused(from_kafka(value, b"sku-17", time, headers))


@given(st.text())
def test_any_event_time_is_taken_or_refused(text: str) -> None:
    assert_taken_or_refused(from_file(event(event_time=text)))


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2026, 11, 20)))
def test_any_past_time_keeps_its_microseconds(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    found = parsed(from_file(event(event_time=moment.isoformat())))
    assert found.resolved.event_time_us == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
