"""The demo catalogue has, of everything that the page is to show, something true."""

import base64
import io
import itertools
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from indexer.catalogue_event import CatalogueEvent, parse
from indexer.demo.catalogue import draw_catalogue, draw_events, plan_catalogue
from indexer.demo.products import BADGES, KINDS, PATTERNS, Product, draw_product
from shared.event_log import Record
from shared.rolling_window import is_inside, to_milliseconds, window_start

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
MONTHS = 3


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    return list(draw_catalogue(36, 7, NOW, MONTHS))


@pytest.fixture(scope="module")
def parsed(events: list[dict[str, Any]]) -> list[CatalogueEvent]:
    records = [Record("0", 0, 1, None, None, json.dumps(event).encode()) for event in events]
    return [parse(record, NOW, 2**24) for record in records]


def picture_of(event: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(event["image"]["bytes"])))


def histories(parsed: list[CatalogueEvent]) -> dict[str, list[CatalogueEvent]]:
    found: dict[str, list[CatalogueEvent]] = {}
    for event in parsed:
        found.setdefault(event.image_id, []).append(event)
    return found


def test_the_same_seed_draws_the_same_bytes_and_another_seed_others(events: list[dict[str, Any]]) -> None:
    assert list(draw_catalogue(36, 7, NOW, MONTHS)) == events
    assert next(draw_catalogue(36, 8, NOW, MONTHS)) != events[0]


def test_every_event_keeps_the_contract_and_comes_in_the_order_of_event_times(parsed: list[CatalogueEvent]) -> None:
    times = [event.event_time_ms for event in parsed]
    assert times == sorted(times)
    assert times[-1] <= to_milliseconds(NOW)
    assert all(event.resolved.version_explicit for event in parsed)


def test_a_plan_tells_the_number_of_events_before_anything_is_drawn(events: list[dict[str, Any]]) -> None:
    planned = plan_catalogue(36, 7, NOW, MONTHS)
    assert len(planned) == len(events)
    assert [event.image_id for event in planned] == [event["image_id"] for event in events]


def test_an_item_has_two_to_four_views(parsed: list[CatalogueEvent]) -> None:
    views = Counter(
        item_id for item_id, _ in {(event.item_id, event.image_id) for event in parsed if not event.deleted}
    )
    counts = {count for item_id, count in views.items() if not item_id.endswith("-resold")}
    assert counts == {2, 3, 4}


def test_there_are_updates_deletions_copies_and_listings_older_than_the_window(parsed: list[CatalogueEvent]) -> None:
    changed = [history for history in histories(parsed).values() if len(history) > 1]
    pairs = [(first, second) for first, second in changed if not second.deleted]
    assert any(first.image_bytes == second.image_bytes for first, second in pairs)
    assert any(first.image_bytes != second.image_bytes for first, second in pairs)
    assert any(history[-1].deleted for history in changed)
    assert any(event.item_id.endswith("-resold") for event in parsed)
    assert {is_inside(event.event_time_ms, NOW, MONTHS) for event in parsed} == {True, False}


def test_event_times_are_spread_over_the_window(parsed: list[CatalogueEvent]) -> None:
    start, length = window_start(NOW, MONTHS), NOW - window_start(NOW, MONTHS)
    thirds = Counter(
        (event.event_time_ms - to_milliseconds(start)) * 3 // (length // timedelta(milliseconds=1)) for event in parsed
    )
    assert all(thirds[third] >= len(parsed) / 10 for third in (0, 1, 2))


def test_a_copy_by_another_seller_is_a_near_duplicate_in_another_file(events: list[dict[str, Any]]) -> None:
    by_id = {event["image_id"]: event for event in reversed(events) if "image" in event}
    copies = [event for image_id, event in by_id.items() if "-resold" in image_id]
    for copy in copies:
        original = by_id[copy["image_id"].replace("-resold", "")]
        assert copy["attributes"]["seller"] != original["attributes"]["seller"]
        small = [picture_of(event).resize((16, 16)) for event in (copy, original)]
        difference = ImageStat.Stat(ImageChops.difference(*small)).mean
        assert 0 < max(difference) < 24


@pytest.mark.parametrize("kind", KINDS)
def test_the_extreme_shapes_of_every_kind_fit_on_the_picture(kind: str) -> None:
    for first, second, third in itertools.product((0.0, 1.0), repeat=3):
        product = Product(kind, "teal", "yellow", "badge", "star", (first, second, third))
        left, top, right, bottom = draw_product(product).getchannel("A").getbbox() or (0, 0, 0, 0)
        assert right - left > 60
        assert bottom - top > 60
        assert min(left, top, 400 - right, 400 - bottom) >= 4


def test_a_pattern_or_a_badge_changes_the_drawing() -> None:
    drawings = {
        draw_product(Product("mug", "teal", "yellow", pattern, badge, (0.5, 0.5, 0.5))).tobytes()
        for pattern, badge in [*((pattern, "star") for pattern in PATTERNS), *(("badge", badge) for badge in BADGES)]
    }
    assert len(drawings) == len(PATTERNS) + len(BADGES) - 1


def test_pictures_are_drawn_one_at_a_time() -> None:
    planned = plan_catalogue(2000, 1, NOW, MONTHS)
    assert next(draw_events(planned))["image_id"] == planned[0].image_id
