from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.delivery_state import DeliveryState, check_delivery_state

if TYPE_CHECKING:
    from ..models.delivery_reply_event import DeliveryReplyEvent


T = TypeVar("T", bound="DeliveryReply")


@_attrs_define
class DeliveryReply:
    """An event on its way to a receiver. `tries` were made; `detail` says what went wrong last."""

    number: int
    event_id: str
    url: str
    state: DeliveryState
    """ What became of an event for one receiver. """
    tries: int
    due_at: str
    detail: str
    event: DeliveryReplyEvent

    def to_dict(self) -> dict[str, Any]:
        number = self.number

        event_id = self.event_id

        url = self.url

        state: str = self.state

        tries = self.tries

        due_at = self.due_at

        detail = self.detail

        event = self.event.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "number": number,
                "event_id": event_id,
                "url": url,
                "state": state,
                "tries": tries,
                "due_at": due_at,
                "detail": detail,
                "event": event,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.delivery_reply_event import DeliveryReplyEvent  # noqa: PLC0415

        d = dict(src_dict)
        number = d.pop("number")

        event_id = d.pop("event_id")

        url = d.pop("url")

        state = check_delivery_state(d.pop("state"))

        tries = d.pop("tries")

        due_at = d.pop("due_at")

        detail = d.pop("detail")

        event = DeliveryReplyEvent.from_dict(d.pop("event"))

        delivery_reply = cls(
            number=number,
            event_id=event_id,
            url=url,
            state=state,
            tries=tries,
            due_at=due_at,
            detail=detail,
            event=event,
        )

        return delivery_reply
