from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="LeftReply")


@_attrs_define
class LeftReply:
    """How many relevant images are not found yet: the estimate, and its limits."""

    estimate: float
    low: int
    high: int

    def to_dict(self) -> dict[str, Any]:
        estimate = self.estimate

        low = self.low

        high = self.high

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "estimate": estimate,
                "low": low,
                "high": high,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        estimate = d.pop("estimate")

        low = d.pop("low")

        high = d.pop("high")

        left_reply = cls(
            estimate=estimate,
            low=low,
            high=high,
        )

        return left_reply
