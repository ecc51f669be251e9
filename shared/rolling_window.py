"""The rolling window: which event times are visible, and which monthly indices can still hold a visible image.

All functions take the clock's reading; none reads a clock. Times are UTC, in milliseconds since the epoch where they
are integers. A document is written into the month of the *worker's clock*, whatever its event time, so a month can be
dropped once the newest event time that it may hold has left the window.
"""

import calendar
import re
from datetime import UTC, datetime, timedelta

INDEX_PREFIX = "catalogue-"
# An event may be dated this far ahead of the worker's clock (skewed producers); later ones are dead letters.
EVENT_AHEAD_MAX = timedelta(days=1)
# A worker's clock may be so far ahead of another's, or of itself after it was set; a month is kept so much longer.
CLOCK_SKEW_MAX = timedelta(hours=1)

_MONTH = re.compile(r"^\d{4}\.(0[1-9]|1[0-2])$")


def to_milliseconds(moment: datetime) -> int:
    """Milliseconds since the epoch, rounded down; exact (no floating point)."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def from_milliseconds(milliseconds: int) -> datetime:
    """The UTC time of so many milliseconds since the epoch."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


def window_start(now: datetime, months: int) -> datetime:
    """The same day and time `months` calendar months ago; where that month has no such day, its last microsecond.

    An event time is inside the window when it is strictly later than this. The start never moves backward (the same
    time on the month's last day would, and images that had left would come back in the last days of a longer month).
    """
    year, month_before = divmod(now.year * 12 + now.month - 1 - months, 12)
    last_day = calendar.monthrange(year, month_before + 1)[1]
    if now.day > last_day:
        return datetime(year, month_before + 1, last_day, 23, 59, 59, 999_999, tzinfo=UTC)
    return now.replace(year=year, month=month_before + 1)


def is_inside(event_time_ms: int, now: datetime, months: int) -> bool:
    """Whether an image of this event time is visible at `now`."""
    return event_time_ms > to_milliseconds(window_start(now, months))


def month_of(now: datetime) -> str:
    """The month that documents written at `now` go to, as "2026.11"."""
    return f"{now.year:04d}.{now.month:02d}"


def is_month(text: str) -> bool:
    """Whether `text` names a month as `month_of` writes it."""
    return _MONTH.match(text) is not None


def is_droppable(month: str, now: datetime, window_months: int) -> bool:
    """Whether nothing written in `month` can be visible at `now`: its end, the day ahead and the skew lie before the
    window."""
    year, number = int(month[:4]), int(month[5:])
    following = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return following + EVENT_AHEAD_MAX + CLOCK_SKEW_MAX <= window_start(now, window_months)
