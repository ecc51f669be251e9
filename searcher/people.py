"""Who asks, and what they may do."""

from typing import Annotated

from fastapi import Depends


def _person() -> str:
    """A server without keys is for one person, on their own machine."""
    return "local"


Reader = Annotated[str, Depends(_person)]
"""Who may search and look."""
Analyst = Annotated[str, Depends(_person)]
"""Who may judge."""
Administrator = Annotated[str, Depends(_person)]
"""Who may manage keys, watches' webhooks, and what all share."""
