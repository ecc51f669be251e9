from typing import Literal

Action = Literal["dismiss", "keep", "merge", "reopen", "split"]

ACTION_VALUES: set[Action] = {
    "dismiss",
    "keep",
    "merge",
    "reopen",
    "split",
}


def check_action(value: str) -> Action:
    if value in ACTION_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {ACTION_VALUES!r}")
