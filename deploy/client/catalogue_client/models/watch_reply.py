from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.watch_state import WatchState, check_watch_state

if TYPE_CHECKING:
    from ..models.precision_reply import PrecisionReply
    from ..models.watch_reply_filter import WatchReplyFilter


T = TypeVar("T", bound="WatchReply")


@_attrs_define
class WatchReply:
    """A watch and how it has done."""

    watch_id: str
    case_id: str
    name: str
    note: str
    state: WatchState
    """ Whether images are compared with a watch. An ended one stays ended. """
    encoder: str
    codes: list[str]
    radius: int
    filter_: WatchReplyFilter
    revision: int
    ran: bool
    """ Whether it has been run over the whole window as it is now. """
    made_at: str
    changed_at: str
    alerts: int
    alerts_today: int
    """ Raised since midnight, UTC. """
    unjudged: int
    relevant: int
    """ Images with alerts that are relevant in the watch's case. """
    not_relevant: int
    precision: None | PrecisionReply
    suggested_radius: int | None
    """ The largest at which four of five images judged in the case are relevant; null with fewer than ten of these.
    """

    def to_dict(self) -> dict[str, Any]:
        from ..models.precision_reply import PrecisionReply  # noqa: PLC0415

        watch_id = self.watch_id

        case_id = self.case_id

        name = self.name

        note = self.note

        state: str = self.state

        encoder = self.encoder

        codes = self.codes

        radius = self.radius

        filter_ = self.filter_.to_dict()

        revision = self.revision

        ran = self.ran

        made_at = self.made_at

        changed_at = self.changed_at

        alerts = self.alerts

        alerts_today = self.alerts_today

        unjudged = self.unjudged

        relevant = self.relevant

        not_relevant = self.not_relevant

        precision: dict[str, Any] | None
        if isinstance(self.precision, PrecisionReply):
            precision = self.precision.to_dict()
        else:
            precision = self.precision

        suggested_radius: int | None
        suggested_radius = self.suggested_radius

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "watch_id": watch_id,
                "case_id": case_id,
                "name": name,
                "note": note,
                "state": state,
                "encoder": encoder,
                "codes": codes,
                "radius": radius,
                "filter": filter_,
                "revision": revision,
                "ran": ran,
                "made_at": made_at,
                "changed_at": changed_at,
                "alerts": alerts,
                "alerts_today": alerts_today,
                "unjudged": unjudged,
                "relevant": relevant,
                "not_relevant": not_relevant,
                "precision": precision,
                "suggested_radius": suggested_radius,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.precision_reply import PrecisionReply  # noqa: PLC0415
        from ..models.watch_reply_filter import WatchReplyFilter  # noqa: PLC0415

        d = dict(src_dict)
        watch_id = d.pop("watch_id")

        case_id = d.pop("case_id")

        name = d.pop("name")

        note = d.pop("note")

        state = check_watch_state(d.pop("state"))

        encoder = d.pop("encoder")

        codes = cast(list[str], d.pop("codes"))

        radius = d.pop("radius")

        filter_ = WatchReplyFilter.from_dict(d.pop("filter"))

        revision = d.pop("revision")

        ran = d.pop("ran")

        made_at = d.pop("made_at")

        changed_at = d.pop("changed_at")

        alerts = d.pop("alerts")

        alerts_today = d.pop("alerts_today")

        unjudged = d.pop("unjudged")

        relevant = d.pop("relevant")

        not_relevant = d.pop("not_relevant")

        def _parse_precision(data: object) -> None | PrecisionReply:
            if data is None:
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                precision_type_0 = PrecisionReply.from_dict(data)

                return precision_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | PrecisionReply, data)

        precision = _parse_precision(d.pop("precision"))

        def _parse_suggested_radius(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        suggested_radius = _parse_suggested_radius(d.pop("suggested_radius"))

        watch_reply = cls(
            watch_id=watch_id,
            case_id=case_id,
            name=name,
            note=note,
            state=state,
            encoder=encoder,
            codes=codes,
            radius=radius,
            filter_=filter_,
            revision=revision,
            ran=ran,
            made_at=made_at,
            changed_at=changed_at,
            alerts=alerts,
            alerts_today=alerts_today,
            unjudged=unjudged,
            relevant=relevant,
            not_relevant=not_relevant,
            precision=precision,
            suggested_radius=suggested_radius,
        )

        return watch_reply
