"""The pages of cases: the list, and the place where an analyst judges pictures one after another.

Everything works by links and forms; the script adds keys and saves each judgement at once.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from searcher.page.case_view import NEXT, SAMPLE, view_of
from searcher.page.export import ExportedImage, read_ticked
from searcher.page.query import PageQuery
from searcher.page.rendering import render
from searcher.page.watching_view import watching_of
from searcher.people import Analyst, Reader
from searcher.problems import Problem, problem_of, problem_of_fields
from searcher.services import Provided, Services
from searcher.wire import SearchRequest
from searcher.workbench.records import Case, CaseState, Verdict
from searcher.workbench.sample_wire import SampleRequest
from searcher.workbench.wire import (
    JUDGEMENTS_MAX,
    CaseChange,
    JudgedImage,
    JudgeRequest,
    ListedCase,
    NewCase,
)
from shared.errors import CatalogueError, QueryInvalidError, RejectedError

_CASES_SHOWN = 50
_FIELDS_MAX = 10_100

router = APIRouter(include_in_schema=False)


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
    async with request.form(max_files=1, max_fields=_FIELDS_MAX) as form:
        try:
            ticked = read_ticked([value for value in form.getlist("ticked") if isinstance(value, str)])
            case = await _opened(services, form, who)
            for start in range(0, len(ticked), JUDGEMENTS_MAX):
                some = _judged(ticked[start : start + JUDGEMENTS_MAX], Verdict.RELEVANT)
                await services.casework.judge(case.case_id, JudgeRequest(judgements=some), who)
        except CatalogueError as error:
            return _list_page([], None, None, problem_of(error))
        except ValidationError as error:
            return _list_page([], None, None, problem_of_fields(error.errors()))
    return RedirectResponse(f"/cases/{case.case_id}", 303)


@router.get("/cases/{case_id}")
async def case(services: Provided, case_id: str, _: Reader, show: str = NEXT) -> Response:
    """A case: the pictures to judge next, those of its sample, or those of one verdict."""
    try:
        view, watching = await view_of(services, case_id, show), await watching_of(services, case_id)
    except CatalogueError as error:
        return _list_page([], None, None, problem_of(error))
    if view.shown == SAMPLE and not view.cards:
        return RedirectResponse(f"/cases/{case_id}#left", 303)
    text = await asyncio.to_thread(render, "case.html", view=view, watching=watching)
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
            said = JudgeRequest(judgements=judgements, sample=texts.get("sample"))
            await services.casework.judge(case_id, said, who)
    except CatalogueError as error:
        return _list_page([], None, None, problem_of(error))
    except ValidationError as error:
        return _list_page([], None, None, problem_of_fields(error.errors()))
    return RedirectResponse(f"/cases/{case_id}{'?show=sample' if 'sample' in texts else ''}", 303)


@router.post("/cases/{case_id}/ticked")
async def judge_ticked(services: Provided, request: Request, case_id: str, who: Analyst) -> Response:
    """Judge what is ticked among the hits of a search, and go back to it."""
    async with request.form(max_files=0, max_fields=_FIELDS_MAX) as form:
        texts = [value for value in form.getlist("ticked") if isinstance(value, str)]
        verdict, address = str(form.get("verdict", "")), str(form.get("back", ""))
    if not address.startswith("/?"):
        address = f"/cases/{case_id}"
    try:
        ticked, search = read_ticked(texts), _search_of(address)
        for start in range(0, len(ticked), JUDGEMENTS_MAX):
            some = _judged(ticked[start : start + JUDGEMENTS_MAX], verdict)
            await services.casework.judge(case_id, JudgeRequest(judgements=some, search=search), who)
    except CatalogueError as error:
        return _list_page([], None, None, problem_of(error))
    except ValidationError as error:
        return _list_page([], None, None, problem_of_fields(error.errors()))
    return RedirectResponse(address, 303)


@router.post("/cases/{case_id}/samples")
async def draw_sample(services: Provided, request: Request, case_id: str, who: Analyst) -> Response:
    """Draw a sample, and show it to be judged."""
    async with request.form(max_files=0, max_fields=_FIELDS_MAX) as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str) and value}
    try:
        await services.sampling.draw(case_id, SampleRequest.model_validate(fields), who)
    except CatalogueError as error:
        return _list_page([], None, None, problem_of(error))
    except ValidationError as error:
        return _list_page([], None, None, problem_of_fields(error.errors()))
    return RedirectResponse(f"/cases/{case_id}?show=sample", 303)


def _judged(ticked: Sequence[ExportedImage], verdict: str) -> list[JudgedImage]:
    said = ({"image_id": image.image_id, "verdict": verdict, "distance": image.distance} for image in ticked)
    return [JudgedImage.model_validate(one) for one in said]


def _search_of(address: str) -> SearchRequest | None:
    """The search that an address of the page shows; None where it shows none."""
    query = PageQuery.of(parse_qsl(urlsplit(address).query))
    if query.image_id and not query.crop:
        return query.request({"image_id": query.image_id})
    return query.request({"code": query.code, "encoder": query.encoder or None}) if query.code else None


async def _opened(services: Services, form: FormData, who: str) -> Case:
    """A case with the seed that the form names: as a picture, or else by its code."""
    texts = {name: value for name, value in form.items() if isinstance(value, str) and value}
    crop = PageQuery(crop=texts.get("seed_crop", "")).crop_fractions()
    file = form.get("seed_picture")
    picture = await file.read() if isinstance(file, UploadFile) else b""
    code = _named(texts, "code", "encoder")
    seed: dict[str, Any] = _named(texts, "image_id") or _named(texts, "url") or code
    if picture:
        seed = {"image": picture}
    if crop is not None and ("image" in seed or "url" in seed):
        seed["crop"] = crop
    fields = {"name": texts.get("name", ""), "note": texts.get("note", "")}
    try:
        return await services.casework.open_case(
            NewCase.model_validate({**fields, "seeds": [seed] if seed else []}), who
        )
    except RejectedError:
        # A picture that can't be had any more; its code has found what is shown.
        if not code:
            raise
        return await services.casework.open_case(NewCase.model_validate({**fields, "seeds": [code]}), who)


def _named(texts: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: texts[f"seed_{name}"] for name in names if f"seed_{name}" in texts}


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
