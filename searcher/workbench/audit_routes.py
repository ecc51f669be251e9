"""The audit log over HTTP."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel

from searcher.people import Administrator
from searcher.problems import PROBLEM_RESPONSE
from searcher.services import Provided
from searcher.wire import shown_time
from searcher.workbench.audit import AuditEntry

_PAGE_MAX = 1000

router = APIRouter(
    tags=["audit"],
    responses={503: PROBLEM_RESPONSE | {"description": "The workbench's database is away; see Retry-After."}},
)


class AuditEntryReply(BaseModel):
    """What somebody did; `detail` depends on the action."""

    number: int
    at: str
    who: str
    action: str
    case_id: str | None
    detail: dict[str, Any]

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        """The same as it is answered."""
        return cls(
            number=entry.number,
            at=shown_time(entry.at),
            who=entry.who,
            action=entry.action,
            case_id=entry.case_id,
            detail=dict(entry.detail),
        )


class AuditReply(BaseModel):
    """Entries, the newest first; `before` asks for those behind, null at the end."""

    entries: list[AuditEntryReply]
    before: int | None


@router.get("/v1/audit")
async def audit(
    services: Provided,
    who: Administrator,
    case_id: Annotated[str | None, Query(max_length=64, description="Only of this case.")] = None,
    limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = 100,
    before: Annotated[
        int | None, Query(ge=0, le=2**63 - 1, description="Only with lower numbers, from the page before.")
    ] = None,
) -> AuditReply:
    """The audit log: who exported, decided, changed a watch or a key, and so on; the newest first, a page at a time."""
    found = await services.casework.desk.ask(lambda bench: bench.audit.entries(case_id, before, limit + 1))
    shown = [AuditEntryReply.of(entry) for entry in found[:limit]]
    return AuditReply(entries=shown, before=shown[-1].number if len(found) > limit else None)
