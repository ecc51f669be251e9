from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.by import By, check_by
from ..models.same import Same, check_same

if TYPE_CHECKING:
    from ..models.run_reply_groups import RunReplyGroups


T = TypeVar("T", bound="RunReply")


@_attrs_define
class RunReply:
    """A run; its `state` is `running`, `done`, `failed`, or `lost` where its process ended.

    `images` were compared, `pairs` of them are within the radius, before what must match and differ is looked at.
    `groups` counts them by state. Of the images that are near very many others, and so left out, the first are named.

    """

    run_id: str
    same: Same
    """ What makes two pictures duplicates, and so which code is compared. """
    radius: int
    by: By
    """ What is grouped. """
    match: list[str]
    differ: list[str]
    encoder: str
    state: str
    who: str
    made_at: str
    stage: str
    done: int
    total: int
    images: int
    pairs: int
    held_back: list[str]
    held_back_images: int
    detail: str
    groups: RunReplyGroups

    def to_dict(self) -> dict[str, Any]:
        run_id = self.run_id

        same: str = self.same

        radius = self.radius

        by: str = self.by

        match = self.match

        differ = self.differ

        encoder = self.encoder

        state = self.state

        who = self.who

        made_at = self.made_at

        stage = self.stage

        done = self.done

        total = self.total

        images = self.images

        pairs = self.pairs

        held_back = self.held_back

        held_back_images = self.held_back_images

        detail = self.detail

        groups = self.groups.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "run_id": run_id,
                "same": same,
                "radius": radius,
                "by": by,
                "match": match,
                "differ": differ,
                "encoder": encoder,
                "state": state,
                "who": who,
                "made_at": made_at,
                "stage": stage,
                "done": done,
                "total": total,
                "images": images,
                "pairs": pairs,
                "held_back": held_back,
                "held_back_images": held_back_images,
                "detail": detail,
                "groups": groups,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.run_reply_groups import RunReplyGroups  # noqa: PLC0415

        d = dict(src_dict)
        run_id = d.pop("run_id")

        same = check_same(d.pop("same"))

        radius = d.pop("radius")

        by = check_by(d.pop("by"))

        match = cast(list[str], d.pop("match"))

        differ = cast(list[str], d.pop("differ"))

        encoder = d.pop("encoder")

        state = d.pop("state")

        who = d.pop("who")

        made_at = d.pop("made_at")

        stage = d.pop("stage")

        done = d.pop("done")

        total = d.pop("total")

        images = d.pop("images")

        pairs = d.pop("pairs")

        held_back = cast(list[str], d.pop("held_back"))

        held_back_images = d.pop("held_back_images")

        detail = d.pop("detail")

        groups = RunReplyGroups.from_dict(d.pop("groups"))

        run_reply = cls(
            run_id=run_id,
            same=same,
            radius=radius,
            by=by,
            match=match,
            differ=differ,
            encoder=encoder,
            state=state,
            who=who,
            made_at=made_at,
            stage=stage,
            done=done,
            total=total,
            images=images,
            pairs=pairs,
            held_back=held_back,
            held_back_images=held_back_images,
            detail=detail,
            groups=groups,
        )

        return run_reply
