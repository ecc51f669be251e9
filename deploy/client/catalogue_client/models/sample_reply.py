from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

T = TypeVar("T", bound="SampleReply")


@_attrs_define
class SampleReply:
    """A sample: `image_ids` in the order in which to judge them, which tells nothing, drawn from so many `images`."""

    sample_id: str
    drawn_at: str
    as_of: str
    """ What the store had acknowledged by then could be drawn. """
    encoder: str
    images: int
    image_ids: list[str]
    drawn_before: int
    """ Samples of this case that were drawn before this one. """

    def to_dict(self) -> dict[str, Any]:
        sample_id = self.sample_id

        drawn_at = self.drawn_at

        as_of = self.as_of

        encoder = self.encoder

        images = self.images

        image_ids = self.image_ids

        drawn_before = self.drawn_before

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "sample_id": sample_id,
                "drawn_at": drawn_at,
                "as_of": as_of,
                "encoder": encoder,
                "images": images,
                "image_ids": image_ids,
                "drawn_before": drawn_before,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        sample_id = d.pop("sample_id")

        drawn_at = d.pop("drawn_at")

        as_of = d.pop("as_of")

        encoder = d.pop("encoder")

        images = d.pop("images")

        image_ids = cast(list[str], d.pop("image_ids"))

        drawn_before = d.pop("drawn_before")

        sample_reply = cls(
            sample_id=sample_id,
            drawn_at=drawn_at,
            as_of=as_of,
            encoder=encoder,
            images=images,
            image_ids=image_ids,
            drawn_before=drawn_before,
        )

        return sample_reply
