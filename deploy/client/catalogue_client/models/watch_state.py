from typing import Literal

WatchState = Literal["active", "ended", "paused"]

WATCH_STATE_VALUES: set[WatchState] = {
    "active",
    "ended",
    "paused",
}


def check_watch_state(value: str) -> WatchState:
    if value in WATCH_STATE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {WATCH_STATE_VALUES!r}")
