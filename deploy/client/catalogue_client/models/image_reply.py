from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.image_reply_attributes import ImageReplyAttributes


T = TypeVar("T", bound="ImageReply")


@_attrs_define
class ImageReply:
    """The document of an image, with its code by the active encoder (null where it has none)."""

    image_id: str
    item_id: str
    event_time: str
    image_url: None | str
    attributes: ImageReplyAttributes
    version: int
    encoder: None | str
    code: None | str

    def to_dict(self) -> dict[str, Any]:
        image_id = self.image_id

        item_id = self.item_id

        event_time = self.event_time

        image_url: None | str
        image_url = self.image_url

        attributes = self.attributes.to_dict()

        version = self.version

        encoder: None | str
        encoder = self.encoder

        code: None | str
        code = self.code

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "image_id": image_id,
                "item_id": item_id,
                "event_time": event_time,
                "image_url": image_url,
                "attributes": attributes,
                "version": version,
                "encoder": encoder,
                "code": code,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.image_reply_attributes import ImageReplyAttributes  # noqa: PLC0415

        d = dict(src_dict)
        image_id = d.pop("image_id")

        item_id = d.pop("item_id")

        event_time = d.pop("event_time")

        def _parse_image_url(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        image_url = _parse_image_url(d.pop("image_url"))

        attributes = ImageReplyAttributes.from_dict(d.pop("attributes"))

        version = d.pop("version")

        def _parse_encoder(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        encoder = _parse_encoder(d.pop("encoder"))

        def _parse_code(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        code = _parse_code(d.pop("code"))

        image_reply = cls(
            image_id=image_id,
            item_id=item_id,
            event_time=event_time,
            image_url=image_url,
            attributes=attributes,
            version=version,
            encoder=encoder,
            code=code,
        )

        return image_reply
