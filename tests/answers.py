"""What the functions of the typed client answer."""

from typing import TypeVar

from catalogue_client.models import ProblemDocument

T = TypeVar("T")


def answered(reply: T | ProblemDocument | None) -> T:
    """The reply that was asked for; fails with the problem where it is one."""
    assert reply is not None
    assert not isinstance(reply, ProblemDocument), f"{reply.status} {reply.reason}: {reply.detail}"
    return reply
