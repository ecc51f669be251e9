"""The workbench as an event loop asks it: opened at the first question, each in a thread, with a time limit."""

import asyncio
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from searcher.workbench.database import WorkbenchUnavailableError
from searcher.workbench.workbench import Workbench

_Answer = TypeVar("_Answer")


class Desk:
    """Gives questions to a workbench. Where its database is away, only what asks it is refused."""

    def __init__(self, open_workbench: Callable[[], Workbench], seconds: float) -> None:
        """A question may take `seconds`, opening included."""
        self._open_workbench = open_workbench
        self._seconds = seconds
        self._workbench: Workbench | None = None
        self._opening = Lock()

    async def ask(self, question: Callable[[Workbench], _Answer]) -> _Answer:
        """What `question` gives; WorkbenchUnavailableError, ConfigurationError, and what the question raises."""
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.to_thread(lambda: question(self._opened()))
        except TimeoutError as error:
            raise WorkbenchUnavailableError(f"no answer within {self._seconds:g} seconds") from error

    def close(self) -> None:
        """Close the database, where it was opened."""
        if self._workbench is not None:
            self._workbench.close()

    def _opened(self) -> Workbench:
        with self._opening:
            if self._workbench is None:
                self._workbench = self._open_workbench()
            return self._workbench
