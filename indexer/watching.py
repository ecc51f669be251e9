"""Compares what was written with the watches, and tells of matches in their log. A record is done only after that.

The order is the guarantee, and needs no clock. The searcher publishes a watch, and only then looks through the window
for it: what was written before the publishing is found there. A worker asks for the revision of the published watches
only after a write was acknowledged: what is written after the publishing is compared here. What is read again, because
a worker died in between, is found in the store and compared with the code that it has there.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog

from indexer.matcher import Matcher
from indexer.patience import Patience
from shared.document import Document
from shared.event_log import LogWriter, NewRecord
from shared.match import to_new_record
from shared.metrics import IndexerMetrics
from shared.rolling_window import is_inside, to_milliseconds
from shared.store import Store

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Written:
    """A version of an image that is in the store; `document` None where not this worker wrote it just now."""

    image_id: str
    version: int
    document: Document | None = None


@dataclass(frozen=True, slots=True)
class WatchingParts:
    """What watching works with; `indexer.running`, the simulator and the tests put it together."""

    store: Store
    matches: LogWriter
    encoder_id: str
    """Of the active encoder: watches of others are not compared."""
    patience: Patience
    metrics: IndexerMetrics
    now: Callable[[], datetime]
    window_months: int
    store_threads: Executor
    match_thread: Executor
    """One of `shared.hamming_scan.workers`: codes are compared, and matches appended, here."""
    log: structlog.typing.FilteringBoundLogger


@dataclass(frozen=True, slots=True)
class _Held:
    """The watches as they were read last."""

    revision: int = 0
    matcher: Matcher | None = None
    """None where there is nothing to compare with."""
    own: int = 0
    foreign: int = 0


class Watching:
    """Keeps the watches at hand; one call of `compare` at a time."""

    def __init__(self, parts: WatchingParts) -> None:
        self._parts = parts
        self._held = _Held()

    async def compare(self, images: Sequence[Written]) -> None:
        """Compare images with the watches as they are now, and return once all matches are durable in the log.

        What was superseded or deleted meanwhile, or has left the window, matches nothing. Waits for the store and for
        the log where they are away; ConfigurationError where the watches can't be read.
        """
        await self.refresh()
        matcher = self._held.matcher
        if matcher is None:
            return
        documents = await self._documents(images)
        if not documents:
            return
        loop, thread = asyncio.get_running_loop(), self._parts.match_thread
        records = await loop.run_in_executor(thread, self._records, matcher, documents)
        if records:
            await self._parts.patience.until_available(
                "matches", lambda: loop.run_in_executor(thread, self._parts.matches.append, records)
            )
            self._parts.metrics.matches.inc(len(records))

    async def refresh(self) -> None:
        """Read the watches anew where they have changed."""
        revision = await self._ask_store(lambda store: store.watches_revision())
        # A lower one is of a list that was lost, or restored from a backup: what is held counts until the next one.
        if revision > self._held.revision:
            before, self._held = self._held, await self._ask_store(self._read)
            self._note(before)

    def _read(self, store: Store) -> _Held:
        watches = store.watches()
        own = [one for one in watches.watches if one.encoder_id == self._parts.encoder_id]
        matcher = Matcher(self._parts.encoder_id, own) if own else None
        return _Held(watches.revision, matcher, len(own), len(watches.watches) - len(own))

    def _note(self, before: _Held) -> None:
        held, metrics = self._held, self._parts.metrics
        metrics.watches.set(held.own)
        metrics.watches_foreign.set(held.foreign)
        if held.foreign and held.foreign != before.foreign:
            detail = "their codes are of another encoder than the active one; they are not compared"
            self._parts.log.warning("watches_of_another_encoder", watches=held.foreign, detail=detail)

    async def _documents(self, images: Sequence[Written]) -> Sequence[Document]:
        """Those that are in the store in just this version, can be found, and have a code."""
        others = [one.image_id for one in images if one.document is None]
        stored: Mapping[str, Document] = {}
        if others:
            stored = await self._ask_store(lambda store: store.documents(others))
        found = [(one.version, one.document or stored.get(one.image_id)) for one in images]
        return [document for version, document in found if document is not None and self._counts(document, version)]

    def _counts(self, document: Document, version: int) -> bool:
        return (
            document.live
            and document.version == version
            and self._parts.encoder_id in document.codes
            and is_inside(document.event_time_ms, self._parts.now(), self._parts.window_months)
        )

    def _records(self, matcher: Matcher, documents: Sequence[Document]) -> list[NewRecord]:
        return [to_new_record(one) for one in matcher.matches(documents, to_milliseconds(self._parts.now()))]

    async def _ask_store(self, question: Callable[[Store], _Answer]) -> _Answer:
        def ask() -> Awaitable[_Answer]:
            return asyncio.get_running_loop().run_in_executor(self._parts.store_threads, question, self._parts.store)

        return await self._parts.patience.until_available("store", ask)
