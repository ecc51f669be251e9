"""The HTTP API of duplicates."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from searcher.duplicates.exporting import GroupsFormat
from searcher.duplicates.records import GroupState
from searcher.duplicates.wire import (
    GROUPS_MAX,
    ChangedGroupsReply,
    DecisionRequest,
    EntriesReply,
    EntryReply,
    GroupReply,
    GroupsReply,
    QuestionRequest,
    RunReply,
    RunsReply,
)
from searcher.people import Analyst, Reader
from searcher.problems import PROBLEM_RESPONSE
from searcher.services import Provided

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: PROBLEM_RESPONSE | {"description": "There is no such run or group."},
    409: PROBLEM_RESPONSE | {"description": "A run is under way already."},
    422: PROBLEM_RESPONSE | {"description": "The request makes no sense, or does not fit the group as it is now."},
    503: PROBLEM_RESPONSE | {"description": "The workbench's database or the store is away; see Retry-After."},
}

_GROUP = {"$ref": f"#/components/schemas/{GroupReply.__name__}"}
_RUN = {"$ref": f"#/components/schemas/{RunReply.__name__}"}
_DOCUMENT = {
    "type": "object",
    "properties": {"run": _RUN, "groups": {"type": "array", "items": _GROUP}},
    "required": ["run", "groups"],
}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/csv": {"schema": {"type": "string"}}, "application/json": {"schema": _DOCUMENT}},
        "description": "The file, of the type that goes with its format.",
    }
}

router = APIRouter(tags=["duplicates"], responses=_PROBLEMS)


@router.post("/v1/duplicates", status_code=202)
async def look_for_duplicates(services: Provided, request: QuestionRequest, who: Analyst) -> RunReply:
    """Begin to look for duplicates over the whole window, in the background; ask for the run to see how far it is."""
    return await services.duplicates.start(request, who)


@router.get("/v1/duplicates")
async def duplicate_runs(
    services: Provided, _: Reader, limit: Annotated[int, Query(ge=1, le=GROUPS_MAX)] = 20
) -> RunsReply:
    """The last runs, the newest first."""
    return RunsReply(runs=await services.duplicates.runs(limit))


@router.get("/v1/duplicates/{run_id}")
async def duplicate_run(services: Provided, run_id: str, _: Reader) -> RunReply:
    """A run, with its progress or what it found."""
    return await services.duplicates.run(run_id)


@router.get("/v1/duplicates/{run_id}/groups")
async def duplicate_groups(
    services: Provided,
    run_id: str,
    _: Reader,
    state: Annotated[GroupState, Query()] = GroupState.OPEN,
    after: Annotated[int, Query(ge=0, description="The number behind which to go on.")] = 0,
    limit: Annotated[int, Query(ge=1, le=GROUPS_MAX)] = 50,
) -> GroupsReply:
    """Groups of a run in one state, the largest as they were found first, a page at a time."""
    desk = services.duplicates.desk
    found = await desk.ask(lambda bench: bench.duplicates.groups(run_id, [state], after, limit + 1))
    return GroupsReply.page(found, limit)


@router.get("/v1/duplicates/{run_id}/groups/{group_id}")
async def duplicate_group(services: Provided, run_id: str, group_id: int, _: Reader) -> GroupReply:
    """A group."""
    return GroupReply.of(await services.duplicates.desk.ask(lambda bench: bench.duplicates.group(run_id, group_id)))


@router.post("/v1/duplicates/{run_id}/groups/{group_id}/decisions")
async def decide_duplicates(
    services: Provided, run_id: str, group_id: int, request: DecisionRequest, who: Analyst
) -> ChangedGroupsReply:
    """Decide on a group: keep one image, dismiss, split, merge, or open it again. Each is an entry that stays."""
    desk = services.duplicates.desk
    changed = await desk.ask(lambda bench: bench.duplicates.decide(run_id, group_id, request.decision, who))
    return ChangedGroupsReply(groups=[GroupReply.of(group) for group in changed])


@router.get("/v1/duplicates/{run_id}/decisions")
async def duplicate_decisions(
    services: Provided,
    run_id: str,
    _: Reader,
    after: Annotated[int, Query(ge=0, description="The number behind which to go on.")] = 0,
    limit: Annotated[int, Query(ge=1, le=GROUPS_MAX)] = 100,
) -> EntriesReply:
    """What was decided of a run's groups, all of it, in order, a page at a time."""
    found = await services.duplicates.desk.ask(lambda bench: bench.duplicates.entries(run_id, after, limit + 1))
    shown = [EntryReply.of(entry) for entry in found[:limit]]
    return EntriesReply(decisions=shown, after=shown[-1].number if len(found) > limit else None)


@router.get("/v1/duplicates/{run_id}/export", response_class=Response, responses=_FILE)
async def export_duplicates(
    services: Provided,
    run_id: str,
    who: Analyst,
    format: Annotated[GroupsFormat, Query()] = GroupsFormat.CSV,  # noqa: A002 (the parameter's name)
) -> Response:
    """A run's groups, with what was decided of them, as a file. Written down in the audit log."""
    text = await services.duplicates.export(run_id, format, who)
    headers = {"Content-Disposition": f'attachment; filename="duplicates-{run_id}.{format}"'}
    return Response(text, headers=headers, media_type=format.media_type)
