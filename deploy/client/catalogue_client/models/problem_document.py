from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.problem_field import ProblemField


T = TypeVar("T", bound="ProblemDocument")


@_attrs_define
class ProblemDocument:
    """What went wrong (RFC 9457): `detail` tells a person, `reason` a program, `fields` where a request is wrong."""

    type_: str
    title: str
    status: int
    detail: str
    reason: str
    fields: list[ProblemField] | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        type_ = self.type_

        title = self.title

        status = self.status

        detail = self.detail

        reason = self.reason

        fields: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.fields, Unset):
            fields = []
            for fields_item_data in self.fields:
                fields_item = fields_item_data.to_dict()
                fields.append(fields_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "type": type_,
                "title": title,
                "status": status,
                "detail": detail,
                "reason": reason,
            }
        )
        if fields is not UNSET:
            field_dict["fields"] = fields

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.problem_field import ProblemField  # noqa: PLC0415

        d = dict(src_dict)
        type_ = d.pop("type")

        title = d.pop("title")

        status = d.pop("status")

        detail = d.pop("detail")

        reason = d.pop("reason")

        _fields = d.pop("fields", UNSET)
        fields: list[ProblemField] | Unset = UNSET
        if _fields is not UNSET:
            fields = []
            for fields_item_data in _fields:
                fields_item = ProblemField.from_dict(fields_item_data)

                fields.append(fields_item)

        problem_document = cls(
            type_=type_,
            title=title,
            status=status,
            detail=detail,
            reason=reason,
            fields=fields,
        )

        return problem_document
