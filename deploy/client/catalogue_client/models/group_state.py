from typing import Literal

GroupState = Literal["dismissed", "kept", "merged", "open"]

GROUP_STATE_VALUES: set[GroupState] = {
    "dismissed",
    "kept",
    "merged",
    "open",
}


def check_group_state(value: str) -> GroupState:
    if value in GROUP_STATE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {GROUP_STATE_VALUES!r}")
