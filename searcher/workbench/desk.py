"""The ledger as an event loop asks it: opened at the first question, each question in a thread, with a time limit."""

import asyncio
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from searcher.workbench.database import WorkbenchUnavailableError
from searcher.workbench.ledger import Ledger

_Answer = TypeVar("_Answer")


class Desk:
    """Gives questions to a ledger. Searching goes on where its database is away; only what needs it is refused."""

    def __init__(self, open_ledger: Callable[[], Ledger], seconds: float) -> None:
        """A question may take `seconds`, opening included."""
        self._open_ledger = open_ledger
        self._seconds = seconds
        self._ledger: Ledger | None = None
        self._opening = Lock()

    async def ask(self, question: Callable[[Ledger], _Answer]) -> _Answer:
        """What `question` gives; WorkbenchUnavailableError, ConfigurationError, and what the question raises."""
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.to_thread(lambda: question(self._opened()))
        except TimeoutError as error:
            raise WorkbenchUnavailableError(f"no answer within {self._seconds:g} seconds") from error

    def close(self) -> None:
        """Close the database, where it was opened."""
        if self._ledger is not None:
            self._ledger.close()

    def _opened(self) -> Ledger:
        with self._opening:
            if self._ledger is None:
                self._ledger = self._open_ledger()
            return self._ledger
