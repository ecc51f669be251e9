"""Lets the records of one image pass one after another, in the order in which they came."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Who waits for an image, by image id; an image that nobody asks for takes no memory."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._holders: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, image_id: str) -> AsyncIterator[None]:
        """Wait for all that asked for this image earlier, and keep it until the end."""
        lock = self._locks.setdefault(image_id, asyncio.Lock())
        self._holders[image_id] += 1
        try:
            async with lock:
                yield
        finally:
            self._holders[image_id] -= 1
            if not self._holders[image_id]:
                del self._holders[image_id], self._locks[image_id]
