"""The HTTP API of keys, for administrators."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from searcher.people import Administrator, Scope
from searcher.problems import PROBLEM_RESPONSE
from searcher.services import Provided, Services
from searcher.workbench.keys import Key, NewKey

GRACE_SECONDS = 24 * 3600
"""How long the secret before a rotation goes on working, unless said otherwise: a day to hand the new one out."""
GRACE_SECONDS_MAX = 30 * 24 * 3600
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    404: PROBLEM_RESPONSE | {"description": "There is no key in use of this name."},
    422: PROBLEM_RESPONSE | {"description": "The key can't be made so."},
}

router = APIRouter(tags=["keys"], responses=_PROBLEMS)

KeyName = Annotated[str, Path(description="The key's name.")]


class ListedKey(BaseModel):
    """A key without its secret."""

    name: str
    key_id: Annotated[str, Field(description="Stands in the secret, after `catalogue_`.")]
    scope: Scope
    state: Literal["in use", "expired", "revoked"]
    made_at: datetime
    made_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: Annotated[datetime | None, Field(description="Last use, to about a minute.")]
    previous_until: Annotated[
        datetime | None, Field(description="Until then the secret before the last rotation works.")
    ]

    @classmethod
    def of(cls, key: Key, now: datetime) -> "ListedKey":
        """What is shown of a key."""
        state: Literal["in use", "expired", "revoked"] = "expired"
        if key.revoked_at is not None:
            state = "revoked"
        elif key.in_use(now):
            state = "in use"
        return cls(
            name=key.name,
            key_id=key.key_id,
            scope=key.scope,
            state=state,
            made_at=key.made_at,
            made_by=key.made_by,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            used_at=key.used_at,
            previous_until=key.previous_until,
        )


class MadeKey(ListedKey):
    """A key with its secret, which is shown this once."""

    secret: str

    @classmethod
    def made(cls, new: NewKey, now: datetime) -> "MadeKey":
        """A new key or a new secret."""
        return cls(**ListedKey.of(new.key, now).model_dump(), secret=new.secret)


class KeysReply(BaseModel):
    """All keys, by name."""

    keys: list[ListedKey]


class KeyRequest(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(max_length=64, description="Who has it; the ledger and the audit log name people so.")]
    scope: Scope
    expires_at: AwareDatetime | None = None


class RotateRequest(BaseModel):
    """How a secret is replaced."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    grace_seconds: Annotated[int, Field(ge=0, le=GRACE_SECONDS_MAX, description="How long the old one works on.")] = (
        GRACE_SECONDS
    )


@router.get("/v1/keys")
async def keys(services: Provided, _: Administrator) -> KeysReply:
    """All keys, revoked and expired ones too, without their secrets."""
    found = await services.casework.desk.ask(lambda bench: bench.keys.list())
    return KeysReply(keys=[ListedKey.of(key, services.now()) for key in found])


@router.post("/v1/keys", status_code=201)
async def make_key(services: Provided, request: KeyRequest, response: Response, who: Administrator) -> MadeKey:
    """Make a key. Its secret is in this reply and nowhere else."""
    ends = None if request.expires_at is None else request.expires_at.astimezone(UTC)
    new = await services.casework.desk.ask(lambda bench: bench.keys.create(request.name, request.scope, ends, who))
    return _made(services, new, response)


@router.post("/v1/keys/{name}/rotate")
async def rotate_key(
    services: Provided, name: KeyName, request: RotateRequest, response: Response, who: Administrator
) -> MadeKey:
    """Give a key a new secret; the old one works on for a while."""
    grace = timedelta(seconds=request.grace_seconds)
    new = await services.casework.desk.ask(lambda bench: bench.keys.rotate(name, grace, who))
    return _made(services, new, response)


@router.delete("/v1/keys/{name}")
async def revoke_key(services: Provided, name: KeyName, who: Administrator) -> ListedKey:
    """End a key and the sessions that were begun with it. Here it counts at once, on other searchers within seconds."""
    key = await services.casework.desk.ask(lambda bench: bench.keys.revoke(name, who))
    services.recognizer.key_ring.forget()
    return ListedKey.of(key, services.now())


def _made(services: Services, new: NewKey, response: Response) -> MadeKey:
    services.recognizer.key_ring.forget()
    response.headers["Cache-Control"] = "no-store"
    return MadeKey.made(new, services.now())
