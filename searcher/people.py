"""Who asks, and what they may do.

A route names what it needs: `Reader`, `Analyst` or `Administrator`, each giving the name of who asks. The gate
(`searcher.gate`) finds out who that is before any route is looked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, cast

from fastapi import Security
from fastapi.openapi.models import HTTPBearer
from fastapi.openapi.models import SecurityBase as SecurityModel
from fastapi.security.base import SecurityBase

from shared.errors import CatalogueError

LOCAL = "local"
"""Who asks of a searcher without keys: whoever sits at its machine."""
COMMAND_LINE = "command line"
"""Who acts through a command."""


class Scope(StrEnum):
    """What somebody may do; each includes those before it."""

    READ = "read"
    JUDGE = "judge"
    ADMINISTER = "administer"

    def includes(self, other: "Scope") -> bool:
        """Whether who has this one may do what needs the other."""
        return _RANKS[self] >= _RANKS[other]


_RANKS = {scope: rank for rank, scope in enumerate(Scope)}


class Means(StrEnum):
    """How somebody was recognised."""

    NO_KEYS = "no keys"
    KEY = "key"
    SESSION = "session"
    PROXY = "proxy"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who asks, or a program: a name for the ledger and the audit log, and what they may do, if anything."""

    name: str
    scope: Scope | None
    means: Means


class SignInNeededError(CatalogueError):
    """Nobody knows who asks."""


class KeyWrongError(CatalogueError):
    """The given key is none of ours, or no longer."""


class TooManyWrongKeysError(CatalogueError):
    """Too many wrong keys came from one address."""


class ScopeMissingError(CatalogueError):
    """Who asks may not do this; `needed` is the scope that allows it."""

    def __init__(self, needed: Scope) -> None:
        super().__init__(f"this needs the scope {needed}")
        self.needed = needed


def person_asking() -> Person | None:
    """Who asks in the request at hand; None outside of requests and on pages that are open to all."""
    return _ASKING.get()


@contextmanager
def asked_by(person: Person | None) -> Iterator[None]:
    """Let `person` be who asks meanwhile."""
    token = _ASKING.set(person)
    try:
        yield
    finally:
        _ASKING.reset(token)


# Of one request each: every request is a task, and what it starts in threads gets a copy. So a page's frame can show
# who is signed in, whichever route writes it.
_ASKING: ContextVar[Person | None] = ContextVar("asking", default=None)


class Needs(SecurityBase):
    """The dependency of a route that needs a scope; in the API's description, the key that a client sends."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.scheme_name = "key"
        self.model = cast(SecurityModel, HTTPBearer(description="A key of the searcher (`searcher keys create`)."))

    async def __call__(self) -> str:
        """The name of who asks; ScopeMissingError."""
        person = person_asking()
        if person is None or person.scope is None or not person.scope.includes(self.scope):
            raise ScopeMissingError(self.scope)
        return person.name


Reader = Annotated[str, Security(Needs(Scope.READ), scopes=[Scope.READ])]
"""Who may search and look."""
Analyst = Annotated[str, Security(Needs(Scope.JUDGE), scopes=[Scope.JUDGE])]
"""Who may judge, watch and decide."""
Administrator = Annotated[str, Security(Needs(Scope.ADMINISTER), scopes=[Scope.ADMINISTER])]
"""Who may manage keys, watches' webhooks, and what all share."""
