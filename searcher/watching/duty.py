"""Duties: what is done again and again beside answering. What one needs may be away: it waits, and says so once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from searcher.backend import QueryTimeoutError
from shared.errors import BadInputHaltError, CatalogueError, ConfigurationError, DependencyUnavailableError
from shared.metrics import SearcherMetrics

_PAUSE_SECONDS = 1.0
# What a person must mend is looked at less often.
_HALT_SECONDS = 30.0
_AWAY = (DependencyUnavailableError, QueryTimeoutError)
_WRONG = (ConfigurationError, BadInputHaltError)


class Duty(Protocol):
    """Something that is done in steps, each of which may be done again where it failed."""

    @property
    def name(self) -> str:
        """What it is called in logs and metrics."""

    async def step(self) -> bool:
        """Do what there is to do, or some of it; whether there is more at once."""

    async def close(self) -> None:
        """Free connections and files."""


async def attend(
    duty: Duty, metrics: SearcherMetrics, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Do a duty until cancelled. Searching goes on whatever it waits for."""
    log = structlog.get_logger().bind(duty=duty.name)
    waiting = metrics.duty_waiting.labels(duty.name)
    told = False
    while True:
        pause = _PAUSE_SECONDS
        try:
            more = await duty.step()
        except (*_AWAY, *_WRONG) as error:
            more, pause = False, _PAUSE_SECONDS if isinstance(error, _AWAY) else _HALT_SECONDS
            if not told:
                told = True
                waiting.set(1)
                log.log(_level(error), "duty_waits", detail=str(error))
        else:
            if told:
                told = False
                log.info("duty_goes_on")
            waiting.set(0)
        await sleep(0 if more else pause)


def _level(error: CatalogueError) -> int:
    return 30 if isinstance(error, _AWAY) else 40
