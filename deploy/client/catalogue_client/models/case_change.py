from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.case_state import CaseState, check_case_state
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.seed import Seed


T = TypeVar("T", bound="CaseChange")


@_attrs_define
class CaseChange:
    """What to change of a case; what is not named stays. `seeds` are added to those that there are."""

    name: None | str | Unset = UNSET
    note: None | str | Unset = UNSET
    state: CaseState | None | Unset = UNSET
    seeds: list[Seed] | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
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

        seeds: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.seeds, Unset):
            seeds = []
            for seeds_item_data in self.seeds:
                seeds_item = seeds_item_data.to_dict()
                seeds.append(seeds_item)

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if name is not UNSET:
            field_dict["name"] = name
        if note is not UNSET:
            field_dict["note"] = note
        if state is not UNSET:
            field_dict["state"] = state
        if seeds is not UNSET:
            field_dict["seeds"] = seeds

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.seed import Seed  # noqa: PLC0415

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

        def _parse_state(data: object) -> CaseState | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                state_type_0 = check_case_state(data)

                return state_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(CaseState | None | Unset, data)

        state = _parse_state(d.pop("state", UNSET))

        _seeds = d.pop("seeds", UNSET)
        seeds: list[Seed] | Unset = UNSET
        if _seeds is not UNSET:
            seeds = []
            for seeds_item_data in _seeds:
                seeds_item = Seed.from_dict(seeds_item_data)

                seeds.append(seeds_item)

        case_change = cls(
            name=name,
            note=note,
            state=state,
            seeds=seeds,
        )

        return case_change
