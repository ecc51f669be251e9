from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.member_reply_attributes import MemberReplyAttributes


T = TypeVar("T", bound="MemberReply")


@_attrs_define
class MemberReply:
    """An image of a group as it was found; `distance` in bits from the group's first one."""

    image_id: str
    item_id: str
    distance: int
    image_url: None | str
    attributes: MemberReplyAttributes

    def to_dict(self) -> dict[str, Any]:
        image_id = self.image_id

        item_id = self.item_id

        distance = self.distance

        image_url: None | str
        image_url = self.image_url

        attributes = self.attributes.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "image_id": image_id,
                "item_id": item_id,
                "distance": distance,
                "image_url": image_url,
                "attributes": attributes,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.member_reply_attributes import MemberReplyAttributes  # noqa: PLC0415

        d = dict(src_dict)
        image_id = d.pop("image_id")

        item_id = d.pop("item_id")

        distance = d.pop("distance")

        def _parse_image_url(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        image_url = _parse_image_url(d.pop("image_url"))

        attributes = MemberReplyAttributes.from_dict(d.pop("attributes"))

        member_reply = cls(
            image_id=image_id,
            item_id=item_id,
            distance=distance,
            image_url=image_url,
            attributes=attributes,
        )

        return member_reply
