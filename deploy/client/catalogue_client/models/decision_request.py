from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.action import Action, check_action
from ..types import UNSET, Unset

T = TypeVar("T", bound="DecisionRequest")


@_attrs_define
class DecisionRequest:
    """What is decided of a group: `keep` names the one image that stays, `split` those that leave into a new group,
    `merge` the groups whose images join this one. `dismiss`: no duplicates. `reopen` takes either back.

    """

    action: Action
    """ An entry of what was decided; entries are only ever appended. """
    image_ids: list[str] | Unset = UNSET
    groups: list[int] | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        action: str = self.action

        image_ids: list[str] | Unset = UNSET
        if not isinstance(self.image_ids, Unset):
            image_ids = self.image_ids

        groups: list[int] | Unset = UNSET
        if not isinstance(self.groups, Unset):
            groups = self.groups

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "action": action,
            }
        )
        if image_ids is not UNSET:
            field_dict["image_ids"] = image_ids
        if groups is not UNSET:
            field_dict["groups"] = groups

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        action = check_action(d.pop("action"))

        image_ids = cast(list[str], d.pop("image_ids", UNSET))

        groups = cast(list[int], d.pop("groups", UNSET))

        decision_request = cls(
            action=action,
            image_ids=image_ids,
            groups=groups,
        )

        return decision_request
