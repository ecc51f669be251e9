from typing import Literal

GroupsFormat = Literal["csv", "json"]

GROUPS_FORMAT_VALUES: set[GroupsFormat] = {
    "csv",
    "json",
}


def check_groups_format(value: str) -> GroupsFormat:
    if value in GROUPS_FORMAT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {GROUPS_FORMAT_VALUES!r}")
