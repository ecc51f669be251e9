from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from .. import types
from ..models.strategy_name import StrategyName, check_strategy_name
from ..types import UNSET, File, Unset

T = TypeVar("T", bound="BodySearchByUpload")


@_attrs_define
class BodySearchByUpload:
    image: File
    """ The seed: a JPEG, PNG or WebP picture. """
    crop: None | str | Unset = UNSET
    """ JSON: [left, top, right, bottom] as fractions. """
    k: int | Unset = 20
    radius: int | None | Unset = UNSET
    filter_: None | str | Unset = UNSET
    """ JSON: attribute to list of values. """
    since: None | str | Unset = UNSET
    until: None | str | Unset = UNSET
    group_by_item: bool | Unset = False
    fold_radius: int | None | Unset = UNSET
    strategy: StrategyName | Unset = UNSET
    """ How a query is answered; `auto` chooses. """
    cursor: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        image = self.image.to_tuple()

        crop: None | str | Unset
        if isinstance(self.crop, Unset):
            crop = UNSET
        else:
            crop = self.crop

        k = self.k

        radius: int | None | Unset
        if isinstance(self.radius, Unset):
            radius = UNSET
        else:
            radius = self.radius

        filter_: None | str | Unset
        if isinstance(self.filter_, Unset):
            filter_ = UNSET
        else:
            filter_ = self.filter_

        since: None | str | Unset
        if isinstance(self.since, Unset):
            since = UNSET
        else:
            since = self.since

        until: None | str | Unset
        if isinstance(self.until, Unset):
            until = UNSET
        else:
            until = self.until

        group_by_item = self.group_by_item

        fold_radius: int | None | Unset
        if isinstance(self.fold_radius, Unset):
            fold_radius = UNSET
        else:
            fold_radius = self.fold_radius

        strategy: str | Unset = UNSET
        if not isinstance(self.strategy, Unset):
            strategy = self.strategy

        cursor: None | str | Unset
        if isinstance(self.cursor, Unset):
            cursor = UNSET
        else:
            cursor = self.cursor

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update(
            {
                "image": image,
            }
        )
        if crop is not UNSET:
            field_dict["crop"] = crop
        if k is not UNSET:
            field_dict["k"] = k
        if radius is not UNSET:
            field_dict["radius"] = radius
        if filter_ is not UNSET:
            field_dict["filter"] = filter_
        if since is not UNSET:
            field_dict["since"] = since
        if until is not UNSET:
            field_dict["until"] = until
        if group_by_item is not UNSET:
            field_dict["group_by_item"] = group_by_item
        if fold_radius is not UNSET:
            field_dict["fold_radius"] = fold_radius
        if strategy is not UNSET:
            field_dict["strategy"] = strategy
        if cursor is not UNSET:
            field_dict["cursor"] = cursor

        return field_dict

    def to_multipart(self) -> types.RequestFiles:
        files: types.RequestFiles = []

        files.append(("image", self.image.to_tuple()))

        if not isinstance(self.crop, Unset):
            if isinstance(self.crop, str):
                files.append(("crop", (None, str(self.crop).encode(), "text/plain")))
            else:
                files.append(("crop", (None, str(self.crop).encode(), "text/plain")))

        if not isinstance(self.k, Unset):
            files.append(("k", (None, str(self.k).encode(), "text/plain")))

        if not isinstance(self.radius, Unset):
            if isinstance(self.radius, int):
                files.append(("radius", (None, str(self.radius).encode(), "text/plain")))
            else:
                files.append(("radius", (None, str(self.radius).encode(), "text/plain")))

        if not isinstance(self.filter_, Unset):
            if isinstance(self.filter_, str):
                files.append(("filter", (None, str(self.filter_).encode(), "text/plain")))
            else:
                files.append(("filter", (None, str(self.filter_).encode(), "text/plain")))

        if not isinstance(self.since, Unset):
            if isinstance(self.since, str):
                files.append(("since", (None, str(self.since).encode(), "text/plain")))
            else:
                files.append(("since", (None, str(self.since).encode(), "text/plain")))

        if not isinstance(self.until, Unset):
            if isinstance(self.until, str):
                files.append(("until", (None, str(self.until).encode(), "text/plain")))
            else:
                files.append(("until", (None, str(self.until).encode(), "text/plain")))

        if not isinstance(self.group_by_item, Unset):
            files.append(("group_by_item", (None, str(self.group_by_item).encode(), "text/plain")))

        if not isinstance(self.fold_radius, Unset):
            if isinstance(self.fold_radius, int):
                files.append(("fold_radius", (None, str(self.fold_radius).encode(), "text/plain")))
            else:
                files.append(("fold_radius", (None, str(self.fold_radius).encode(), "text/plain")))

        if not isinstance(self.strategy, Unset):
            files.append(("strategy", (None, str(self.strategy).encode(), "text/plain")))

        if not isinstance(self.cursor, Unset):
            if isinstance(self.cursor, str):
                files.append(("cursor", (None, str(self.cursor).encode(), "text/plain")))
            else:
                files.append(("cursor", (None, str(self.cursor).encode(), "text/plain")))

        for prop_name, prop in self.additional_properties.items():
            files.append((prop_name, (None, str(prop).encode(), "text/plain")))

        return files

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        image = File(payload=BytesIO(d.pop("image")))

        def _parse_crop(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        crop = _parse_crop(d.pop("crop", UNSET))

        k = d.pop("k", UNSET)

        def _parse_radius(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        radius = _parse_radius(d.pop("radius", UNSET))

        def _parse_filter_(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        filter_ = _parse_filter_(d.pop("filter", UNSET))

        def _parse_since(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        since = _parse_since(d.pop("since", UNSET))

        def _parse_until(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        until = _parse_until(d.pop("until", UNSET))

        group_by_item = d.pop("group_by_item", UNSET)

        def _parse_fold_radius(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        fold_radius = _parse_fold_radius(d.pop("fold_radius", UNSET))

        _strategy = d.pop("strategy", UNSET)
        strategy: StrategyName | Unset
        if isinstance(_strategy, Unset):
            strategy = UNSET
        else:
            strategy = check_strategy_name(_strategy)

        def _parse_cursor(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        cursor = _parse_cursor(d.pop("cursor", UNSET))

        body_search_by_upload = cls(
            image=image,
            crop=crop,
            k=k,
            radius=radius,
            filter_=filter_,
            since=since,
            until=until,
            group_by_item=group_by_item,
            fold_radius=fold_radius,
            strategy=strategy,
            cursor=cursor,
        )

        body_search_by_upload.additional_properties = d
        return body_search_by_upload

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
