from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.verdict import Verdict, check_verdict
from ..types import UNSET, Unset

T = TypeVar("T", bound="JudgedImage")


@_attrs_define
class JudgedImage:
    """A verdict on an image; `rank` (from 1) and `distance` are those of the search that showed it."""

    image_id: str
    verdict: Verdict
    """ What an analyst says of an image; WITHDRAWN takes back what was said before. """
    rank: int | None | Unset = UNSET
    distance: int | None | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        image_id = self.image_id

        verdict: str = self.verdict

        rank: int | None | Unset
        if isinstance(self.rank, Unset):
            rank = UNSET
        else:
            rank = self.rank

        distance: int | None | Unset
        if isinstance(self.distance, Unset):
            distance = UNSET
        else:
            distance = self.distance

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "image_id": image_id,
                "verdict": verdict,
            }
        )
        if rank is not UNSET:
            field_dict["rank"] = rank
        if distance is not UNSET:
            field_dict["distance"] = distance

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        image_id = d.pop("image_id")

        verdict = check_verdict(d.pop("verdict"))

        def _parse_rank(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        rank = _parse_rank(d.pop("rank", UNSET))

        def _parse_distance(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        distance = _parse_distance(d.pop("distance", UNSET))

        judged_image = cls(
            image_id=image_id,
            verdict=verdict,
            rank=rank,
            distance=distance,
        )

        return judged_image
