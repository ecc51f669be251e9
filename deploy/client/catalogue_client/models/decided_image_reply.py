from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.listed_image import ListedImage


T = TypeVar("T", bound="DecidedImageReply")


@_attrs_define
class DecidedImageReply:
    """An image under a decision, as it was when it was judged."""

    image_id: str
    encoder: None | str
    code: None | str
    image: ListedImage | None
    evidence: None | str

    def to_dict(self) -> dict[str, Any]:
        from ..models.listed_image import ListedImage  # noqa: PLC0415

        image_id = self.image_id

        encoder: None | str
        encoder = self.encoder

        code: None | str
        code = self.code

        image: dict[str, Any] | None
        if isinstance(self.image, ListedImage):
            image = self.image.to_dict()
        else:
            image = self.image

        evidence: None | str
        evidence = self.evidence

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "image_id": image_id,
                "encoder": encoder,
                "code": code,
                "image": image,
                "evidence": evidence,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.listed_image import ListedImage  # noqa: PLC0415

        d = dict(src_dict)
        image_id = d.pop("image_id")

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

        def _parse_image(data: object) -> ListedImage | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                image_type_0 = ListedImage.from_dict(data)

                return image_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(ListedImage | None, data)

        image = _parse_image(d.pop("image"))

        def _parse_evidence(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        evidence = _parse_evidence(d.pop("evidence"))

        decided_image_reply = cls(
            image_id=image_id,
            encoder=encoder,
            code=code,
            image=image,
            evidence=evidence,
        )

        return decided_image_reply
