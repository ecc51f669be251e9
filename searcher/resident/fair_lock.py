"""A lock that a thread can't take again before those who wait for it."""

from threading import Lock
from types import TracebackType


class FairLock:
    """Who waits stands in the doorway, and nobody passes a doorway that is taken; of several outside any may be next.

    Python's own lock may go again and again to the thread that has just let it go.
    """

    def __init__(self) -> None:
        self._doorway = Lock()
        self._lock = Lock()

    @property
    def taken(self) -> bool:
        """Whether a thread has it now."""
        return self._lock.locked()

    def __enter__(self) -> None:
        with self._doorway:
            self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
