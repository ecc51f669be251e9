from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.by import By, check_by
from ..models.same import Same, check_same
from ..types import UNSET, Unset

T = TypeVar("T", bound="QuestionRequest")


@_attrs_define
class QuestionRequest:
    """What to look for. A pair is equal in all attributes of `match` and differs in all of `differ`.

    Without a radius: 31 bits for `photo`, an eighth of the encoder's bits for `article`.

    """

    same: Same | Unset = UNSET
    """ What makes two pictures duplicates, and so which code is compared. """
    radius: int | None | Unset = UNSET
    by: By | Unset = UNSET
    """ What is grouped. """
    match: list[str] | Unset = UNSET
    differ: list[str] | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        same: str | Unset = UNSET
        if not isinstance(self.same, Unset):
            same = self.same

        radius: int | None | Unset
        if isinstance(self.radius, Unset):
            radius = UNSET
        else:
            radius = self.radius

        by: str | Unset = UNSET
        if not isinstance(self.by, Unset):
            by = self.by

        match: list[str] | Unset = UNSET
        if not isinstance(self.match, Unset):
            match = self.match

        differ: list[str] | Unset = UNSET
        if not isinstance(self.differ, Unset):
            differ = self.differ

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if same is not UNSET:
            field_dict["same"] = same
        if radius is not UNSET:
            field_dict["radius"] = radius
        if by is not UNSET:
            field_dict["by"] = by
        if match is not UNSET:
            field_dict["match"] = match
        if differ is not UNSET:
            field_dict["differ"] = differ

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        _same = d.pop("same", UNSET)
        same: Same | Unset
        if isinstance(_same, Unset):
            same = UNSET
        else:
            same = check_same(_same)

        def _parse_radius(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        radius = _parse_radius(d.pop("radius", UNSET))

        _by = d.pop("by", UNSET)
        by: By | Unset
        if isinstance(_by, Unset):
            by = UNSET
        else:
            by = check_by(_by)

        match = cast(list[str], d.pop("match", UNSET))

        differ = cast(list[str], d.pop("differ", UNSET))

        question_request = cls(
            same=same,
            radius=radius,
            by=by,
            match=match,
            differ=differ,
        )

        return question_request
