from typing import Literal

StrategyName = Literal["auto", "flat", "hnsw", "resident", "subcode"]

STRATEGY_NAME_VALUES: set[StrategyName] = {
    "auto",
    "flat",
    "hnsw",
    "resident",
    "subcode",
}


def check_strategy_name(value: str) -> StrategyName:
    if value in STRATEGY_NAME_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {STRATEGY_NAME_VALUES!r}")
