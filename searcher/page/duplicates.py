"""The pages of duplicates: the runs, and the groups of one, side by side, to be decided.

Everything works by links and forms; the script adds keys and decides without a reload.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.datastructures import FormData

from searcher.duplicates.records import Action, By, Group, GroupState, Member, Same
from searcher.duplicates.wire import DecisionRequest, QuestionRequest, RunReply
from searcher.page.query import PageQuery
from searcher.page.rendering import render
from searcher.page.view import thumbnail_path
from searcher.people import Analyst, Reader
from searcher.problems import Problem, problem_of, problem_of_fields
from searcher.services import Provided
from shared.errors import CatalogueError

_RUNS_SHOWN = 50
_GROUPS_SHOWN = 20
# What lies side by side on a page; who wants more of a group narrows the radius, or splits it.
_MEMBERS_SHOWN = 48
_FIELDS_MAX = 1000
_STATES = (GroupState.OPEN, GroupState.KEPT, GroupState.DISMISSED)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class DuplicateCard:
    """A picture of a group."""

    image_id: str
    item_id: str
    title: str
    thumbnail: str
    search: str
    distance: int
    kept: bool


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group, with the first of its pictures; `more` are not shown."""

    group_id: int
    state: str
    images: int
    items: int
    diameter: int
    loose: bool
    cards: Sequence[DuplicateCard]
    more: int


@dataclass(frozen=True, slots=True)
class RunView:
    """The groups of a run in one state; `after` leads to the next page, 0 at the end."""

    run: RunReply
    state: GroupState
    groups: Sequence[GroupView]
    page_after: int
    after: int


@router.get("/duplicates")
async def duplicate_runs(services: Provided, _: Reader) -> Response:
    """The runs, and a form for a new one."""
    try:
        runs = await services.duplicates.runs(_RUNS_SHOWN)
    except CatalogueError as error:
        return _runs_page([], problem_of(error))
    return _runs_page(runs, None)


@router.post("/duplicates")
async def look_for_duplicates(services: Provided, request: Request, who: Analyst) -> Response:
    """Begin a run, and show how far it is."""
    async with request.form(max_files=0, max_fields=_FIELDS_MAX) as form:
        fields = _texts(form)
    try:
        asked = QuestionRequest.model_validate(
            {name: fields[name] for name in ("same", "radius", "by") if name in fields}
            | {name: _names(fields.get(name, "")) for name in ("match", "differ")}
        )
        run = await services.duplicates.start(asked, who)
    except CatalogueError as error:
        return _runs_page([], problem_of(error))
    except ValidationError as error:
        return _runs_page([], problem_of_fields(error.errors()))
    return RedirectResponse(f"/duplicates/{run.run_id}", 303)


@router.get("/duplicates/{run_id}")
async def duplicate_run(
    services: Provided,
    run_id: str,
    _: Reader,
    state: GroupState = GroupState.OPEN,
    after: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """A run: its progress, or its groups in one state."""
    desk = services.duplicates.desk
    try:
        run = await services.duplicates.run(run_id)
        found = await desk.ask(lambda bench: bench.duplicates.groups(run_id, [state], after, _GROUPS_SHOWN + 1))
    except CatalogueError as error:
        return _runs_page([], problem_of(error))
    shown = [_group_view(group) for group in found[:_GROUPS_SHOWN]]
    following = shown[-1].group_id if len(found) > _GROUPS_SHOWN else 0
    view = RunView(run, state, shown, after, following)
    text = await asyncio.to_thread(render, "duplicate_groups.html", view=view, states=_STATES)
    return HTMLResponse(text)


@router.post("/duplicates/{run_id}/groups")
async def decide(services: Provided, request: Request, run_id: str, who: Analyst) -> Response:
    """Decide on the group that the form names, and go on where it was."""
    async with request.form(max_files=0, max_fields=_FIELDS_MAX) as form:
        fields, ticked = _texts(form), [value for value in form.getlist("images") if isinstance(value, str)]
        groups = [value for value in form.getlist("groups") if isinstance(value, str)]
    back = f"/duplicates/{run_id}?state={fields.get('state', '')}&after={fields.get('after', '0')}"
    try:
        group_id, decision = _decision(fields, ticked, groups)
        desk, asked = services.duplicates.desk, DecisionRequest.model_validate(decision).decision
        await desk.ask(lambda bench: bench.duplicates.decide(run_id, group_id, asked, who))
    except CatalogueError as error:
        return _run_problem(run_id, problem_of(error))
    except ValidationError as error:
        return _run_problem(run_id, problem_of_fields(error.errors()))
    return RedirectResponse(back, 303)


def _decision(fields: Mapping[str, str], ticked: Sequence[str], groups: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """The group and what is decided of it; a merge is of the ticked groups into the first of them."""
    action = fields.get("action", "")
    numbers = sorted(int(group) for group in groups if group.isdecimal())
    if action == Action.MERGE:
        return numbers[0] if numbers else 0, {"action": action, "groups": numbers[1:]}
    images = {Action.KEEP: [fields["keep"]] if "keep" in fields else [], Action.SPLIT: list(ticked)}
    group = fields.get("group", "")
    chosen = images.get(Action(action), []) if action in set(Action) else []
    return int(group) if group.isdecimal() else 0, {"action": action, "image_ids": chosen}


def _group_view(group: Group) -> GroupView:
    return GroupView(
        group.group_id,
        group.state.value,
        len(group.members),
        len({member.item_id for member in group.members}),
        group.diameter,
        group.loose,
        [_card(member, group) for member in group.members[:_MEMBERS_SHOWN]],
        max(0, len(group.members) - _MEMBERS_SHOWN),
    )


def _card(member: Member, group: Group) -> DuplicateCard:
    title = member.attributes.get("title")
    return DuplicateCard(
        member.image_id,
        member.item_id,
        title if isinstance(title, str) and title.strip() else member.image_id,
        thumbnail_path(member.image_id),
        PageQuery(image_id=member.image_id).link(),
        member.distance,
        # What is suggested where nothing was decided: the one in the middle.
        member.image_id == (group.kept or group.members[0].image_id),
    )


def _texts(form: FormData) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str) and value}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _run_problem(run_id: str, problem: Problem) -> Response:
    return HTMLResponse(render("duplicates.html", runs=[], run_id=run_id, problem=problem), problem.status)


def _runs_page(runs: Sequence[RunReply], problem: Problem | None) -> Response:
    text = render("duplicates.html", runs=runs, run_id="", problem=problem, kinds=list(Same), ways=list(By))
    return HTMLResponse(text, problem.status if problem else 200)
