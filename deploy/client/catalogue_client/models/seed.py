from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="Seed")


@_attrs_define
class Seed:
    """What a query starts from: an indexed image, a picture by URL or bytes, or a hash code. Exactly one of these.

    `crop` cuts a picture before it is looked at. `encoder`, beside a code, says which encoder the code is of. `weight`
    counts among several seeds; a negative one is of a seed that images should not be like.

    """

    image_id: None | str | Unset = UNSET
    url: None | str | Unset = UNSET
    image: None | str | Unset = UNSET
    code: None | str | Unset = UNSET
    crop: list[float] | None | Unset = UNSET
    encoder: None | str | Unset = UNSET
    weight: int | Unset = 1

    def to_dict(self) -> dict[str, Any]:
        image_id: None | str | Unset
        if isinstance(self.image_id, Unset):
            image_id = UNSET
        else:
            image_id = self.image_id

        url: None | str | Unset
        if isinstance(self.url, Unset):
            url = UNSET
        else:
            url = self.url

        image: None | str | Unset
        if isinstance(self.image, Unset):
            image = UNSET
        else:
            image = self.image

        code: None | str | Unset
        if isinstance(self.code, Unset):
            code = UNSET
        else:
            code = self.code

        crop: list[float] | None | Unset
        if isinstance(self.crop, Unset):
            crop = UNSET
        elif isinstance(self.crop, list):
            crop = []
            for crop_type_0_item_data in self.crop:
                crop_type_0_item: float
                crop_type_0_item = crop_type_0_item_data
                crop.append(crop_type_0_item)

        else:
            crop = self.crop

        encoder: None | str | Unset
        if isinstance(self.encoder, Unset):
            encoder = UNSET
        else:
            encoder = self.encoder

        weight = self.weight

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if image_id is not UNSET:
            field_dict["image_id"] = image_id
        if url is not UNSET:
            field_dict["url"] = url
        if image is not UNSET:
            field_dict["image"] = image
        if code is not UNSET:
            field_dict["code"] = code
        if crop is not UNSET:
            field_dict["crop"] = crop
        if encoder is not UNSET:
            field_dict["encoder"] = encoder
        if weight is not UNSET:
            field_dict["weight"] = weight

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_image_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        image_id = _parse_image_id(d.pop("image_id", UNSET))

        def _parse_url(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        url = _parse_url(d.pop("url", UNSET))

        def _parse_image(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        image = _parse_image(d.pop("image", UNSET))

        def _parse_code(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        code = _parse_code(d.pop("code", UNSET))

        def _parse_crop(data: object) -> list[float] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                crop_type_0 = []
                _crop_type_0 = data
                for crop_type_0_item_data in _crop_type_0:

                    def _parse_crop_type_0_item(data: object) -> float:
                        return cast(float, data)

                    crop_type_0_item = _parse_crop_type_0_item(crop_type_0_item_data)

                    crop_type_0.append(crop_type_0_item)

                return crop_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[float] | None | Unset, data)

        crop = _parse_crop(d.pop("crop", UNSET))

        def _parse_encoder(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        encoder = _parse_encoder(d.pop("encoder", UNSET))

        weight = d.pop("weight", UNSET)

        seed = cls(
            image_id=image_id,
            url=url,
            image=image,
            code=code,
            crop=crop,
            encoder=encoder,
            weight=weight,
        )

        return seed
