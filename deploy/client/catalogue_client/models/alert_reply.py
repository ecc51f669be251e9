from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.verdict import Verdict, check_verdict

if TYPE_CHECKING:
    from ..models.listed_image import ListedImage


T = TypeVar("T", bound="AlertReply")


@_attrs_define
class AlertReply:
    """A match of a watch, raised once. It is judged in the watch's case; `verdict` is the last one there."""

    number: int
    alert_id: str
    watch_id: str
    watch_name: str
    case_id: str
    image: ListedImage
    """ An image of the catalogue. """
    version: int
    distance: int
    encoder: str
    code: str
    raised_at: str
    verdict: None | Verdict

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        alert_id = self.alert_id

        watch_id = self.watch_id

        watch_name = self.watch_name

        case_id = self.case_id

        image = self.image.to_dict()

        version = self.version

        distance = self.distance

        encoder = self.encoder

        code = self.code

        raised_at = self.raised_at

        verdict: None | str
        if isinstance(self.verdict, str):
            verdict = self.verdict
        else:
            verdict = self.verdict

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "number": number,
                "alert_id": alert_id,
                "watch_id": watch_id,
                "watch_name": watch_name,
                "case_id": case_id,
                "image": image,
                "version": version,
                "distance": distance,
                "encoder": encoder,
                "code": code,
                "raised_at": raised_at,
                "verdict": verdict,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.listed_image import ListedImage  # noqa: PLC0415

        d = dict(src_dict)
        number = d.pop("number")

        alert_id = d.pop("alert_id")

        watch_id = d.pop("watch_id")

        watch_name = d.pop("watch_name")

        case_id = d.pop("case_id")

        image = ListedImage.from_dict(d.pop("image"))

        version = d.pop("version")

        distance = d.pop("distance")

        encoder = d.pop("encoder")

        code = d.pop("code")

        raised_at = d.pop("raised_at")

        def _parse_verdict(data: object) -> None | Verdict:
            if data is None:
                return data
            try:
                if not isinstance(data, str):
                    raise TypeError()
                verdict_type_0 = check_verdict(data)

                return verdict_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Verdict, data)

        verdict = _parse_verdict(d.pop("verdict"))

        alert_reply = cls(
            number=number,
            alert_id=alert_id,
            watch_id=watch_id,
            watch_name=watch_name,
            case_id=case_id,
            image=image,
            version=version,
            distance=distance,
            encoder=encoder,
            code=code,
            raised_at=raised_at,
            verdict=verdict,
        )

        return alert_reply
