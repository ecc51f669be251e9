from typing import Literal

Verdict = Literal["not_relevant", "relevant", "unsure", "withdrawn"]

VERDICT_VALUES: set[Verdict] = {
    "not_relevant",
    "relevant",
    "unsure",
    "withdrawn",
}


def check_verdict(value: str) -> Verdict:
    if value in VERDICT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {VERDICT_VALUES!r}")
