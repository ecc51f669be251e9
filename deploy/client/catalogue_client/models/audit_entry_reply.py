from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

if TYPE_CHECKING:
    from ..models.audit_entry_reply_detail import AuditEntryReplyDetail


T = TypeVar("T", bound="AuditEntryReply")


@_attrs_define
class AuditEntryReply:
    """What somebody did; `detail` depends on the action."""

    number: int
    at: str
    who: str
    action: str
    case_id: None | str
    detail: AuditEntryReplyDetail
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        at = self.at

        who = self.who

        action = self.action

        case_id: None | str
        case_id = self.case_id

        detail = self.detail.to_dict()

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "number": number,
                "at": at,
                "who": who,
                "action": action,
                "case_id": case_id,
                "detail": detail,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.audit_entry_reply_detail import AuditEntryReplyDetail  # noqa: PLC0415

        d = dict(src_dict)
        number = d.pop("number")

        at = d.pop("at")

        who = d.pop("who")

        action = d.pop("action")

        def _parse_case_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        case_id = _parse_case_id(d.pop("case_id"))

        detail = AuditEntryReplyDetail.from_dict(d.pop("detail"))

        audit_entry_reply = cls(
            number=number,
            at=at,
            who=who,
            action=action,
            case_id=case_id,
            detail=detail,
        )

        audit_entry_reply.additional_properties = d
        return audit_entry_reply

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
