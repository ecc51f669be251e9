from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.left_reply import LeftReply
    from ..models.stratum_reply import StratumReply


T = TypeVar("T", bound="EstimateReply")


@_attrs_define
class EstimateReply:
    """What the last sample tells. `left`, `recall_low` and `strata` are null until all of it is judged.

    `relevant` and `unsure` are of the sample, `gone` those that were deleted or left the window before they were
    judged. `found` counts the case's relevant images. `words` say the same as sentences.

    """

    sample_id: str
    drawn_at: str
    drawn_before: int
    images: int
    drawn: int
    judged: int
    gone: int
    relevant: int
    unsure: int
    found: int
    confidence: float
    left: LeftReply | None
    recall_low: float | None
    """ At least this share of all relevant images is found. """
    strata: list[StratumReply] | None
    words: list[str]

    def to_dict(self) -> dict[str, Any]:
        from ..models.left_reply import LeftReply  # noqa: PLC0415

        sample_id = self.sample_id

        drawn_at = self.drawn_at

        drawn_before = self.drawn_before

        images = self.images

        drawn = self.drawn

        judged = self.judged

        gone = self.gone

        relevant = self.relevant

        unsure = self.unsure

        found = self.found

        confidence = self.confidence

        left: dict[str, Any] | None
        if isinstance(self.left, LeftReply):
            left = self.left.to_dict()
        else:
            left = self.left

        recall_low: float | None
        recall_low = self.recall_low

        strata: list[dict[str, Any]] | None
        if isinstance(self.strata, list):
            strata = []
            for strata_type_0_item_data in self.strata:
                strata_type_0_item = strata_type_0_item_data.to_dict()
                strata.append(strata_type_0_item)

        else:
            strata = self.strata

        words = self.words

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "sample_id": sample_id,
                "drawn_at": drawn_at,
                "drawn_before": drawn_before,
                "images": images,
                "drawn": drawn,
                "judged": judged,
                "gone": gone,
                "relevant": relevant,
                "unsure": unsure,
                "found": found,
                "confidence": confidence,
                "left": left,
                "recall_low": recall_low,
                "strata": strata,
                "words": words,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.left_reply import LeftReply  # noqa: PLC0415
        from ..models.stratum_reply import StratumReply  # noqa: PLC0415

        d = dict(src_dict)
        sample_id = d.pop("sample_id")

        drawn_at = d.pop("drawn_at")

        drawn_before = d.pop("drawn_before")

        images = d.pop("images")

        drawn = d.pop("drawn")

        judged = d.pop("judged")

        gone = d.pop("gone")

        relevant = d.pop("relevant")

        unsure = d.pop("unsure")

        found = d.pop("found")

        confidence = d.pop("confidence")

        def _parse_left(data: object) -> LeftReply | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                left_type_0 = LeftReply.from_dict(data)

                return left_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(LeftReply | None, data)

        left = _parse_left(d.pop("left"))

        def _parse_recall_low(data: object) -> float | None:
            if data is None:
                return data
            return cast(float | None, data)

        recall_low = _parse_recall_low(d.pop("recall_low"))

        def _parse_strata(data: object) -> list[StratumReply] | None:
            if data is None:
                return data
            try:
                if not isinstance(data, list):
                    raise TypeError()
                strata_type_0 = []
                _strata_type_0 = data
                for strata_type_0_item_data in _strata_type_0:
                    strata_type_0_item = StratumReply.from_dict(strata_type_0_item_data)

                    strata_type_0.append(strata_type_0_item)

                return strata_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(list[StratumReply] | None, data)

        strata = _parse_strata(d.pop("strata"))

        words = cast(list[str], d.pop("words"))

        estimate_reply = cls(
            sample_id=sample_id,
            drawn_at=drawn_at,
            drawn_before=drawn_before,
            images=images,
            drawn=drawn,
            judged=judged,
            gone=gone,
            relevant=relevant,
            unsure=unsure,
            found=found,
            confidence=confidence,
            left=left,
            recall_low=recall_low,
            strata=strata,
            words=words,
        )

        return estimate_reply
