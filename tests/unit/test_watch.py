"""Watches as they are published, and matches as they are told, to bytes and back."""

import json
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import match, watch
from shared.errors import ConfigurationError, QueryInvalidError
from shared.event_log import NewRecord, Record
from shared.match import Match, alert_id
from shared.watch import WATCHES_MAX, Watch, WatchList

WATCH = Watch("w", 3, "classic-itq16@0a1b2c", [b"\x00\xff", b"\x01\x02"], 5, [["colour=blue", "colour=red"], ["a=b"]])
MATCH = Match("w", 3, "sku/17 ✓", 2**63 - 1, 4, b"\x00\xfe", "e", 17, 18, "i", "https://x/", {"n": [1, 2.5, True, "é"]})


def record_of(new: NewRecord) -> Record:
    return Record("0", 0, 1, new.timestamp_ms, new.key, new.value, new.headers)


def test_a_list_comes_back_from_its_bytes() -> None:
    kept = WatchList(7, [WATCH, replace(WATCH, watch_id="other", terms=[])])
    assert watch.from_bytes(watch.to_bytes(kept)) == kept
    assert watch.from_bytes(watch.to_bytes(watch.NO_WATCHES)) == WatchList(0, [])


def test_no_more_watches_can_be_active_than_workers_keep_up_with() -> None:
    with pytest.raises(QueryInvalidError, match="at most 10000 watches can be active, not 10001"):
        WatchList(1, [WATCH] * (WATCHES_MAX + 1))


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"no zlib",
        zlib.compress(b"no json"),
        zlib.compress(b"[]"),
        zlib.compress(b'{"format": 1, "revision": 1, "watches": [{"id": "w"}]}'),
        watch.to_bytes(WatchList(1, [WATCH]))[:-5],
    ],
)
def test_a_damaged_list_is_refused_and_not_taken_for_an_empty_one(packed: bytes) -> None:
    with pytest.raises(ConfigurationError, match="is damaged"):
        watch.from_bytes(packed)


def test_a_list_of_another_format_is_refused() -> None:
    packed = zlib.compress(json.dumps({"format": 2, "revision": 1, "watches": []}).encode())
    with pytest.raises(ConfigurationError, match="has format 2, and this program reads 1"):
        watch.from_bytes(packed)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"codes": []}, "1 to 32 codes"),
        ({"codes": [b"\0\0"] * 33}, "1 to 32 codes"),
        ({"codes": [b"\0\0", b"\0"]}, "one length"),
        ({"codes": [b""]}, "one length"),
        ({"radius": -1}, "0 to 16 bits"),
        ({"radius": 17}, "0 to 16 bits"),
    ],
)
def test_a_watch_that_nothing_could_be_compared_with_is_refused(changed: dict[str, object], why: str) -> None:
    with pytest.raises(QueryInvalidError, match=why):
        replace(WATCH, **changed)  # type: ignore[arg-type]


def test_filters_ask_for_one_term_of_each_list() -> None:
    assert WATCH.lets_through(["a=b", "colour=red", "x=y"])
    assert not WATCH.lets_through(["colour=red"])
    assert not WATCH.lets_through(["a=b", "colour=green"])
    assert replace(WATCH, terms=[]).lets_through([])
    assert not replace(WATCH, terms=[[]]).lets_through(["a=b"])


def test_a_match_comes_back_from_its_record() -> None:
    new = match.to_new_record(MATCH)
    assert new.key == MATCH.alert_id.encode()
    assert match.from_record(record_of(new)) == MATCH


def test_a_match_of_a_later_program_is_read_as_far_as_it_is_known() -> None:
    new = match.to_new_record(MATCH)
    more = json.loads(new.value or b"") | {"later": 1}
    assert match.from_record(record_of(replace(new, value=json.dumps(more).encode()))) == MATCH


@pytest.mark.parametrize("value", [None, b"", b"[]", b"{}", b"\xff", b'{"code": "!"}'])
def test_what_is_no_match_is_told_from_one(value: bytes | None) -> None:
    assert match.from_record(record_of(NewRecord(b"k", value))) is None


@given(st.lists(st.tuples(st.text(), st.text(), st.integers(0, 99)), min_size=2, max_size=2, unique=True))
def test_alerts_of_different_watches_images_and_versions_differ(triples: list[tuple[str, str, int]]) -> None:
    one, other = triples
    assert alert_id(*one) != alert_id(*other)
    assert len(alert_id(*one)) == 32
