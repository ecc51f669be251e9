from typing import Literal

By = Literal["image", "item"]

BY_VALUES: set[By] = {
    "image",
    "item",
}


def check_by(value: str) -> By:
    if value in BY_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {BY_VALUES!r}")
