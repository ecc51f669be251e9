"""What goes over the wire about duplicates: questions and decisions as they are checked, runs and groups as told."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from searcher.duplicates.records import Action, By, Decision, Entry, Group, GroupState, Member, Question, Run, Same
from searcher.wire import shown_time
from shared.encoding.copy_code import COPY_RADIUS
from shared.hash_code import BITS_MAX

GROUPS_MAX = 200
_ATTRIBUTES_MAX = 8
_MEMBERS_MAX = 10_000
_HELD_BACK_SHOWN = 100
# A run that nobody heard of for so long ended with its process.
_LOST_AFTER = timedelta(minutes=10)
# Of the embedding's codes: the share of the bits that pictures of one article may differ in.
_ARTICLE_RADIUS_SHARE = 1 / 8

Attribute = Annotated[str, Field(min_length=1, max_length=200)]
ImageId = Annotated[str, Field(min_length=1, max_length=512)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class QuestionRequest(_Wire):
    """What to look for. A pair is equal in all attributes of `match` and differs in all of `differ`.

    Without a radius: 31 bits for `photo`, an eighth of the encoder's bits for `article`.
    """

    same: Same = Same.PHOTO
    radius: Annotated[int, Field(ge=0, le=BITS_MAX)] | None = None
    by: By = By.IMAGE
    match: Annotated[list[Attribute], Field(max_length=_ATTRIBUTES_MAX)] = []
    differ: Annotated[list[Attribute], Field(max_length=_ATTRIBUTES_MAX)] = []

    def question(self, bits: int) -> Question:
        """The question of codes with so many bits."""
        usual = COPY_RADIUS if self.same is Same.PHOTO else int(bits * _ARTICLE_RADIUS_SHARE)
        return Question(
            self.same, min(bits, usual if self.radius is None else self.radius), self.by, self.match, self.differ
        )


class RunReply(_Wire):
    """A run; its `state` is `running`, `done`, `failed`, or `lost` where its process ended.

    `images` were compared, `pairs` of them are within the radius, before what must match and differ is looked at.
    `groups` counts them by state. Of the images that are near very many others, and so left out, the first are named.
    """

    run_id: str
    same: Same
    radius: int
    by: By
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
    groups: dict[GroupState, int]

    @classmethod
    def of(cls, run: Run, now: datetime) -> "RunReply":
        """The same as it is answered."""
        asked = run.question
        lost = run.state == "running" and now - run.heard_at > _LOST_AFTER
        return cls(
            run_id=run.run_id,
            same=asked.same,
            radius=asked.radius,
            by=asked.by,
            match=list(asked.match),
            differ=list(asked.differ),
            encoder=run.encoder,
            state="lost" if lost else run.state.value,
            who=run.who,
            made_at=shown_time(run.made_at),
            stage=run.stage,
            done=run.done,
            total=run.total,
            images=run.images,
            pairs=run.pairs,
            held_back=list(run.held_back[:_HELD_BACK_SHOWN]),
            held_back_images=len(run.held_back),
            detail=run.detail,
            groups=dict(run.groups),
        )


class RunsReply(_Wire):
    """The last runs, the newest first."""

    runs: list[RunReply]


class MemberReply(_Wire):
    """An image of a group as it was found; `distance` in bits from the group's first one."""

    image_id: str
    item_id: str
    distance: int
    image_url: str | None
    attributes: Mapping[str, Any]

    @classmethod
    def of(cls, member: Member) -> "MemberReply":
        """The same as it is answered."""
        return cls(
            image_id=member.image_id,
            item_id=member.item_id,
            distance=member.distance,
            image_url=member.image_url,
            attributes=member.attributes,
        )


class GroupReply(_Wire):
    """A group. `diameter` is the largest distance of two of its images; above the radius the group is `loose`."""

    group_id: int
    state: GroupState
    kept: str | None
    diameter: int
    loose: bool
    members: list[MemberReply]

    @classmethod
    def of(cls, group: Group) -> "GroupReply":
        """The same as it is answered."""
        return cls(
            group_id=group.group_id,
            state=group.state,
            kept=group.kept,
            diameter=group.diameter,
            loose=group.loose,
            members=[MemberReply.of(member) for member in group.members],
        )


class GroupsReply(_Wire):
    """A page of groups, and the number to go on `after`; null at the end."""

    groups: list[GroupReply]
    after: int | None

    @classmethod
    def page(cls, found: Sequence[Group], count: int) -> "GroupsReply":
        """A page of at most `count` of what was found for one more."""
        shown = [GroupReply.of(one) for one in found[:count]]
        return cls(groups=shown, after=shown[-1].group_id if len(found) > count else None)


class DecisionRequest(_Wire):
    """What is decided of a group: `keep` names the one image that stays, `split` those that leave into a new group,
    `merge` the groups whose images join this one. `dismiss`: no duplicates. `reopen` takes either back.
    """

    action: Action
    image_ids: Annotated[list[ImageId], Field(max_length=_MEMBERS_MAX)] = []
    groups: Annotated[list[int], Field(max_length=GROUPS_MAX)] = []

    @property
    def decision(self) -> Decision:
        """The same as it is kept."""
        return Decision(self.action, self.image_ids, self.groups)


class ChangedGroupsReply(_Wire):
    """The groups that a decision changed, the one that it was about first."""

    groups: list[GroupReply]


class EntryReply(_Wire):
    """A decision as it was written down."""

    number: int
    group_id: int
    action: Action
    image_ids: list[str]
    groups: list[int]
    who: str
    at: str

    @classmethod
    def of(cls, entry: Entry) -> "EntryReply":
        """The same as it is answered."""
        return cls(
            number=entry.number,
            group_id=entry.group_id,
            action=entry.decision.action,
            image_ids=list(entry.decision.image_ids),
            groups=list(entry.decision.groups),
            who=entry.who,
            at=shown_time(entry.at),
        )


class EntriesReply(_Wire):
    """Decisions in order, and the number to go on `after`; null at the end."""

    decisions: list[EntryReply]
    after: int | None
