"""What every request and reply passes: pure ASGI, no route knows of it.

`Guard` refuses what a browser was tricked into sending, bounds bodies and the number of requests, and puts the security
headers on every reply. `RequestMetrics` counts and times requests by their route's template.
"""

import ipaddress
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import structlog
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from searcher.problems import BUG, CROSS_SITE, OVERLOADED, TOO_LARGE, WRONG_HOST, Problem
from shared.metrics import SearcherMetrics

# No route sets one of these.
_SECURITY_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_READING = frozenset({"GET", "HEAD"})
# A supervisor must hear that the process lives, and why it is slow, just when too much is asked of it.
_ALWAYS_ANSWERED = frozenset({"/livez", "/readyz", "/metrics"})


class Guard:
    """Passes on what is allowed, within `body_bytes_max` a body and `requests_max` requests at once.

    Bound to a loopback address, it answers only requests that name it as such: a page of another site whose name was
    made to point at loopback (DNS rebinding) sends its own name.
    """

    def __init__(self, app: ASGIApp, *, bound_to: str, body_bytes_max: int, requests_max: int) -> None:
        self._app = app
        self._names = _loopback_names(bound_to)
        self._body_bytes_max = body_bytes_max
        self._requests_max = requests_max
        self._requests = 0
        self._log = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_security_headers(send)
        problem = self._objection(scope)
        if problem is not None:
            await problem.response()(scope, receive, send)
            return
        self._requests += 1
        try:
            await self._answer(scope, _bounded(receive, self._body_bytes_max), send)
        finally:
            self._requests -= 1

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:  # noqa: BLE001 (the last resort: a bug in a route must not end in a page without headers)
            self._log.exception("request_failed", path=scope["path"])
            await BUG.response()(scope, receive, send)

    def _objection(self, scope: Scope) -> Problem | None:
        # Read once: to look through the list for each takes longer than all the rest. Of equal names the first counts.
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
        if self._names is not None and _host_name(headers.get("host", "")) not in self._names:
            return WRONG_HOST
        if _is_cross_site(scope["method"], headers):
            return CROSS_SITE
        announced = headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._body_bytes_max:
            return TOO_LARGE
        if self._requests >= self._requests_max and scope["path"] not in _ALWAYS_ANSWERED:
            return OVERLOADED
        return None


class RequestMetrics:
    """Counts and times requests by route template and status; a path without a route counts as "none"."""

    def __init__(self, app: ASGIApp, *, metrics: SearcherMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, then count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - began)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach a listener that is bound to this address."""
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _loopback_names(bound_to: str) -> frozenset[str] | None:
    """The names by which a loopback listener may be called; None where it listens to the network."""
    return frozenset({"localhost", "127.0.0.1", "::1", bound_to}) if is_loopback(bound_to) else None


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_cross_site(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a page of another site is behind the request. Programs send neither header and are welcome.

    A link from elsewhere may open a page here. Nothing else from elsewhere is meant: no form, no script, no picture.
    """
    site = headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return False
    if method in _READING:
        return site is not None and headers.get("sec-fetch-mode") != "navigate"
    if site is not None:
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _bounded(receive: Receive, body_bytes_max: int) -> Receive:
    read = 0

    async def bounded() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > body_bytes_max:
            # Raised where the route reads its body, and answered like every HTTPException of a route.
            raise HTTPException(TOO_LARGE.status)
        return message

    return bounded


def _with_security_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *_SECURITY_HEADERS]
        await send(message)

    return sending
