from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.group_reply import GroupReply


T = TypeVar("T", bound="ChangedGroupsReply")


@_attrs_define
class ChangedGroupsReply:
    """The groups that a decision changed, the one that it was about first."""

    groups: list[GroupReply]

    def to_dict(self) -> dict[str, Any]:
        groups = []
        for groups_item_data in self.groups:
            groups_item = groups_item_data.to_dict()
            groups.append(groups_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "groups": groups,
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

        changed_groups_reply = cls(
            groups=groups,
        )

        return changed_groups_reply
