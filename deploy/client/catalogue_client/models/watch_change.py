from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.watch_state import WatchState, check_watch_state
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.watch_change_filter_type_0 import WatchChangeFilterType0


T = TypeVar("T", bound="WatchChange")


@_attrs_define
class WatchChange:
    """What to change of a watch; what is not named stays. `from_case`: watch for what the case found relevant by now.

    A change of radius, filter or codes, and going on after a pause, runs the watch over the whole window anew.

    """

    name: None | str | Unset = UNSET
    note: None | str | Unset = UNSET
    state: None | Unset | WatchState = UNSET
    radius: int | None | Unset = UNSET
    filter_: None | Unset | WatchChangeFilterType0 = UNSET
    from_case: bool | Unset = False

    def to_dict(self) -> dict[str, Any]:
        from ..models.watch_change_filter_type_0 import WatchChangeFilterType0  # noqa: PLC0415

        name: None | str | Unset
        if isinstance(self.name, Unset):
            name = UNSET
        else:
            name = self.name

        note: None | str | Unset
        if isinstance(self.note, Unset):
            note = UNSET
        else:
            note = self.note

        state: None | str | Unset
        if isinstance(self.state, Unset):
            state = UNSET
        elif isinstance(self.state, str):
            state = self.state
        else:
            state = self.state

        radius: int | None | Unset
        if isinstance(self.radius, Unset):
            radius = UNSET
        else:
            radius = self.radius

        filter_: dict[str, Any] | None | Unset
        if isinstance(self.filter_, Unset):
            filter_ = UNSET
        elif isinstance(self.filter_, WatchChangeFilterType0):
            filter_ = self.filter_.to_dict()
        else:
            filter_ = self.filter_

        from_case = self.from_case

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if name is not UNSET:
            field_dict["name"] = name
        if note is not UNSET:
            field_dict["note"] = note
        if state is not UNSET:
            field_dict["state"] = state
        if radius is not UNSET:
            field_dict["radius"] = radius
        if filter_ is not UNSET:
            field_dict["filter"] = filter_
        if from_case is not UNSET:
            field_dict["from_case"] = from_case

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.watch_change_filter_type_0 import WatchChangeFilterType0  # noqa: PLC0415

        d = dict(src_dict)

        def _parse_name(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        name = _parse_name(d.pop("name", UNSET))

        def _parse_note(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        note = _parse_note(d.pop("note", UNSET))

        def _parse_state(data: object) -> None | Unset | WatchState:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                state_type_0 = check_watch_state(data)

                return state_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | WatchState, data)

        state = _parse_state(d.pop("state", UNSET))

        def _parse_radius(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        radius = _parse_radius(d.pop("radius", UNSET))

        def _parse_filter_(data: object) -> None | Unset | WatchChangeFilterType0:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                filter_type_0 = WatchChangeFilterType0.from_dict(data)

                return filter_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Unset | WatchChangeFilterType0, data)

        filter_ = _parse_filter_(d.pop("filter", UNSET))

        from_case = d.pop("from_case", UNSET)

        watch_change = cls(
            name=name,
            note=note,
            state=state,
            radius=radius,
            filter_=filter_,
            from_case=from_case,
        )

        return watch_change
