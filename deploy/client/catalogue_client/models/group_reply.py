from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.group_state import GroupState, check_group_state

if TYPE_CHECKING:
    from ..models.member_reply import MemberReply


T = TypeVar("T", bound="GroupReply")


@_attrs_define
class GroupReply:
    """A group. `diameter` is the largest distance of two of its images; above the radius the group is `loose`."""

    group_id: int
    state: GroupState
    """ What was decided of a group. """
    kept: None | str
    diameter: int
    loose: bool
    members: list[MemberReply]

    def to_dict(self) -> dict[str, Any]:
        group_id = self.group_id

        state: str = self.state

        kept: None | str
        kept = self.kept

        diameter = self.diameter

        loose = self.loose

        members = []
        for members_item_data in self.members:
            members_item = members_item_data.to_dict()
            members.append(members_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "group_id": group_id,
                "state": state,
                "kept": kept,
                "diameter": diameter,
                "loose": loose,
                "members": members,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.member_reply import MemberReply  # noqa: PLC0415

        d = dict(src_dict)
        group_id = d.pop("group_id")

        state = check_group_state(d.pop("state"))

        def _parse_kept(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        kept = _parse_kept(d.pop("kept"))

        diameter = d.pop("diameter")

        loose = d.pop("loose")

        members = []
        _members = d.pop("members")
        for members_item_data in _members:
            members_item = MemberReply.from_dict(members_item_data)

            members.append(members_item)

        group_reply = cls(
            group_id=group_id,
            state=state,
            kept=kept,
            diameter=diameter,
            loose=loose,
            members=members,
        )

        return group_reply
