"""Drops the months that hold no visible image any more: housekeeping, for what may be shown is filtered exactly."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from datetime import datetime

import structlog

from indexer.patience import Patience
from shared.store import Store

_INTERVAL_SECONDS = 600.0


async def keep_dropping_expired(
    store: Store,
    *,
    window_months: int,
    now: Callable[[], datetime],
    threads: Executor | None,
    patience: Patience,
    log: structlog.typing.FilteringBoundLogger,
) -> None:
    """Look now and every ten minutes, on one of `threads` (None: the event loop's own), until cancelled."""

    def drop() -> Awaitable[Sequence[str]]:
        return asyncio.get_running_loop().run_in_executor(threads, store.drop_expired, now(), window_months)

    while True:
        if months := await patience.until_available("store", drop):
            log.info("months_dropped", months=list(months))
        await asyncio.sleep(_INTERVAL_SECONDS)
