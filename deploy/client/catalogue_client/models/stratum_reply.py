from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="StratumReply")


@_attrs_define
class StratumReply:
    """One of the parts from which the sample was drawn: `images` of which `drawn`, at most `up_to` bits away."""

    up_to: int
    images: int
    drawn: int
    relevant: int

    def to_dict(self) -> dict[str, Any]:
        up_to = self.up_to

        images = self.images

        drawn = self.drawn

        relevant = self.relevant

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "up_to": up_to,
                "images": images,
                "drawn": drawn,
                "relevant": relevant,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        up_to = d.pop("up_to")

        images = d.pop("images")

        drawn = d.pop("drawn")

        relevant = d.pop("relevant")

        stratum_reply = cls(
            up_to=up_to,
            images=images,
            drawn=drawn,
            relevant=relevant,
        )

        return stratum_reply
