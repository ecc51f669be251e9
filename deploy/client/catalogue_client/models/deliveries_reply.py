from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.delivery_reply import DeliveryReply


T = TypeVar("T", bound="DeliveriesReply")


@_attrs_define
class DeliveriesReply:
    """Deliveries, the newest first; `before` asks for older ones, null at the end."""

    deliveries: list[DeliveryReply]
    before: int | None

    def to_dict(self) -> dict[str, Any]:
        deliveries = []
        for deliveries_item_data in self.deliveries:
            deliveries_item = deliveries_item_data.to_dict()
            deliveries.append(deliveries_item)

        before: int | None
        before = self.before

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "deliveries": deliveries,
                "before": before,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.delivery_reply import DeliveryReply  # noqa: PLC0415

        d = dict(src_dict)
        deliveries = []
        _deliveries = d.pop("deliveries")
        for deliveries_item_data in _deliveries:
            deliveries_item = DeliveryReply.from_dict(deliveries_item_data)

            deliveries.append(deliveries_item)

        def _parse_before(data: object) -> int | None:
            if data is None:
                return data
            return cast(int | None, data)

        before = _parse_before(d.pop("before"))

        deliveries_reply = cls(
            deliveries=deliveries,
            before=before,
        )

        return deliveries_reply
