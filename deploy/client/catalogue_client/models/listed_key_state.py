from typing import Literal

ListedKeyState = Literal["expired", "in use", "revoked"]

LISTED_KEY_STATE_VALUES: set[ListedKeyState] = {
    "expired",
    "in use",
    "revoked",
}


def check_listed_key_state(value: str) -> ListedKeyState:
    if value in LISTED_KEY_STATE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {LISTED_KEY_STATE_VALUES!r}")
