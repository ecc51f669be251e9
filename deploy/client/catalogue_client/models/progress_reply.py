from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="ProgressReply")


@_attrs_define
class ProgressReply:
    """How many images of a case have which verdict."""

    judged: int
    relevant: int
    not_relevant: int
    unsure: int

    def to_dict(self) -> dict[str, Any]:
        judged = self.judged

        relevant = self.relevant

        not_relevant = self.not_relevant

        unsure = self.unsure

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "judged": judged,
                "relevant": relevant,
                "not_relevant": not_relevant,
                "unsure": unsure,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        judged = d.pop("judged")

        relevant = d.pop("relevant")

        not_relevant = d.pop("not_relevant")

        unsure = d.pop("unsure")

        progress_reply = cls(
            judged=judged,
            relevant=relevant,
            not_relevant=not_relevant,
            unsure=unsure,
        )

        return progress_reply
