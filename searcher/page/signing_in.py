"""The sign-in page: a key once, then a session in a cookie; and what strangers are shown instead of a page.

The cookie holds a random secret, of which the database keeps the digest. A signed cookie would need no row, but then
signing out could not end it, and whoever reads the database, where searchers share the signing key, could make one.
"""

from urllib.parse import quote, unquote, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import Headers
from starlette.types import Scope

from searcher.page.rendering import render
from searcher.people import ScopeMissingError, SignInNeededError
from searcher.problems import Problem, problem_of
from searcher.recognizing import SESSION_COOKIE, session_of
from searcher.services import Provided
from searcher.workbench.keys import SESSION_SECONDS, digest_of
from shared.errors import CatalogueError

_HOME = "/"
_FIELDS_MAX = 2

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def sign_in_page(services: Provided, following: str = _HOME) -> Response:
    """The form that takes a key; `following` is the page that was asked for."""
    try:
        if await services.recognizer.needs_nobody():
            return RedirectResponse(_ours(following), 303)
    except CatalogueError as error:
        return _page(following, problem_of(error))
    return _page(following, None)


@router.post("/sign-in")
async def sign_in(services: Provided, request: Request) -> Response:
    """Begin a session with the form's key."""
    async with request.form(max_files=0, max_fields=_FIELDS_MAX) as form:
        secret, following = (str(form.get(name, "")) for name in ("key", "following"))
    recognizer = services.recognizer
    try:
        key = await recognizer.key_of(secret.strip(), request.scope)
        digest = digest_of(secret.strip())
        session = await services.casework.desk.ask(lambda bench: bench.keys.begin_session(key, digest))
    except CatalogueError as error:
        return _page(following, problem_of(error))
    recognizer.key_ring.forget()
    answer = RedirectResponse(_ours(following), 303)
    answer.set_cookie(
        SESSION_COOKIE,
        session,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=recognizer.over_tls(request.scope),
    )
    return answer


@router.post("/sign-out")
async def sign_out(services: Provided, request: Request) -> Response:
    """End the session, in the database too: a copy of the cookie is worth nothing then."""
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    session = session_of(request.scope["headers"])
    if session is not None:
        try:
            await services.casework.desk.ask(lambda bench: bench.keys.end_session(session))
        except CatalogueError as error:
            return _page(_HOME, problem_of(error))
        services.recognizer.key_ring.forget()
    return answer


def refused(scope: Scope, error: CatalogueError) -> Response:
    """What somebody gets who is not let in: a program a problem document, a browser the way to the sign-in page."""
    problem = problem_of(error)
    if not _shows_pages(scope):
        return problem.response()
    if isinstance(error, ScopeMissingError):
        return _page(_HOME, problem)
    if not isinstance(error, SignInNeededError):
        return _page(_address(scope), problem)
    if _came_from_elsewhere(scope):
        return HTMLResponse(render("arrival.html", address=_address(scope)))
    return RedirectResponse(f"/sign-in?following={quote(_address(scope), safe='')}", 303)


def _shows_pages(scope: Scope) -> bool:
    """Whether a person looks at the answer: a browser goes to an address. Its scripts and pictures ask otherwise."""
    headers = Headers(scope=scope)
    mode = headers.get("sec-fetch-mode")
    return "text/html" in headers.get("accept", "") if mode is None else mode == "navigate"


def _came_from_elsewhere(scope: Scope) -> bool:
    """Whether a link of another site led here: then the browser keeps the session's cookie back (SameSite=Strict).

    A page of ours that goes on to the same address by itself makes it send the cookie, so that links in messages work.
    """
    return scope["method"] == "GET" and Headers(scope=scope).get("sec-fetch-site") in ("cross-site", "same-site")


def _address(scope: Scope) -> str:
    """The address that was asked for, to go on to after signing in; a form's content can't be kept."""
    if scope["method"] != "GET":
        return _HOME
    path = quote(scope["path"]) if scope.get("raw_path") is None else scope["raw_path"].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return _ours(f"{path}?{query}" if query else path)


def _ours(address: str) -> str:
    """The address where it is a path of this server, else the start page: nobody is sent elsewhere after signing in."""
    # Browsers read a backslash as a slash, and leave out control characters.
    if not address.startswith("/") or address.startswith("//") or "\\" in address or not address.isprintable():
        return _HOME
    try:
        parts = urlsplit(address)
    except ValueError:
        return _HOME
    return address if not parts.netloc and unquote(parts.path) != "/sign-in" else _HOME


def _page(following: str, problem: Problem | None) -> Response:
    text = render("sign_in.html", following=_ours(following), problem=problem)
    status = 200 if problem is None else problem.status
    answer = HTMLResponse(text, status)
    if problem is not None and problem.challenge is not None:
        answer.headers["WWW-Authenticate"] = problem.challenge
    return answer
