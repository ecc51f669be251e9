from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="SeedCode")


@_attrs_define
class SeedCode:
    """A seed as a code; given as a seed it asks for the same search again."""

    code: str
    encoder: str
    weight: int | Unset = 1

    def to_dict(self) -> dict[str, Any]:
        code = self.code

        encoder = self.encoder

        weight = self.weight

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "code": code,
                "encoder": encoder,
            }
        )
        if weight is not UNSET:
            field_dict["weight"] = weight

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        code = d.pop("code")

        encoder = d.pop("encoder")

        weight = d.pop("weight", UNSET)

        seed_code = cls(
            code=code,
            encoder=encoder,
            weight=weight,
        )

        return seed_code
