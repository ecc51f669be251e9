from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.search_request_combine import (
    SearchRequestCombine,
    check_search_request_combine,
)
from ..models.strategy_name import StrategyName, check_strategy_name
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.search_request_filter import SearchRequestFilter
    from ..models.seed import Seed


T = TypeVar("T", bound="SearchRequest")


@_attrs_define
class SearchRequest:
    """A query: the `k` nearest images of the seeds, none further than `radius`; without `k`, all within `radius`.

    Of several seeds, an image's distance is the sum of its distances to each, by weight (`combine` "seeds"); or its
    bits are weighed by how well they tell seeds of positive weight from those of negative weight ("bits").

    """

    seeds: list[Seed]
    filter_: SearchRequestFilter | Unset = UNSET
    """ Attribute to values; an image needs one value of each attribute. """
    since: datetime.datetime | None | Unset = UNSET
    until: datetime.datetime | None | Unset = UNSET
    combine: SearchRequestCombine | Unset = "seeds"
    k: int | None | Unset = UNSET
    """ 20 where there is no radius either. """
    radius: int | None | Unset = UNSET
    strategy: StrategyName | Unset = UNSET
    """ How a query is answered; `auto` chooses. """
    group_by_item: bool | Unset = False
    """ Only the best picture of each item. """
    fold_radius: int | None | Unset = UNSET
    """ Near-duplicates, so many bits apart at most, are folded into the best. """
    cursor: None | str | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        seeds = []
        for seeds_item_data in self.seeds:
            seeds_item = seeds_item_data.to_dict()
            seeds.append(seeds_item)

        filter_: dict[str, Any] | Unset = UNSET
        if not isinstance(self.filter_, Unset):
            filter_ = self.filter_.to_dict()

        since: None | str | Unset
        if isinstance(self.since, Unset):
            since = UNSET
        elif isinstance(self.since, datetime.datetime):
            since = self.since.isoformat()
        else:
            since = self.since

        until: None | str | Unset
        if isinstance(self.until, Unset):
            until = UNSET
        elif isinstance(self.until, datetime.datetime):
            until = self.until.isoformat()
        else:
            until = self.until

        combine: str | Unset = UNSET
        if not isinstance(self.combine, Unset):
            combine = self.combine

        k: int | None | Unset
        if isinstance(self.k, Unset):
            k = UNSET
        else:
            k = self.k

        radius: int | None | Unset
        if isinstance(self.radius, Unset):
            radius = UNSET
        else:
            radius = self.radius

        strategy: str | Unset = UNSET
        if not isinstance(self.strategy, Unset):
            strategy = self.strategy

        group_by_item = self.group_by_item

        fold_radius: int | None | Unset
        if isinstance(self.fold_radius, Unset):
            fold_radius = UNSET
        else:
            fold_radius = self.fold_radius

        cursor: None | str | Unset
        if isinstance(self.cursor, Unset):
            cursor = UNSET
        else:
            cursor = self.cursor

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "seeds": seeds,
            }
        )
        if filter_ is not UNSET:
            field_dict["filter"] = filter_
        if since is not UNSET:
            field_dict["since"] = since
        if until is not UNSET:
            field_dict["until"] = until
        if combine is not UNSET:
            field_dict["combine"] = combine
        if k is not UNSET:
            field_dict["k"] = k
        if radius is not UNSET:
            field_dict["radius"] = radius
        if strategy is not UNSET:
            field_dict["strategy"] = strategy
        if group_by_item is not UNSET:
            field_dict["group_by_item"] = group_by_item
        if fold_radius is not UNSET:
            field_dict["fold_radius"] = fold_radius
        if cursor is not UNSET:
            field_dict["cursor"] = cursor

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.search_request_filter import SearchRequestFilter  # noqa: PLC0415
        from ..models.seed import Seed  # noqa: PLC0415

        d = dict(src_dict)
        seeds = []
        _seeds = d.pop("seeds")
        for seeds_item_data in _seeds:
            seeds_item = Seed.from_dict(seeds_item_data)

            seeds.append(seeds_item)

        _filter_ = d.pop("filter", UNSET)
        filter_: SearchRequestFilter | Unset
        if isinstance(_filter_, Unset):
            filter_ = UNSET
        else:
            filter_ = SearchRequestFilter.from_dict(_filter_)

        def _parse_since(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                since_type_0 = datetime.datetime.fromisoformat(data)

                return since_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        since = _parse_since(d.pop("since", UNSET))

        def _parse_until(data: object) -> datetime.datetime | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                until_type_0 = datetime.datetime.fromisoformat(data)

                return until_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(datetime.datetime | None | Unset, data)

        until = _parse_until(d.pop("until", UNSET))

        _combine = d.pop("combine", UNSET)
        combine: SearchRequestCombine | Unset
        if isinstance(_combine, Unset):
            combine = UNSET
        else:
            combine = check_search_request_combine(_combine)

        def _parse_k(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        k = _parse_k(d.pop("k", UNSET))

        def _parse_radius(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        radius = _parse_radius(d.pop("radius", UNSET))

        _strategy = d.pop("strategy", UNSET)
        strategy: StrategyName | Unset
        if isinstance(_strategy, Unset):
            strategy = UNSET
        else:
            strategy = check_strategy_name(_strategy)

        group_by_item = d.pop("group_by_item", UNSET)

        def _parse_fold_radius(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        fold_radius = _parse_fold_radius(d.pop("fold_radius", UNSET))

        def _parse_cursor(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        cursor = _parse_cursor(d.pop("cursor", UNSET))

        search_request = cls(
            seeds=seeds,
            filter_=filter_,
            since=since,
            until=until,
            combine=combine,
            k=k,
            radius=radius,
            strategy=strategy,
            group_by_item=group_by_item,
            fold_radius=fold_radius,
            cursor=cursor,
        )

        return search_request
