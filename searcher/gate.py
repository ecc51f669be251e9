"""The gate before all routes: nobody gets in without being known, but to what is open to all. Pure ASGI.

It stands before the routes, so that a route which forgets to name what it needs is closed, and no stranger's body is
read.
"""

from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from searcher.people import SignInNeededError, asked_by
from searcher.recognizing import Recognizer
from shared.errors import CatalogueError

OPEN_PATHS = frozenset({"/livez", "/readyz", "/metrics", "/version", "/sign-in", "/sign-out"})
"""What answers everybody. A supervisor has no key; metrics hold counts, and nothing of the catalogue or of people."""
OPEN_FOLDER = "/assets/"
"""Style, scripts and icons, which the sign-in page needs too."""


class Gate:
    """Lets those in whom `recognizer` knows; the others get what `refuse` makes of the error."""

    def __init__(
        self, app: ASGIApp, *, recognizer: Recognizer, refuse: Callable[[Scope, CatalogueError], Response]
    ) -> None:
        self._app = app
        self._recognizer = recognizer
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on."""
        if scope["type"] != "http" or is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            person = await self._recognizer.person(scope)
            if person is None:
                raise SignInNeededError("nobody has signed in")
        except CatalogueError as error:
            await self._refuse(scope, error)(scope, receive, send)
            return
        with asked_by(person):
            await self._app(scope, receive, send)


def is_open(path: str) -> bool:
    """Whether everybody may ask for this."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)
