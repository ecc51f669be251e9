"""The window's edge to the millisecond, calendar months, and when a month can go."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rolling_window import (
    CLOCK_SKEW_MAX,
    EVENT_AHEAD_MAX,
    from_milliseconds,
    is_droppable,
    is_inside,
    is_month,
    month_of,
    to_milliseconds,
    window_start,
)

moments = st.datetimes(datetime(1971, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("now", "months", "start"),
    [
        ("2026-11-20T12:30:15.123456+00:00", 3, "2026-08-20T12:30:15.123456+00:00"),
        ("2026-02-10T00:00:00+00:00", 3, "2025-11-10T00:00:00+00:00"),
        ("2026-05-28T08:00:00+00:00", 3, "2026-02-28T08:00:00+00:00"),
        ("2026-05-31T08:00:00+00:00", 3, "2026-02-28T23:59:59.999999+00:00"),
        ("2028-05-31T08:00:00+00:00", 3, "2028-02-29T23:59:59.999999+00:00"),
        ("2028-05-29T08:00:00+00:00", 3, "2028-02-29T08:00:00+00:00"),
        ("2028-02-29T08:00:00+00:00", 12, "2027-02-28T23:59:59.999999+00:00"),
        ("2026-01-01T00:00:00+00:00", 1, "2025-12-01T00:00:00+00:00"),
        ("2026-12-31T00:00:00+00:00", 120, "2016-12-31T00:00:00+00:00"),
    ],
)
def test_the_window_starts_so_many_calendar_months_ago(now: str, months: int, start: str) -> None:
    assert window_start(datetime.fromisoformat(now), months) == datetime.fromisoformat(start)


@given(now=moments, later=st.timedeltas(timedelta(0), timedelta(days=40)), months=st.integers(1, 24))
def test_an_image_that_left_the_window_never_comes_back(now: datetime, later: timedelta, months: int) -> None:
    assert window_start(now + later, months) >= window_start(now, months)


def test_an_image_leaves_the_window_at_the_very_millisecond() -> None:
    now = datetime(2026, 11, 20, 12, 0, 0, 500_000, tzinfo=UTC)
    edge = to_milliseconds(datetime(2026, 8, 20, 12, 0, 0, 500_000, tzinfo=UTC))
    assert [is_inside(edge + off, now, 3) for off in (-1, 0, 1)] == [False, False, True]


def test_milliseconds_are_exact_and_rounded_down() -> None:
    moment = datetime(2026, 11, 20, 1, 2, 3, 999_999, tzinfo=UTC)
    assert to_milliseconds(moment) == 1_795_136_523_999
    assert from_milliseconds(1_795_136_523_999) == moment.replace(microsecond=999_000)
    assert to_milliseconds(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


@given(st.integers(0, 4_102_444_800_000))
def test_milliseconds_survive_the_way_there_and_back(milliseconds: int) -> None:
    assert to_milliseconds(from_milliseconds(milliseconds)) == milliseconds


def test_a_month_is_named_by_year_and_two_digits() -> None:
    assert month_of(datetime(2026, 3, 1, tzinfo=UTC)) == "2026.03"
    assert [is_month(text) for text in ("2026.03", "2026.13", "2026.3", "2026-03", "encoders")] == [True] + [False] * 4


def test_a_month_goes_once_its_end_the_day_ahead_and_the_skew_are_outside() -> None:
    last = datetime(2026, 8, 1, tzinfo=UTC) + EVENT_AHEAD_MAX + CLOCK_SKEW_MAX
    assert last == datetime(2026, 8, 2, 1, tzinfo=UTC)
    now = datetime(2026, 11, 2, 1, tzinfo=UTC)
    assert is_droppable("2026.07", now, 3)
    assert not is_droppable("2026.07", now - timedelta(microseconds=1), 3)
    assert not is_droppable("2026.12", datetime(2027, 4, 2, tzinfo=UTC), 3)
    assert is_droppable("2026.12", datetime(2027, 4, 2, 1, tzinfo=UTC), 3)


@given(
    written=moments,
    ahead=st.timedeltas(timedelta(days=-400), EVENT_AHEAD_MAX),
    later=st.timedeltas(timedelta(0), timedelta(days=500)),
    skew=st.timedeltas(-CLOCK_SKEW_MAX, CLOCK_SKEW_MAX),
    months=st.integers(1, 12),
)
def test_a_droppable_month_holds_no_visible_image(
    written: datetime, ahead: timedelta, later: timedelta, skew: timedelta, months: int
) -> None:
    """Whatever a worker wrote, and though another worker's clock, which drops, differs from the searcher's."""
    event_time_ms, now = to_milliseconds(written + ahead), written + later
    droppable = is_droppable(month_of(written), now + skew, months)
    assert not (droppable and is_inside(event_time_ms, now, months))
