from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.verdict import Verdict, check_verdict

if TYPE_CHECKING:
    from ..models.judgement_reply_image_type_0 import JudgementReplyImageType0
    from ..models.judgement_reply_search_type_0 import JudgementReplySearchType0


T = TypeVar("T", bound="JudgementReply")


@_attrs_define
class JudgementReply:
    """An entry of the ledger. `image` is the image as it was when it was judged, `evidence` its thumbnail's digest."""

    number: int
    case_id: str
    image_id: str
    verdict: Verdict
    """ What an analyst says of an image; WITHDRAWN takes back what was said before. """
    who: str
    at: str
    rank: int | None
    distance: int | None
    encoder: None | str
    search: JudgementReplySearchType0 | None
    image: JudgementReplyImageType0 | None
    evidence: None | str

    def to_dict(self) -> dict[str, Any]:
        from ..models.judgement_reply_image_type_0 import JudgementReplyImageType0  # noqa: PLC0415
        from ..models.judgement_reply_search_type_0 import JudgementReplySearchType0  # noqa: PLC0415

        number = self.number

        case_id = self.case_id

        image_id = self.image_id

        verdict: str = self.verdict

        who = self.who

        at = self.at

        rank: int | None
        rank = self.rank

        distance: int | None
        distance = self.distance

        encoder: None | str
        encoder = self.encoder

        search: dict[str, Any] | None
        if isinstance(self.search, JudgementReplySearchType0):
            search = self.search.to_dict()
        else:
            search = self.search

        image: dict[str, Any] | None
        if isinstance(self.image, JudgementReplyImageType0):
            image = self.image.to_dict()
        else:
            image = self.image

        evidence: None | str
        evidence = self.evidence

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "number": number,
                "case_id": case_id,
                "image_id": image_id,
                "verdict": verdict,
                "who": who,
                "at": at,
                "rank": rank,
                "distance": distance,
                "encoder": encoder,
                "search": search,
                "image": image,
                "evidence": evidence,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.judgement_reply_image_type_0 import JudgementReplyImageType0  # noqa: PLC0415
        from ..models.judgement_reply_search_type_0 import JudgementReplySearchType0  # noqa: PLC0415

        d = dict(src_dict)
        number = d.pop("number")

        case_id = d.pop("case_id")

        image_id = d.pop("image_id")

        verdict = check_verdict(d.pop("verdict"))

        who = d.pop("who")

        at = d.pop("at")

        def _parse_rank(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        rank = _parse_rank(d.pop("rank"))

        def _parse_distance(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        distance = _parse_distance(d.pop("distance"))

        def _parse_encoder(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        encoder = _parse_encoder(d.pop("encoder"))

        def _parse_search(data: object) -> JudgementReplySearchType0 | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                search_type_0 = JudgementReplySearchType0.from_dict(data)

                return search_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(JudgementReplySearchType0 | None, data)

        search = _parse_search(d.pop("search"))

        def _parse_image(data: object) -> JudgementReplyImageType0 | None:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                image_type_0 = JudgementReplyImageType0.from_dict(data)

                return image_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(JudgementReplyImageType0 | None, data)

        image = _parse_image(d.pop("image"))

        def _parse_evidence(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        evidence = _parse_evidence(d.pop("evidence"))

        judgement_reply = cls(
            number=number,
            case_id=case_id,
            image_id=image_id,
            verdict=verdict,
            who=who,
            at=at,
            rank=rank,
            distance=distance,
            encoder=encoder,
            search=search,
            image=image,
            evidence=evidence,
        )

        return judgement_reply
