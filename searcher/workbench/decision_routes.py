"""The HTTP API of decisions, and of what became of them and of alerts on the way to receivers."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from searcher.people import Administrator, Analyst, Reader
from searcher.problems import PROBLEM_RESPONSE
from searcher.services import Provided
from searcher.workbench.decision_wire import (
    DecisionReply,
    DecisionsReply,
    DeliveriesReply,
    DeliveryReply,
    ListedDecision,
    NewDecision,
    Reversal,
)
from searcher.workbench.watch_records import DeliveryState

_PAGE_MAX = 200
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: PROBLEM_RESPONSE | {"description": "There is no such case, decision or delivery."},
    422: PROBLEM_RESPONSE | {"description": "The request makes no sense, or there is nothing to decide or reverse."},
    503: PROBLEM_RESPONSE | {"description": "The workbench's database is away; see Retry-After."},
}
_Number = Annotated[int | None, Query(ge=0, le=2**63 - 1, description="Only with lower numbers, from the page before.")]
_Limit = Annotated[int, Query(ge=1, le=_PAGE_MAX)]

router = APIRouter(tags=["decisions"], responses=_PROBLEMS)


@router.post("/v1/cases/{case_id}/decisions", status_code=201)
async def decide(services: Provided, case_id: str, request: NewDecision, who: Analyst) -> ListedDecision:
    """Decide about images that are relevant in the case. The decision goes out as an event and to all receivers."""
    ask = services.casework.desk.ask
    return ListedDecision.listed(
        await ask(lambda bench: bench.decisions.decide(case_id, request.policy, request.reason, request.image_ids, who))
    )


@router.post("/v1/decisions/{decision_id}/reversal", status_code=201)
async def reverse(services: Provided, decision_id: str, request: Reversal, who: Analyst) -> ListedDecision:
    """Take a decision back; gives the entry that does so, which goes out as the decision did."""
    ask = services.casework.desk.ask
    return ListedDecision.listed(await ask(lambda bench: bench.decisions.reverse(decision_id, request.reason, who)))


@router.get("/v1/decisions")
async def decisions(
    services: Provided,
    who: Reader,
    case_id: Annotated[str | None, Query(max_length=64, description="Only of this case.")] = None,
    limit: _Limit = 50,
    before: _Number = None,
) -> DecisionsReply:
    """Decisions and reversals, the newest first, a page at a time."""
    ask = services.casework.desk.ask
    return DecisionsReply.page(await ask(lambda bench: bench.decisions.decisions(case_id, before, limit + 1)), limit)


@router.get("/v1/decisions/{decision_id}")
async def decision(services: Provided, decision_id: str, who: Reader) -> DecisionReply:
    """A decision with the images under it."""
    found, images = await services.casework.desk.ask(lambda bench: bench.decisions.decision(decision_id))
    return DecisionReply.of(found, images)


@router.get("/v1/deliveries")
async def deliveries(
    services: Provided,
    who: Administrator,
    state: Annotated[DeliveryState | None, Query()] = None,
    limit: _Limit = 50,
    before: _Number = None,
) -> DeliveriesReply:
    """What is on its way to receivers, has arrived, or was given up, the newest first."""
    found = await services.casework.desk.ask(lambda bench: bench.outbox.deliveries(state, before, limit + 1))
    shown = [DeliveryReply.of(one) for one in found[:limit]]
    return DeliveriesReply(deliveries=shown, before=shown[-1].number if len(found) > limit else None)


@router.post("/v1/deliveries/{number}/again", status_code=204)
async def deliver_again(services: Provided, number: int, who: Administrator) -> None:
    """Have a delivery tried anew, from the first try on."""
    await services.casework.desk.ask(lambda bench: bench.outbox.deliver_again(number))
