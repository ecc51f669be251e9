"""Groups single submissions into batches: many coroutines each submit one item, one call handles them together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

_ASK_AGAIN_SECONDS = 0.05

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Runs `handle` on up to `size_max` waiting items at a time, one call after another.

    A batch goes when it is full or when its first item has waited `linger_seconds()`, which is asked again and again
    meanwhile. `handle` gives one result for each item, in order; a result that is an exception is raised to the
    submitter of its item alone, an exception that `handle` raises goes to all of them.
    """

    def __init__(
        self,
        handle: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        size_max: int,
        linger_seconds: Callable[[], float],
    ) -> None:
        self._handle = handle
        self._size_max = size_max
        self._linger_seconds = linger_seconds
        # Each with its time of arrival.
        self._waiting: deque[tuple[Item, asyncio.Future[Result], float]] = deque()
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()

    async def submit(self, item: Item) -> Result:
        """Wait for the batch that this item goes into, and give the item's result."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future, loop.time()))
        self._arrived.set()
        if len(self._waiting) >= self._size_max:
            self._full.set()
        return await future

    async def run(self) -> None:
        """Handle batches until cancelled."""
        while True:
            await self._arrived.wait()
            if len(self._waiting) < self._size_max:
                await self._linger()
            batch = [self._waiting.popleft() for _ in range(min(self._size_max, len(self._waiting)))]
            if not self._waiting:
                self._arrived.clear()
            if len(self._waiting) < self._size_max:
                self._full.clear()
            await self._run_batch([(item, future) for item, future, _ in batch if not future.done()])

    async def _linger(self) -> None:
        """Wait as long as the first item may, counted from its arrival, which may lie within the last batch's time."""
        _, _, arrived = self._waiting[0]
        clock = asyncio.get_running_loop().time
        while not self._full.is_set() and (left := arrived + self._linger_seconds() - clock()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _ASK_AGAIN_SECONDS)):
                    await self._full.wait()

    async def _run_batch(self, batch: list[tuple[Item, "asyncio.Future[Result]"]]) -> None:
        if not batch:
            return
        try:
            results = await self._handle([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 (whatever it is, it belongs to the submitters, who wait for it)
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
