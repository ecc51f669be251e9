from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.dead_letter_reply import DeadLetterReply


T = TypeVar("T", bound="ExplainReply")


@_attrs_define
class ExplainReply:
    """Where an image stands in a search. The numbers are null where the image can't be compared.

    `rank` is its place among all images that the filters let through, from 1. `equal_subcodes` are the places, from 0,
    of the 16-bit subcodes that it shares with the seed, of `subcodes` in all.

    """

    image_id: str
    verdict: str
    """ dead_lettered, not_indexed, deleted, expired, other_encoder, held_back, filtered, beyond_radius, cut_by_k or
    shown: the first that holds. """
    detail: str
    distance: int | None | Unset = UNSET
    rank: int | None | Unset = UNSET
    equal_subcodes: list[int] | None | Unset = UNSET
    subcodes: int | None | Unset = UNSET
    dead_letter: DeadLetterReply | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        from ..models.dead_letter_reply import DeadLetterReply  # noqa: PLC0415

        image_id = self.image_id

        verdict = self.verdict

        detail = self.detail

        distance: int | None | Unset
        if isinstance(self.distance, Unset):
            distance = UNSET
        else:
            distance = self.distance

        rank: int | None | Unset
        if isinstance(self.rank, Unset):
            rank = UNSET
        else:
            rank = self.rank

        equal_subcodes: list[int] | None | Unset
        if isinstance(self.equal_subcodes, Unset):
            equal_subcodes = UNSET
        elif isinstance(self.equal_subcodes, list):
            equal_subcodes = self.equal_subcodes

        else:
            equal_subcodes = self.equal_subcodes

        subcodes: int | None | Unset
        if isinstance(self.subcodes, Unset):
            subcodes = UNSET
        else:
            subcodes = self.subcodes

        dead_letter: dict[str, Any] | None | Unset
        if isinstance(self.dead_letter, Unset):
            dead_letter = UNSET
        elif isinstance(self.dead_letter, DeadLetterReply):
            dead_letter = self.dead_letter.to_dict()
        else:
            dead_letter = self.dead_letter

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "image_id": image_id,
                "verdict": verdict,
                "detail": detail,
            }
        )
        if distance is not UNSET:
            field_dict["distance"] = distance
        if rank is not UNSET:
            field_dict["rank"] = rank
        if equal_subcodes is not UNSET:
            field_dict["equal_subcodes"] = equal_subcodes
        if subcodes is not UNSET:
            field_dict["subcodes"] = subcodes
        if dead_letter is not UNSET:
            field_dict["dead_letter"] = dead_letter

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.dead_letter_reply import DeadLetterReply  # noqa: PLC0415

        d = dict(src_dict)
        image_id = d.pop("image_id")

        verdict = d.pop("verdict")

        detail = d.pop("detail")

        def _parse_distance(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        distance = _parse_distance(d.pop("distance", UNSET))

        def _parse_rank(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        rank = _parse_rank(d.pop("rank", UNSET))

        def _parse_equal_subcodes(data: object) -> list[int] | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                equal_subcodes_type_0 = cast(list[int], data)

                return equal_subcodes_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[int] | None | Unset, data)

        equal_subcodes = _parse_equal_subcodes(d.pop("equal_subcodes", UNSET))

        def _parse_subcodes(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        subcodes = _parse_subcodes(d.pop("subcodes", UNSET))

        def _parse_dead_letter(data: object) -> DeadLetterReply | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                dead_letter_type_0 = DeadLetterReply.from_dict(data)

                return dead_letter_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(DeadLetterReply | None | Unset, data)

        dead_letter = _parse_dead_letter(d.pop("dead_letter", UNSET))

        explain_reply = cls(
            image_id=image_id,
            verdict=verdict,
            detail=detail,
            distance=distance,
            rank=rank,
            equal_subcodes=equal_subcodes,
            subcodes=subcodes,
            dead_letter=dead_letter,
        )

        return explain_reply
