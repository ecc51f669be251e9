from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.watch_reply import WatchReply


T = TypeVar("T", bound="WatchesReply")


@_attrs_define
class WatchesReply:
    """A page of watches, the one changed last first; `cursor` asks for the next page, null at the end."""

    watches: list[WatchReply]
    cursor: None | str

    def to_dict(self) -> dict[str, Any]:
        watches = []
        for watches_item_data in self.watches:
            watches_item = watches_item_data.to_dict()
            watches.append(watches_item)

        cursor: None | str
        cursor = self.cursor

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "watches": watches,
                "cursor": cursor,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.watch_reply import WatchReply  # noqa: PLC0415

        d = dict(src_dict)
        watches = []
        _watches = d.pop("watches")
        for watches_item_data in _watches:
            watches_item = WatchReply.from_dict(watches_item_data)

            watches.append(watches_item)

        def _parse_cursor(data: object) -> None | str:
            if data is None:
                return data
            return cast(None | str, data)

        cursor = _parse_cursor(d.pop("cursor"))

        watches_reply = cls(
            watches=watches,
            cursor=cursor,
        )

        return watches_reply
