from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.hit_attributes import HitAttributes


T = TypeVar("T", bound="Hit")


@_attrs_define
class Hit:
    """An image near the seeds; `similarity` is 1 at the least distance there can be, 0 at the largest."""

    image_id: str
    item_id: str
    event_time: str
    image_url: None | str
    attributes: HitAttributes
    distance: int
    similarity: float
    folded: list[str]
    """ Farther hits that are near-duplicates of this one. """

    def to_dict(self) -> dict[str, Any]:
        image_id = self.image_id

        item_id = self.item_id

        event_time = self.event_time

        image_url: None | str
        image_url = self.image_url

        attributes = self.attributes.to_dict()

        distance = self.distance

        similarity = self.similarity

        folded = self.folded

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "image_id": image_id,
                "item_id": item_id,
                "event_time": event_time,
                "image_url": image_url,
                "attributes": attributes,
                "distance": distance,
                "similarity": similarity,
                "folded": folded,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.hit_attributes import HitAttributes  # noqa: PLC0415

        d = dict(src_dict)
        image_id = d.pop("image_id")

        item_id = d.pop("item_id")

        event_time = d.pop("event_time")

        def _parse_image_url(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        image_url = _parse_image_url(d.pop("image_url"))

        attributes = HitAttributes.from_dict(d.pop("attributes"))

        distance = d.pop("distance")

        similarity = d.pop("similarity")

        folded = cast(list[str], d.pop("folded"))

        hit = cls(
            image_id=image_id,
            item_id=item_id,
            event_time=event_time,
            image_url=image_url,
            attributes=attributes,
            distance=distance,
            similarity=similarity,
            folded=folded,
        )

        return hit
