from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.seed import Seed


T = TypeVar("T", bound="NewCase")


@_attrs_define
class NewCase:
    """A case to open. Its seeds' pictures are kept with it, as they are now."""

    name: str
    note: str | Unset = ""
    seeds: list[Seed] | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        note = self.note

        seeds: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.seeds, Unset):
            seeds = []
            for seeds_item_data in self.seeds:
                seeds_item = seeds_item_data.to_dict()
                seeds.append(seeds_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "name": name,
            }
        )
        if note is not UNSET:
            field_dict["note"] = note
        if seeds is not UNSET:
            field_dict["seeds"] = seeds

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.seed import Seed  # noqa: PLC0415

        d = dict(src_dict)
        name = d.pop("name")

        note = d.pop("note", UNSET)

        _seeds = d.pop("seeds", UNSET)
        seeds: list[Seed] | Unset = UNSET
        if _seeds is not UNSET:
            seeds = []
            for seeds_item_data in _seeds:
                seeds_item = Seed.from_dict(seeds_item_data)

                seeds.append(seeds_item)

        new_case = cls(
            name=name,
            note=note,
            seeds=seeds,
        )

        return new_case
