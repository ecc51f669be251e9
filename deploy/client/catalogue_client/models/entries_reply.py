from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.entry_reply import EntryReply


T = TypeVar("T", bound="EntriesReply")


@_attrs_define
class EntriesReply:
    """Decisions in order, and the number to go on `after`; null at the end."""

    decisions: list[EntryReply]
    after: int | None

    def to_dict(self) -> dict[str, Any]:
        decisions = []
        for decisions_item_data in self.decisions:
            decisions_item = decisions_item_data.to_dict()
            decisions.append(decisions_item)

        after: int | None
        after = self.after

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "decisions": decisions,
                "after": after,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.entry_reply import EntryReply  # noqa: PLC0415

        d = dict(src_dict)
        decisions = []
        _decisions = d.pop("decisions")
        for decisions_item_data in _decisions:
            decisions_item = EntryReply.from_dict(decisions_item_data)

            decisions.append(decisions_item)

        def _parse_after(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        after = _parse_after(d.pop("after"))

        entries_reply = cls(
            decisions=decisions,
            after=after,
        )

        return entries_reply
