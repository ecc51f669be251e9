from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.group_reply import GroupReply


T = TypeVar("T", bound="GroupsReply")


@_attrs_define
class GroupsReply:
    """A page of groups, and the number to go on `after`; null at the end."""

    groups: list[GroupReply]
    after: int | None

    def to_dict(self) -> dict[str, Any]:
        groups = []
        for groups_item_data in self.groups:
            groups_item = groups_item_data.to_dict()
            groups.append(groups_item)

        after: int | None
        after = self.after

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "groups": groups,
                "after": after,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.group_reply import GroupReply  # noqa: PLC0415

        d = dict(src_dict)
        groups = []
        _groups = d.pop("groups")
        for groups_item_data in _groups:
            groups_item = GroupReply.from_dict(groups_item_data)

            groups.append(groups_item)

        def _parse_after(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        after = _parse_after(d.pop("after"))

        groups_reply = cls(
            groups=groups,
            after=after,
        )

        return groups_reply
