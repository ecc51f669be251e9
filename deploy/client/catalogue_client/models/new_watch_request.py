from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.new_watch_request_filter import NewWatchRequestFilter
    from ..models.seed import Seed


T = TypeVar("T", bound="NewWatchRequest")


@_attrs_define
class NewWatchRequest:
    """A watch to open: for seeds, or without any for the seeds and relevant images of a case.

    Seeds are kept with the case; without a case, one of the watch's name is opened.

    """

    name: str
    radius: int
    """ Largest distance to the nearest of the codes, in bits. """
    note: str | Unset = ""
    case_id: None | str | Unset = UNSET
    seeds: list[Seed] | Unset = UNSET
    filter_: NewWatchRequestFilter | Unset = UNSET
    """ Attribute to values; an image needs one value of each attribute. """

    def to_dict(self) -> dict[str, Any]:
        name = self.name

        radius = self.radius

        note = self.note

        case_id: None | str | Unset
        if isinstance(self.case_id, Unset):
            case_id = UNSET
        else:
            case_id = self.case_id

        seeds: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.seeds, Unset):
            seeds = []
            for seeds_item_data in self.seeds:
                seeds_item = seeds_item_data.to_dict()
                seeds.append(seeds_item)

        filter_: dict[str, Any] | Unset = UNSET
        if not isinstance(self.filter_, Unset):
            filter_ = self.filter_.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "name": name,
                "radius": radius,
            }
        )
        if note is not UNSET:
            field_dict["note"] = note
        if case_id is not UNSET:
            field_dict["case_id"] = case_id
        if seeds is not UNSET:
            field_dict["seeds"] = seeds
        if filter_ is not UNSET:
            field_dict["filter"] = filter_

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.new_watch_request_filter import NewWatchRequestFilter  # noqa: PLC0415
        from ..models.seed import Seed  # noqa: PLC0415

        d = dict(src_dict)
        name = d.pop("name")

        radius = d.pop("radius")

        note = d.pop("note", UNSET)

        def _parse_case_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        case_id = _parse_case_id(d.pop("case_id", UNSET))

        _seeds = d.pop("seeds", UNSET)
        seeds: list[Seed] | Unset = UNSET
        if _seeds is not UNSET:
            seeds = []
            for seeds_item_data in _seeds:
                seeds_item = Seed.from_dict(seeds_item_data)

                seeds.append(seeds_item)

        _filter_ = d.pop("filter", UNSET)
        filter_: NewWatchRequestFilter | Unset
        if isinstance(_filter_, Unset):
            filter_ = UNSET
        else:
            filter_ = NewWatchRequestFilter.from_dict(_filter_)

        new_watch_request = cls(
            name=name,
            radius=radius,
            note=note,
            case_id=case_id,
            seeds=seeds,
            filter_=filter_,
        )

        return new_watch_request
