from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="DeadLetterReply")


@_attrs_define
class DeadLetterReply:
    """Why the last event of an image was refused; `reason` is one of the README's table."""

    reason: str
    detail: str
    at: str

    def to_dict(self) -> dict[str, Any]:
        reason = self.reason

        detail = self.detail

        at = self.at

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "reason": reason,
                "detail": detail,
                "at": at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        reason = d.pop("reason")

        detail = d.pop("detail")

        at = d.pop("at")

        dead_letter_reply = cls(
            reason=reason,
            detail=detail,
            at=at,
        )

        return dead_letter_reply
