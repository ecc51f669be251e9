"""The pages of watches, alerts and decisions. Everything works by links and forms; scripts add keys and what is new."""

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError

from searcher.page.rendering import render
from searcher.page.watching_view import AlertCard, AlertLinks, read_filter
from searcher.people import Analyst, Reader
from searcher.problems import Problem, problem_of, problem_of_fields
from searcher.services import Provided, Services
from searcher.workbench.decision_wire import NewDecision, Reversal
from searcher.workbench.watch_records import WatchState
from searcher.workbench.watch_wire import AlertsReply, NewWatchRequest, WatchChange, WatchReply
from searcher.workbench.wire import JudgedImage, JudgeRequest
from searcher.workbench.workbench import Workbench
from shared.errors import CatalogueError, QueryInvalidError

_WATCHES_SHOWN = 50
_ALERTS_SHOWN = 60
_FIELDS_MAX = 1000
_REFUSED = (CatalogueError, ValidationError)

router = APIRouter(include_in_schema=False)


@router.get("/watches")
async def watches(
    services: Provided,
    _: Reader,
    state: WatchState | None = None,
    cursor: Annotated[str | None, Query(max_length=2048)] = None,
) -> Response:
    """All watches, the one changed last first."""
    try:
        page = await services.watchwork.watches(state, None, cursor, _WATCHES_SHOWN)
    except CatalogueError as error:
        return await _refusal(error)
    shown: dict[str, Any] = {"watches": page.watches, "cursor": page.cursor, "state": state}
    return HTMLResponse(await asyncio.to_thread(render, "watches.html", states=list(WatchState), problem=None, **shown))


@router.post("/cases/{case_id}/watches")
async def open_watch(services: Provided, request: Request, case_id: str, who: Analyst) -> Response:
    """Watch for what a case is about."""
    fields = await _fields(request)
    try:
        fields |= {"case_id": case_id, "filter": read_filter(str(fields.pop("filter", "")))}
        await services.watchwork.open_watch(NewWatchRequest.model_validate(fields), who)
    except _REFUSED as error:
        return await _refusal(error)
    return RedirectResponse(f"/cases/{case_id}#watches", 303)


@router.post("/watches/{watch_id}")
async def change_watch(services: Provided, request: Request, watch_id: str, who: Analyst) -> Response:
    """Change a watch's radius or state, or have it watch for what its case found relevant by now."""
    try:
        await services.watchwork.change_watch(watch_id, WatchChange.model_validate(await _fields(request)), who)
    except _REFUSED as error:
        return await _refusal(error)
    return RedirectResponse("/watches", 303)


@router.get("/alerts")
async def alerts(
    services: Provided,
    _: Reader,
    *,
    watch_id: Annotated[str | None, Query(max_length=64)] = None,
    show: str = "",
    before: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
) -> Response:
    """Alerts, the newest first: those to judge, or all."""
    unjudged = show != "all"
    try:
        watch = None if not watch_id else await services.watchwork.watch(watch_id)
        found = await _alerts(services, watch, before, unjudged=unjudged)
    except CatalogueError as error:
        return await _refusal(error)
    shown: dict[str, Any] = {"watch": watch, "unjudged": unjudged, "newest": found.newest, "problem": None}
    links = AlertLinks.of(watch_id, unjudged=unjudged, before=found.before)
    cards = [AlertCard.of(alert) for alert in found.alerts]
    return HTMLResponse(await asyncio.to_thread(render, "alerts.html", cards=cards, links=links, **shown))


@router.post("/alerts")
async def judge_alerts(services: Provided, request: Request, who: Analyst) -> Response:
    """Save judgements, where there is no script to do it."""
    fields = await _fields(request)
    try:
        for case_id, judgements in _judgements(fields).items():
            await services.casework.judge(case_id, JudgeRequest(judgements=judgements), who)
    except _REFUSED as error:
        return await _refusal(error)
    return RedirectResponse(f"/alerts?{request.url.query}", 303)


@router.post("/cases/{case_id}/decisions")
async def decide(services: Provided, request: Request, case_id: str, who: Analyst) -> Response:
    """Decide about a case's relevant images."""
    try:
        asked = NewDecision.model_validate(await _fields(request))
        await services.casework.desk.ask(
            lambda bench: bench.decisions.decide(case_id, asked.policy, asked.reason, None, who)
        )
    except _REFUSED as error:
        return await _refusal(error)
    return RedirectResponse(f"/cases/{case_id}#decisions", 303)


@router.post("/decisions/{decision_id}/reversal")
async def reverse(services: Provided, request: Request, decision_id: str, who: Analyst) -> Response:
    """Take a decision back."""
    try:
        asked = Reversal.model_validate(await _fields(request))
        entry = await services.casework.desk.ask(lambda bench: bench.decisions.reverse(decision_id, asked.reason, who))
    except _REFUSED as error:
        return await _refusal(error)
    return RedirectResponse(f"/cases/{entry.case_id}#decisions", 303)


async def _alerts(services: Services, watch: WatchReply | None, before: int | None, *, unjudged: bool) -> AlertsReply:
    watch_id = None if watch is None else watch.watch_id

    def look(bench: Workbench) -> AlertsReply:
        newest = bench.alerts.newest()
        found = bench.alerts.alerts(_ALERTS_SHOWN + 1, watch_id=watch_id, unjudged=unjudged, before=before)
        return AlertsReply.page(found, _ALERTS_SHOWN, newest)

    return await services.casework.desk.ask(look)


async def _fields(request: Request) -> dict[str, Any]:
    async with request.form(max_files=0, max_fields=_FIELDS_MAX) as form:
        return {name: value for name, value in form.items() if isinstance(value, str) and value}


def _judgements(fields: Mapping[str, str]) -> dict[str, list[JudgedImage]]:
    """What a form without a script sends, by case: `verdict-N`, and to each `image-N` (as JSON) and `case-N`."""
    chosen: dict[str, list[JudgedImage]] = {}
    for name, verdict in fields.items():
        if name.startswith("verdict-"):
            number = name.removeprefix("verdict-")
            try:
                case_id, image = fields[f"case-{number}"], dict(json.loads(fields[f"image-{number}"]))
            except (KeyError, ValueError, TypeError, RecursionError) as error:
                raise QueryInvalidError("a judgement's image can't be read") from error
            chosen.setdefault(case_id, []).append(JudgedImage.model_validate({**image, "verdict": verdict}))
    return chosen


async def _refusal(error: CatalogueError | ValidationError) -> Response:
    problem: Problem = problem_of_fields(error.errors()) if isinstance(error, ValidationError) else problem_of(error)
    return HTMLResponse(await asyncio.to_thread(render, "watches.html", problem=problem), problem.status)
