from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.action import Action, check_action

T = TypeVar("T", bound="EntryReply")


@_attrs_define
class EntryReply:
    """A decision as it was written down."""

    number: int
    group_id: int
    action: Action
    """ An entry of what was decided; entries are only ever appended. """
    image_ids: list[str]
    groups: list[int]
    who: str
    at: str

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        group_id = self.group_id

        action: str = self.action

        image_ids = self.image_ids

        groups = self.groups

        who = self.who

        at = self.at

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "number": number,
                "group_id": group_id,
                "action": action,
                "image_ids": image_ids,
                "groups": groups,
                "who": who,
                "at": at,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        number = d.pop("number")

        group_id = d.pop("group_id")

        action = check_action(d.pop("action"))

        image_ids = cast(list[str], d.pop("image_ids"))

        groups = cast(list[int], d.pop("groups"))

        who = d.pop("who")

        at = d.pop("at")

        entry_reply = cls(
            number=number,
            group_id=group_id,
            action=action,
            image_ids=image_ids,
            groups=groups,
            who=who,
            at=at,
        )

        return entry_reply
