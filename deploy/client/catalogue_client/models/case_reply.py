from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.case_state import CaseState, check_case_state

if TYPE_CHECKING:
    from ..models.case_seed_reply import CaseSeedReply
    from ..models.progress_reply import ProgressReply


T = TypeVar("T", bound="CaseReply")


@_attrs_define
class CaseReply:
    """A case."""

    case_id: str
    name: str
    note: str
    state: CaseState
    """ Whether a case is being worked on. """
    made_at: str
    changed_at: str
    progress: ProgressReply
    """ How many images of a case have which verdict. """
    seeds: list[CaseSeedReply]

    def to_dict(self) -> dict[str, Any]:
        case_id = self.case_id

        name = self.name

        note = self.note

        state: str = self.state

        made_at = self.made_at

        changed_at = self.changed_at

        progress = self.progress.to_dict()

        seeds = []
        for seeds_item_data in self.seeds:
            seeds_item = seeds_item_data.to_dict()
            seeds.append(seeds_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "case_id": case_id,
                "name": name,
                "note": note,
                "state": state,
                "made_at": made_at,
                "changed_at": changed_at,
                "progress": progress,
                "seeds": seeds,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.case_seed_reply import CaseSeedReply  # noqa: PLC0415
        from ..models.progress_reply import ProgressReply  # noqa: PLC0415

        d = dict(src_dict)
        case_id = d.pop("case_id")

        name = d.pop("name")

        note = d.pop("note")

        state = check_case_state(d.pop("state"))

        made_at = d.pop("made_at")

        changed_at = d.pop("changed_at")

        progress = ProgressReply.from_dict(d.pop("progress"))

        seeds = []
        _seeds = d.pop("seeds")
        for seeds_item_data in _seeds:
            seeds_item = CaseSeedReply.from_dict(seeds_item_data)

            seeds.append(seeds_item)

        case_reply = cls(
            case_id=case_id,
            name=name,
            note=note,
            state=state,
            made_at=made_at,
            changed_at=changed_at,
            progress=progress,
            seeds=seeds,
        )

        return case_reply
