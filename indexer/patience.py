"""Waiting for what is away: tries again for as long as it takes, says so once, and knows what is waited for."""

import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from shared.errors import DependencyUnavailableError
from shared.metrics import IndexerMetrics

Result = TypeVar("Result")

_FIRST_PAUSE_SECONDS = 0.1


class Patience:
    """Retries with exponential backoff and jitter; `waiting_for` names the dependencies that are away now."""

    def __init__(
        self,
        pause_seconds_max: float,
        sleep: Callable[[float], Awaitable[None]],
        generator: random.Random,
        metrics: IndexerMetrics,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._pause_seconds_max = pause_seconds_max
        self._sleep = sleep
        self._generator = generator
        self._metrics = metrics
        self._log = log
        self.waiting_for: set[str] = set()

    async def until_available(self, dependency: str, call: Callable[[], Awaitable[Result]]) -> Result:
        """What `call` gives, once its dependency answers; other errors pass through."""
        pause_seconds = _FIRST_PAUSE_SECONDS
        while True:
            try:
                result = await call()
            except DependencyUnavailableError as error:
                self._note_absence(dependency, error)
                # Full jitter would allow near-zero pauses; half keeps a floor while workers still spread out.
                await self._sleep(pause_seconds * self._generator.uniform(0.5, 1))
                pause_seconds = min(self._pause_seconds_max, pause_seconds * 2)
            else:
                self._note_presence(dependency)
                return result

    def _note_absence(self, dependency: str, error: DependencyUnavailableError) -> None:
        self._metrics.waits.labels(dependency).inc()
        if dependency not in self.waiting_for:
            self.waiting_for.add(dependency)
            self._metrics.waiting.labels(dependency).set(1)
            self._log.warning("dependency_away", dependency=dependency, detail=str(error))

    def _note_presence(self, dependency: str) -> None:
        if dependency in self.waiting_for:
            self.waiting_for.discard(dependency)
            self._metrics.waiting.labels(dependency).set(0)
            self._log.info("dependency_back", dependency=dependency)
