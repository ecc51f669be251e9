from typing import Literal

MadeKeyState = Literal["expired", "in use", "revoked"]

MADE_KEY_STATE_VALUES: set[MadeKeyState] = {
    "expired",
    "in use",
    "revoked",
}


def check_made_key_state(value: str) -> MadeKeyState:
    if value in MADE_KEY_STATE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {MADE_KEY_STATE_VALUES!r}")
