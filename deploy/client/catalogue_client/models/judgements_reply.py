from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.judgement_reply import JudgementReply


T = TypeVar("T", bound="JudgementsReply")


@_attrs_define
class JudgementsReply:
    """Judgements, and the number to go on `after`; null at the end."""

    judgements: list[JudgementReply]
    after: int | None

    def to_dict(self) -> dict[str, Any]:
        judgements = []
        for judgements_item_data in self.judgements:
            judgements_item = judgements_item_data.to_dict()
            judgements.append(judgements_item)

        after: int | None
        after = self.after

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "judgements": judgements,
                "after": after,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.judgement_reply import JudgementReply  # noqa: PLC0415

        d = dict(src_dict)
        judgements = []
        _judgements = d.pop("judgements")
        for judgements_item_data in _judgements:
            judgements_item = JudgementReply.from_dict(judgements_item_data)

            judgements.append(judgements_item)

        def _parse_after(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        after = _parse_after(d.pop("after"))

        judgements_reply = cls(
            judgements=judgements,
            after=after,
        )

        return judgements_reply
