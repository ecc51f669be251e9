from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.hit import Hit
    from ..models.progress_reply import ProgressReply


T = TypeVar("T", bound="NextReply")


@_attrs_define
class NextReply:
    """Images that nobody has judged in this case, most promising first; `distance` is that to the nearest relevant one.

    `left_out` counts seeds and judged images that could not be used: they have no code of the active encoder any more.

    """

    encoder: str
    hits: list[Hit]
    as_of: str
    progress: ProgressReply
    """ How many images of a case have which verdict. """
    left_out: int

    def to_dict(self) -> dict[str, Any]:
        encoder = self.encoder

        hits = []
        for hits_item_data in self.hits:
            hits_item = hits_item_data.to_dict()
            hits.append(hits_item)

        as_of = self.as_of

        progress = self.progress.to_dict()

        left_out = self.left_out

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "encoder": encoder,
                "hits": hits,
                "as_of": as_of,
                "progress": progress,
                "left_out": left_out,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.hit import Hit  # noqa: PLC0415
        from ..models.progress_reply import ProgressReply  # noqa: PLC0415

        d = dict(src_dict)
        encoder = d.pop("encoder")

        hits = []
        _hits = d.pop("hits")
        for hits_item_data in _hits:
            hits_item = Hit.from_dict(hits_item_data)

            hits.append(hits_item)

        as_of = d.pop("as_of")

        progress = ProgressReply.from_dict(d.pop("progress"))

        left_out = d.pop("left_out")

        next_reply = cls(
            encoder=encoder,
            hits=hits,
            as_of=as_of,
            progress=progress,
            left_out=left_out,
        )

        return next_reply
