from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.problem_document import ProblemDocument
    from ..models.search_reply import SearchReply


T = TypeVar("T", bound="BatchReply")


@_attrs_define
class BatchReply:
    """An answer for each query, in their order: a reply, or the problem that the query alone would have met."""

    replies: list[ProblemDocument | SearchReply]

    def to_dict(self) -> dict[str, Any]:
        from ..models.search_reply import SearchReply  # noqa: PLC0415

        replies = []
        for replies_item_data in self.replies:
            replies_item: dict[str, Any]
            if isinstance(replies_item_data, SearchReply):
                replies_item = replies_item_data.to_dict()
            else:
                replies_item = replies_item_data.to_dict()

            replies.append(replies_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "replies": replies,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.problem_document import ProblemDocument  # noqa: PLC0415
        from ..models.search_reply import SearchReply  # noqa: PLC0415

        d = dict(src_dict)
        replies = []
        _replies = d.pop("replies")
        for replies_item_data in _replies:

            def _parse_replies_item(data: object) -> ProblemDocument | SearchReply:
                try:
                    if not isinstance(data, dict):
                        raise TypeError()
                    replies_item_type_0 = SearchReply.from_dict(data)

                    return replies_item_type_0
                except (TypeError, ValueError, AttributeError, KeyError):
                    pass
                if not isinstance(data, dict):
                    raise TypeError()
                replies_item_type_1 = ProblemDocument.from_dict(data)

                return replies_item_type_1

            replies_item = _parse_replies_item(replies_item_data)

            replies.append(replies_item)

        batch_reply = cls(
            replies=replies,
        )

        return batch_reply
