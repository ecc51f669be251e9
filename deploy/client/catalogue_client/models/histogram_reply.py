from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

T = TypeVar("T", bound="HistogramReply")


@_attrs_define
class HistogramReply:
    """How many visible images lie at each distance from the seed: `counts` has one number for 0, 1, … `bits` bits."""

    bits: int
    counts: list[int]
    as_of: str

    def to_dict(self) -> dict[str, Any]:
        bits = self.bits

        counts = self.counts

        as_of = self.as_of

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "bits": bits,
                "counts": counts,
                "as_of": as_of,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        bits = d.pop("bits")

        counts = cast(list[int], d.pop("counts"))

        as_of = d.pop("as_of")

        histogram_reply = cls(
            bits=bits,
            counts=counts,
            as_of=as_of,
        )

        return histogram_reply
