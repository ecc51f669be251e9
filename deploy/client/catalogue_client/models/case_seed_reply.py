from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

T = TypeVar("T", bound="CaseSeedReply")


@_attrs_define
class CaseSeedReply:
    """A seed of a case. With `code` and `encoder` it can be searched again; `evidence` is its picture's digest."""

    code: str
    encoder: str
    weight: int
    image_id: None | str
    url: None | str
    evidence: None | str

    def to_dict(self) -> dict[str, Any]:
        code = self.code

        encoder = self.encoder

        weight = self.weight

        image_id: None | str
        image_id = self.image_id

        url: None | str
        url = self.url

        evidence: None | str
        evidence = self.evidence

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "code": code,
                "encoder": encoder,
                "weight": weight,
                "image_id": image_id,
                "url": url,
                "evidence": evidence,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        code = d.pop("code")

        encoder = d.pop("encoder")

        weight = d.pop("weight")

        def _parse_image_id(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        image_id = _parse_image_id(d.pop("image_id"))

        def _parse_url(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        url = _parse_url(d.pop("url"))

        def _parse_evidence(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        evidence = _parse_evidence(d.pop("evidence"))

        case_seed_reply = cls(
            code=code,
            encoder=encoder,
            weight=weight,
            image_id=image_id,
            url=url,
            evidence=evidence,
        )

        return case_seed_reply
