"""What goes over the wire about decisions, and about deliveries to receivers."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from searcher.wire import ListedImage, shown_time
from searcher.workbench.decisions import DECIDED_IMAGES_MAX
from searcher.workbench.watch_records import DecidedImage, Decision, Delivery, DeliveryState
from searcher.workbench.wire import Name


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class NewDecision(_Wire):
    """What to decide about images that are relevant in a case; without `image_ids`, about all of them that no decision
    by the same policy stands for."""

    policy: Name
    reason: Annotated[str, Field(min_length=1, max_length=20_000)]
    image_ids: Annotated[list[str], Field(min_length=1, max_length=DECIDED_IMAGES_MAX)] | None = None


class Reversal(_Wire):
    """Why a decision is taken back."""

    reason: Annotated[str, Field(min_length=1, max_length=20_000)]


class ListedDecision(_Wire):
    """A decision, or with `reverses` the entry that takes one back. `images` counts those under it."""

    number: int
    decision_id: str
    case_id: str
    policy: str
    reason: str
    who: str
    at: str
    images: int
    reverses: str | None
    reversed_by: str | None

    @classmethod
    def listed(cls, decision: Decision) -> "ListedDecision":
        """The same as it is answered."""
        return cls(**_shown(decision))


class DecidedImageReply(_Wire):
    """An image under a decision, as it was when it was judged."""

    image_id: str
    encoder: str | None
    code: str | None
    image: ListedImage | None
    evidence: str | None

    @classmethod
    def of(cls, image: DecidedImage) -> "DecidedImageReply":
        """The same as it is answered."""
        return cls(
            image_id=image.image_id,
            encoder=image.encoder_id,
            code=None if image.code is None else image.code.hex(),
            image=None if image.image is None else ListedImage.model_validate_json(image.image),
            evidence=image.evidence,
        )


class DecisionReply(ListedDecision):
    """A decision with its images."""

    decided: list[DecidedImageReply]

    @classmethod
    def of(cls, decision: Decision, images: Sequence[DecidedImage]) -> "DecisionReply":
        """The same as it is answered."""
        return cls(**_shown(decision), decided=[DecidedImageReply.of(one) for one in images])


class DecisionsReply(_Wire):
    """Decisions, the newest first; `before` asks for older ones, null at the end."""

    decisions: list[ListedDecision]
    before: int | None

    @classmethod
    def page(cls, found: Sequence[Decision], count: int) -> "DecisionsReply":
        """A page of at most `count` of what was found for one more."""
        shown = [ListedDecision.listed(one) for one in found[:count]]
        return cls(decisions=shown, before=shown[-1].number if len(found) > count else None)


class DeliveryReply(_Wire):
    """An event on its way to a receiver. `tries` were made; `detail` says what went wrong last."""

    number: int
    event_id: str
    url: str
    state: DeliveryState
    tries: int
    due_at: str
    detail: str
    event: dict[str, Any]

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryReply":
        """The same as it is answered."""
        return cls(
            number=delivery.number,
            event_id=delivery.event_id,
            url=delivery.url,
            state=delivery.state,
            tries=delivery.tries,
            due_at=shown_time(delivery.due_at),
            detail=delivery.detail,
            event=json.loads(delivery.body),
        )


class DeliveriesReply(_Wire):
    """Deliveries, the newest first; `before` asks for older ones, null at the end."""

    deliveries: list[DeliveryReply]
    before: int | None


def _shown(decision: Decision) -> dict[str, Any]:
    return {
        "number": decision.number,
        "decision_id": decision.decision_id,
        "case_id": decision.case_id,
        "policy": decision.policy,
        "reason": decision.reason,
        "who": decision.who,
        "at": shown_time(decision.at),
        "images": decision.images,
        "reverses": decision.reverses,
        "reversed_by": decision.reversed_by,
    }
