"""The pages of cases: the list, and the place where an analyst judges pictures one after another.

Everything works by links and forms; the script adds keys and saves each judgement at once.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.datastructures import FormData

from searcher.page.export import ExportedImage, read_ticked
from searcher.page.query import PageQuery
from searcher.page.rendering import render
from searcher.page.view import card_of, thumbnail_path
from searcher.people import Analyst, Reader
from searcher.problems import Problem, problem_of, problem_of_fields
from searcher.services import Provided, Services
from searcher.wire import SEEDS_MAX, Hit
from searcher.workbench.records import CaseState, Judgement, Verdict
from searcher.workbench.wire import (
    JUDGEMENTS_MAX,
    CaseChange,
    CaseReply,
    JudgedImage,
    JudgeRequest,
    ListedCase,
    NewCase,
    NextRequest,
)
from shared.errors import CatalogueError, QueryInvalidError

_CASES_SHOWN = 50
_NEXT_SHOWN = 60
_JUDGED_SHOWN = 500
_FIELDS_MAX = 10_100
_NEXT = "next"

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class CaseCard:
    """A picture to judge, or one that is judged. `rank` and `distance` go into the ledger with the judgement."""

    image_id: str
    title: str
    thumbnail: str
    search: str
    rank: int | None
    distance: int | None
    verdict: str


@dataclass(frozen=True, slots=True)
class CaseView:
    """What a case's page shows: the pictures to judge next, or those with a verdict (`shown`)."""

    case: CaseReply
    shown: str
    cards: Sequence[CaseCard] = ()
    problem: Problem | None = None
    left_out: int = 0


@router.get("/cases")
async def cases(
    services: Provided,
    _: Reader,
    state: CaseState | None = None,
    cursor: Annotated[str | None, Query(max_length=2048)] = None,
) -> Response:
    """All cases, the one changed last first."""
    try:
        page = await services.casework.cases(state, cursor, _CASES_SHOWN)
    except CatalogueError as error:
        return _list_page([], None, state, problem_of(error))
    return _list_page(page.cases, page.cursor, state, None)


@router.post("/cases")
async def open_case(services: Provided, request: Request, who: Analyst) -> Response:
    """Open a case, with the search's seed and the ticked images where the form has these."""
    async with request.form(max_files=0, max_fields=_FIELDS_MAX) as form:
        try:
            ticked = read_ticked([value for value in form.getlist("ticked") if isinstance(value, str)])
            case = await services.casework.open_case(NewCase.model_validate(_new_case(form)), who)
            for start in range(0, len(ticked), JUDGEMENTS_MAX):
                some = _relevant(ticked[start : start + JUDGEMENTS_MAX])
                await services.casework.judge(case.case_id, JudgeRequest(judgements=some), who)
        except CatalogueError as error:
            return _list_page([], None, None, problem_of(error))
        except ValidationError as error:
            return _list_page([], None, None, problem_of_fields(error.errors()))
    return RedirectResponse(f"/cases/{case.case_id}", 303)


@router.get("/cases/{case_id}")
async def case(services: Provided, case_id: str, _: Reader, show: str = _NEXT) -> Response:
    """A case: the pictures to judge next, or those of one verdict."""
    try:
        view = await _view(services, case_id, show)
    except CatalogueError as error:
        return _list_page([], None, None, problem_of(error))
    text = await asyncio.to_thread(render, "case.html", view=view, verdicts=list(Verdict)[:3])
    return HTMLResponse(text, view.problem.status if view.problem else 200)


@router.post("/cases/{case_id}")
async def change_case(services: Provided, request: Request, case_id: str, who: Analyst) -> Response:
    """Change the case's name, note or state; or save judgements, where there is no script to do it."""
    async with request.form(max_files=0, max_fields=_FIELDS_MAX) as form:
        texts = {name: value for name, value in form.items() if isinstance(value, str) and value}
    try:
        changes = {name: texts[name] for name in ("name", "note", "state") if name in texts}
        if changes:
            await services.casework.change_case(case_id, CaseChange.model_validate(changes), who)
        if judgements := _judgements(texts):
            await services.casework.judge(case_id, JudgeRequest(judgements=judgements), who)
    except CatalogueError as error:
        return _list_page([], None, None, problem_of(error))
    except ValidationError as error:
        return _list_page([], None, None, problem_of_fields(error.errors()))
    return RedirectResponse(f"/cases/{case_id}", 303)


async def _view(services: Services, case_id: str, show: str) -> CaseView:
    found = await services.casework.desk.ask(lambda bench: (bench.ledger.case(case_id), bench.ledger.verdicts(case_id)))
    case = CaseReply.of(found[0])
    if show in (Verdict.RELEVANT, Verdict.NOT_RELEVANT, Verdict.UNSURE):
        judged = [one for one in reversed(found[1]) if one.verdict == show]
        return CaseView(case, show, [_judged_card(one) for one in judged[:_JUDGED_SHOWN]])
    try:
        following = await services.casework.next_images(case_id, NextRequest(k=_NEXT_SHOWN))
    except CatalogueError as error:
        return CaseView(case, _NEXT, problem=problem_of(error))
    cards = [_next_card(hit, rank) for rank, hit in enumerate(following.hits, start=1)]
    return CaseView(case, _NEXT, cards, left_out=following.left_out)


def _next_card(hit: Hit, rank: int) -> CaseCard:
    card = card_of(hit, PageQuery())
    return CaseCard(hit.image_id, card.title, card.thumbnail, card.search, rank, hit.distance, "")


def _judged_card(judgement: Judgement) -> CaseCard:
    image: Mapping[str, Any] = json.loads(judgement.image) if judgement.image else {}
    title = image.get("attributes", {}).get("title")
    return CaseCard(
        judgement.image_id,
        title if isinstance(title, str) and title.strip() else judgement.image_id,
        f"/v1/evidence/{judgement.evidence}" if judgement.evidence else thumbnail_path(judgement.image_id),
        PageQuery(image_id=judgement.image_id).link(),
        judgement.rank,
        judgement.distance,
        judgement.verdict,
    )


def _relevant(ticked: Sequence[ExportedImage]) -> list[JudgedImage]:
    return [JudgedImage(image_id=image.image_id, verdict=Verdict.RELEVANT, distance=image.distance) for image in ticked]


def _new_case(form: FormData) -> dict[str, Any]:
    texts = {name: value for name, value in form.items() if isinstance(value, str) and value}
    seed = {name: texts[f"seed_{name}"] for name in ("image_id", "url", "code", "encoder") if f"seed_{name}" in texts}
    return {"name": texts.get("name", ""), "note": texts.get("note", ""), "seeds": [seed][:SEEDS_MAX] if seed else []}


def _judgements(texts: Mapping[str, str]) -> list[JudgedImage]:
    """What a form without a script sends: fields `verdict-N` and, to each, `image-N` with the image as JSON."""
    chosen = {name.removeprefix("verdict-"): value for name, value in texts.items() if name.startswith("verdict-")}
    try:
        images = {number: dict(json.loads(texts[f"image-{number}"])) for number in chosen}
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise QueryInvalidError("a judgement's image can't be read") from error
    return [JudgedImage.model_validate({**images[number], "verdict": verdict}) for number, verdict in chosen.items()]


def _list_page(
    shown: Sequence[ListedCase], cursor: str | None, state: CaseState | None, problem: Problem | None
) -> Response:
    text = render("cases.html", cases=shown, cursor=cursor, state=state, states=list(CaseState), problem=problem)
    return HTMLResponse(text, problem.status if problem else 200)
