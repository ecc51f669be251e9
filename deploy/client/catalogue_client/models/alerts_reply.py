from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.alert_reply import AlertReply


T = TypeVar("T", bound="AlertsReply")


@_attrs_define
class AlertsReply:
    """Alerts. `before` asks for those behind these, null at the end; `newest` for those that come `after` all these."""

    alerts: list[AlertReply]
    before: int | None
    newest: int

    def to_dict(self) -> dict[str, Any]:
        alerts = []
        for alerts_item_data in self.alerts:
            alerts_item = alerts_item_data.to_dict()
            alerts.append(alerts_item)

        before: int | None
        before = self.before

        newest = self.newest

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "alerts": alerts,
                "before": before,
                "newest": newest,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.alert_reply import AlertReply  # noqa: PLC0415

        d = dict(src_dict)
        alerts = []
        _alerts = d.pop("alerts")
        for alerts_item_data in _alerts:
            alerts_item = AlertReply.from_dict(alerts_item_data)

            alerts.append(alerts_item)

        def _parse_before(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        before = _parse_before(d.pop("before"))

        newest = d.pop("newest")

        alerts_reply = cls(
            alerts=alerts,
            before=before,
            newest=newest,
        )

        return alerts_reply
