from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.listed_decision import ListedDecision


T = TypeVar("T", bound="DecisionsReply")


@_attrs_define
class DecisionsReply:
    """Decisions, the newest first; `before` asks for older ones, null at the end."""

    decisions: list[ListedDecision]
    before: int | None

    def to_dict(self) -> dict[str, Any]:
        decisions = []
        for decisions_item_data in self.decisions:
            decisions_item = decisions_item_data.to_dict()
            decisions.append(decisions_item)

        before: int | None
        before = self.before

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "decisions": decisions,
                "before": before,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.listed_decision import ListedDecision  # noqa: PLC0415

        d = dict(src_dict)
        decisions = []
        _decisions = d.pop("decisions")
        for decisions_item_data in _decisions:
            decisions_item = ListedDecision.from_dict(decisions_item_data)

            decisions.append(decisions_item)

        def _parse_before(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        before = _parse_before(d.pop("before"))

        decisions_reply = cls(
            decisions=decisions,
            before=before,
        )

        return decisions_reply
