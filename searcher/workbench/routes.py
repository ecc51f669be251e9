"""The HTTP API of cases, judgements and evidence."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from searcher.people import Analyst, Reader
from searcher.problems import PROBLEM_RESPONSE
from searcher.services import Provided
from searcher.workbench.exporting import ExportFormat, export
from searcher.workbench.records import CaseState
from searcher.workbench.sample_wire import EstimateReply, SampleReply, SampleRequest
from searcher.workbench.wire import (
    JUDGEMENTS_MAX,
    CaseChange,
    CaseReply,
    CasesReply,
    JudgementReply,
    JudgementsReply,
    JudgeRequest,
    NewCase,
    NextReply,
    NextRequest,
    ProgressReply,
)

_PAGE_MAX = 200
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: PROBLEM_RESPONSE | {"description": "There is no such case, seed or picture."},
    422: PROBLEM_RESPONSE | {"description": "The request makes no sense, or a seed's picture can't be used."},
    503: PROBLEM_RESPONSE | {"description": "The workbench's database or the store is away; see Retry-After."},
}
_JUDGEMENT = {"$ref": f"#/components/schemas/{JudgementReply.__name__}"}
_TEXTS = {one.media_type.partition(";")[0]: {"schema": {"type": "string"}} for one in ExportFormat}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": _TEXTS | {ExportFormat.JSON.media_type: {"schema": {"type": "array", "items": _JUDGEMENT}}},
        "description": "The file, of the type that goes with its format.",
    }
}
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            f"image/{kind}": {"schema": {"type": "string", "format": "binary"}} for kind in ("jpeg", "png", "webp")
        },
        "description": "The picture.",
    }
}

router = APIRouter(tags=["cases"], responses=_PROBLEMS)


@router.post("/v1/cases", status_code=201)
async def open_case(services: Provided, request: NewCase, who: Analyst) -> CaseReply:
    """Open a case. The pictures of its seeds are kept with it, whatever becomes of the images and URLs."""
    return CaseReply.of(await services.casework.open_case(request, who))


@router.get("/v1/cases")
async def cases(
    services: Provided,
    _: Reader,
    state: Annotated[CaseState | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = 50,
    cursor: Annotated[str | None, Query(max_length=2048, description="From the page before.")] = None,
) -> CasesReply:
    """Cases with their progress, the one changed last first, a page at a time."""
    return await services.casework.cases(state, cursor, limit)


@router.get("/v1/cases/{case_id}")
async def case(services: Provided, case_id: str, _: Reader) -> CaseReply:
    """A case with its seeds."""
    return CaseReply.of(await services.casework.desk.ask(lambda bench: bench.ledger.case(case_id)))


@router.patch("/v1/cases/{case_id}")
async def change_case(services: Provided, case_id: str, request: CaseChange, who: Analyst) -> CaseReply:
    """Change a case's name, note or state, or add seeds."""
    return CaseReply.of(await services.casework.change_case(case_id, request, who))


@router.post("/v1/cases/{case_id}/judgements")
async def judge(services: Provided, case_id: str, request: JudgeRequest, who: Analyst) -> ProgressReply:
    """Append judgements to the ledger; the last one of an image counts. `withdrawn` takes the last one back."""
    return ProgressReply.of(await services.casework.judge(case_id, request, who))


@router.post("/v1/cases/{case_id}/next")
async def next_images(services: Provided, case_id: str, request: NextRequest, _: Reader) -> NextReply:
    """What to judge next: like the seeds and what was judged relevant, unlike the rest, and not judged yet.

    Answered from memory alone (`CATALOGUE_RESIDENT`).
    """
    return await services.casework.next_images(case_id, request)


@router.post("/v1/cases/{case_id}/samples", status_code=201)
async def draw_sample(services: Provided, case_id: str, request: SampleRequest, who: Analyst) -> SampleReply:
    """Draw a random sample of what nobody judged in the case. Judge all of it, then ask for the estimate.

    Answered from memory alone (`CATALOGUE_RESIDENT`).
    """
    return await services.sampling.draw(case_id, request, who)


@router.get("/v1/cases/{case_id}/estimate")
async def estimate(services: Provided, case_id: str, _: Reader) -> EstimateReply:
    """How many relevant images are not found yet, as the sample that was drawn last tells."""
    return await services.sampling.estimate(case_id)


@router.get("/v1/cases/{case_id}/judgements")
async def judgements(
    services: Provided,
    case_id: str,
    _: Reader,
    after: Annotated[int, Query(ge=0, description="The number behind which to go on.")] = 0,
    limit: Annotated[int, Query(ge=1, le=JUDGEMENTS_MAX)] = 100,
) -> JudgementsReply:
    """The case's entries in the ledger, all of them, in order, a page at a time."""
    found = await services.casework.desk.ask(lambda bench: bench.ledger.entries(case_id, after, limit + 1))
    return JudgementsReply.page(found, limit)


@router.get("/v1/cases/{case_id}/export", response_class=Response, responses=_FILE)
async def export_case(
    services: Provided,
    case_id: str,
    who: Analyst,
    format: Annotated[ExportFormat, Query()] = ExportFormat.CSV,  # noqa: A002 (the parameter's name)
) -> Response:
    """The last judgement of each image as a file. Written down in the audit log."""
    desk = services.casework.desk
    found = await desk.ask(lambda bench: (bench.ledger.case(case_id), bench.ledger.verdicts(case_id)))
    text = export([found], format)
    await desk.ask(
        lambda bench: bench.ledger.audit(who, "exported", case_id, {"format": format, "images": len(found[1])})
    )
    name = f"case-{case_id}.{'txt' if format in (ExportFormat.QRELS, ExportFormat.RUN) else _SUFFIXES[format]}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, headers=headers, media_type=format.media_type)


@router.get("/v1/evidence/{digest}", response_class=Response, responses=_PICTURE)
async def evidence(services: Provided, digest: str, _: Reader) -> Response:
    """A picture that is kept with a case."""
    kept = await services.casework.desk.ask(lambda bench: bench.ledger.evidence(digest))
    # The same digest is the same bytes for ever.
    headers = {"Cache-Control": "private, max-age=31536000, immutable", "Content-Disposition": "inline"}
    return Response(kept.content, headers=headers, media_type=kept.media_type)


_SUFFIXES = {ExportFormat.CSV: "csv", ExportFormat.JSON: "json", ExportFormat.TRIPLETS: "jsonl"}
