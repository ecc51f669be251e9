from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="PrecisionReply")


@_attrs_define
class PrecisionReply:
    """The share of judged alerts that are relevant, and its 95 % interval (Wilson)."""

    share: float
    low: float
    high: float

    def to_dict(self) -> dict[str, Any]:
        share = self.share

        low = self.low

        high = self.high

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "share": share,
                "low": low,
                "high": high,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        share = d.pop("share")

        low = d.pop("low")

        high = d.pop("high")

        precision_reply = cls(
            share=share,
            low=low,
            high=high,
        )

        return precision_reply
