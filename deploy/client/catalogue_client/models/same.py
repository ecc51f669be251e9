from typing import Literal

Same = Literal["article", "photo"]

SAME_VALUES: set[Same] = {
    "article",
    "photo",
}


def check_same(value: str) -> Same:
    if value in SAME_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {SAME_VALUES!r}")
