from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.decided_image_reply import DecidedImageReply


T = TypeVar("T", bound="DecisionReply")


@_attrs_define
class DecisionReply:
    """A decision with its images."""

    number: int
    decision_id: str
    case_id: str
    policy: str
    reason: str
    who: str
    at: str
    images: int
    reverses: None | str
    reversed_by: None | str
    decided: list[DecidedImageReply]

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        decision_id = self.decision_id

        case_id = self.case_id

        policy = self.policy

        reason = self.reason

        who = self.who

        at = self.at

        images = self.images

        reverses: None | str
        reverses = self.reverses

        reversed_by: None | str
        reversed_by = self.reversed_by

        decided = []
        for decided_item_data in self.decided:
            decided_item = decided_item_data.to_dict()
            decided.append(decided_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "number": number,
                "decision_id": decision_id,
                "case_id": case_id,
                "policy": policy,
                "reason": reason,
                "who": who,
                "at": at,
                "images": images,
                "reverses": reverses,
                "reversed_by": reversed_by,
                "decided": decided,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.decided_image_reply import DecidedImageReply  # noqa: PLC0415

        d = dict(src_dict)
        number = d.pop("number")

        decision_id = d.pop("decision_id")

        case_id = d.pop("case_id")

        policy = d.pop("policy")

        reason = d.pop("reason")

        who = d.pop("who")

        at = d.pop("at")

        images = d.pop("images")

        def _parse_reverses(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reverses = _parse_reverses(d.pop("reverses"))

        def _parse_reversed_by(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        reversed_by = _parse_reversed_by(d.pop("reversed_by"))

        decided = []
        _decided = d.pop("decided")
        for decided_item_data in _decided:
            decided_item = DecidedImageReply.from_dict(decided_item_data)

            decided.append(decided_item)

        decision_reply = cls(
            number=number,
            decision_id=decision_id,
            case_id=case_id,
            policy=policy,
            reason=reason,
            who=who,
            at=at,
            images=images,
            reverses=reverses,
            reversed_by=reversed_by,
            decided=decided,
        )

        return decision_reply
