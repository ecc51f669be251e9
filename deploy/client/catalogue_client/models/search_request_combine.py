from typing import Literal

SearchRequestCombine = Literal["bits", "seeds"]

SEARCH_REQUEST_COMBINE_VALUES: set[SearchRequestCombine] = {
    "bits",
    "seeds",
}


def check_search_request_combine(value: str) -> SearchRequestCombine:
    if value in SEARCH_REQUEST_COMBINE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {SEARCH_REQUEST_COMBINE_VALUES!r}")
