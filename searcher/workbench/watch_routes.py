"""The HTTP API of watches and alerts."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from searcher.people import Analyst, Reader
from searcher.problems import PROBLEM_RESPONSE
from searcher.services import Provided
from searcher.workbench.watch_records import WatchState
from searcher.workbench.watch_wire import AlertsReply, NewWatchRequest, WatchChange, WatchesReply, WatchReply
from searcher.workbench.workbench import Workbench

_PAGE_MAX = 200
_ALERTS_MAX = 500
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: PROBLEM_RESPONSE | {"description": "There is no such watch or case."},
    422: PROBLEM_RESPONSE | {"description": "The request makes no sense, or a seed's picture can't be used."},
    503: PROBLEM_RESPONSE | {"description": "The workbench's database or the store is away; see Retry-After."},
}

router = APIRouter(tags=["watches"], responses=_PROBLEMS)


@router.post("/v1/watches", status_code=201)
async def open_watch(services: Provided, request: NewWatchRequest, who: Analyst) -> WatchReply:
    """Open a watch. It runs over the whole window at once, and every image written from now on is compared with it."""
    return await services.watchwork.open_watch(request, who)


@router.get("/v1/watches")
async def watches(
    services: Provided,
    who: Reader,
    *,
    state: Annotated[WatchState | None, Query()] = None,
    case_id: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = 50,
    cursor: Annotated[str | None, Query(max_length=2048, description="From the page before.")] = None,
) -> WatchesReply:
    """Watches with how they have done, the one changed last first, a page at a time."""
    return await services.watchwork.watches(state, case_id, cursor, limit)


@router.get("/v1/watches/{watch_id}")
async def watch(services: Provided, watch_id: str, who: Reader) -> WatchReply:
    """A watch, its precision so far, and a radius that its judgements speak for."""
    return await services.watchwork.watch(watch_id)


@router.patch("/v1/watches/{watch_id}")
async def change_watch(services: Provided, watch_id: str, request: WatchChange, who: Analyst) -> WatchReply:
    """Change a watch, pause it, let it go on, or end it for good."""
    return await services.watchwork.change_watch(watch_id, request, who)


@router.get("/v1/alerts")
async def alerts(
    services: Provided,
    who: Reader,
    *,
    watch_id: Annotated[str | None, Query(max_length=64, description="Only of this watch.")] = None,
    unjudged: Annotated[bool, Query(description="Only those without a verdict.")] = False,
    limit: Annotated[int, Query(ge=1, le=_ALERTS_MAX)] = 100,
    before: Annotated[int | None, Query(ge=0, le=2**63 - 1, description="Only with lower numbers.")] = None,
    after: Annotated[
        int | None, Query(ge=0, le=2**63 - 1, description="Only with higher numbers, for what is new.")
    ] = None,
) -> AlertsReply:
    """Alerts, the newest first, a page at a time. To follow them, ask again `after` the reply's `newest`.

    Judge them by `POST /v1/cases/{case_id}/judgements`, with their `case_id`.
    """

    def look(bench: Workbench) -> AlertsReply:
        # Asked for before the page, so that what comes in between is met again and not missed.
        newest = bench.alerts.newest()
        found = bench.alerts.alerts(limit + 1, watch_id=watch_id, unjudged=unjudged, before=before, after=after)
        if after is None:
            return AlertsReply.page(found, limit, newest)
        shown = found[:limit]
        return AlertsReply.page(shown[::-1], limit, shown[-1].number if shown else after)

    return await services.casework.desk.ask(look)
