"""Watches reach the indexers through the store, and each new or changed one is run over the whole window at once.

Nothing is missed in between, whatever a worker's clock says: it asks for the list after a write is acknowledged. So an
image that it did not compare with a watch was acknowledged before the watch was published, and a search that sees all
that was acknowledged by then finds it. What both find is one alert.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from searcher.backend import Backend
from searcher.resident.hamming_sum import HammingSum
from searcher.search import Searcher
from searcher.strategies import Found, Query, StrategyName
from searcher.watching.taking import AlertTaker
from searcher.workbench.desk import Desk
from searcher.workbench.outbox import Lease
from searcher.workbench.watch_records import KeptWatch
from searcher.workbench.workbench import Workbench
from shared.document import Document
from shared.match import Match
from shared.rolling_window import to_milliseconds
from shared.store import NEIGHBOURS_MAX, Neighbour, Restriction

_LEASE = "window"
_LEASE_SECONDS = 60.0
_BATCH = 500
# An event time lies at most a day ahead of a worker's clock.
_AHEAD = timedelta(days=2)


class WatchDuty:
    """Publishes the active watches, and runs those over the window that have changed since they were last."""

    name = "watches"

    def __init__(
        self,
        backend: Backend,
        searcher: Searcher,
        desk: Desk,
        taker: AlertTaker,
        *,
        holder: str,
        now: Callable[[], datetime],
    ) -> None:
        """`holder` names this process among the searchers that share the workbench."""
        self._backend = backend
        self._searcher = searcher
        self._desk = desk
        self._taker = taker
        self._holder = holder
        self._now = now
        # The highest revision that the store was seen to have, and a moment by which it had it.
        self._published: tuple[int, datetime] = (0, now())
        self._log = structlog.get_logger()

    async def step(self) -> bool:
        """Publish what changed, and run what has not been run. A watch that must wait for something is met again."""
        revision = await self._desk.ask(lambda bench: bench.watches.revision())
        if not revision:
            return False
        await self._publish(revision)
        watches = await self._desk.ask(lambda bench: bench.watches.to_run())
        for watch in filter(self._can_run, watches):
            lease = await self._desk.ask(lambda bench: bench.outbox.lease(_LEASE, self._holder, _LEASE_SECONDS))
            if lease is None:
                break
            # Another searcher may have run it since the list was read, or somebody changed it.
            current = await self._desk.ask(partial(_watch, watch.watch_id))
            if current.ran_revision < watch.revision == current.revision:
                await self._run(watch)
            await self._desk.ask(partial(_release, lease))
        return False

    async def close(self) -> None:
        """Nothing is kept open."""

    async def _publish(self, revision: int) -> None:
        stored = await self._backend.ask(lambda store: store.watches_revision())
        if stored < revision:
            if stored < await self._desk.ask(lambda bench: bench.watches.ran_revision()):
                # What ran had been published: the store lost it, and nobody knows what was compared with nothing since.
                self._log.warning("watches_lost_by_the_store", stored=stored, here=revision)
                await self._desk.ask(lambda bench: bench.watches.rise_above(revision))
            watches = await self._desk.ask(lambda bench: bench.watches.active())
            await self._backend.ask(lambda store: store.publish_watches(watches))
            stored = watches.revision
        elif stored > revision:
            # The store's list is of a database that was here before; or of this one, changed since it was asked.
            current = await self._desk.ask(lambda bench: bench.watches.revision())
            if stored > current:
                self._log.warning("watches_of_another_database", stored=stored, here=current)
                await self._desk.ask(lambda bench: bench.watches.rise_above(stored))
                return
        if stored > self._published[0]:
            self._published = stored, self._now()

    async def _run(self, watch: KeptWatch) -> None:
        """Run a watch over the window, where what answers sees everything from before it was published."""
        seen: set[str] = set()
        for code in watch.codes:
            if not await self._run_code(watch, code, seen):
                return
        await self._desk.ask(lambda bench: bench.watches.ran(watch))
        self._log.info("watch_ran", watch_id=watch.watch_id, revision=watch.revision, images=len(seen))

    def _can_run(self, watch: KeptWatch) -> bool:
        # Images are compared by the active encoder; a watch of another one waits for new codes.
        encoder = self._backend.encoder
        return watch.revision <= self._published[0] and encoder is not None and encoder.encoder_id == watch.encoder_id

    async def _run_code(self, watch: KeptWatch, code: bytes, seen: set[str]) -> bool:
        visible_after_ms = self._searcher.visible_after_ms()
        spans = [(visible_after_ms + 1, to_milliseconds(self._now() + _AHEAD))]
        while spans:
            since_ms, until_ms = spans.pop()
            found = await self._nearest(
                watch,
                code,
                Restriction(visible_after_ms, watch.to_publish().terms, since_ms=since_ms, until_ms=until_ms),
            )
            if not found.exact or found.as_of <= self._published[1]:
                return False
            if not found.exhausted and until_ms - since_ms > 1:
                # More than one answer holds: half of the time each.
                middle = (since_ms + until_ms) // 2
                spans += [(since_ms, middle), (middle, until_ms)]
                continue
            if not found.exhausted:
                self._log.warning("window_run_cut", watch_id=watch.watch_id, event_time_ms=since_ms)
            new = [one for one in found.neighbours if one.document.image_id not in seen]
            seen.update(one.document.image_id for one in new)
            await self._raise(watch, new)
        return True

    async def _nearest(self, watch: KeptWatch, code: bytes, restriction: Restriction) -> Found:
        query = Query(watch.encoder_id, HammingSum.plain(code), NEIGHBOURS_MAX, watch.radius, restriction)
        return await self._searcher.strategies.nearest(StrategyName.AUTO, query)

    async def _raise(self, watch: KeptWatch, neighbours: Sequence[Neighbour]) -> None:
        for start in range(0, len(neighbours), _BATCH):
            documents = [one.document for one in neighbours[start : start + _BATCH]]
            if any(watch.encoder_id not in document.codes for document in documents):
                image_ids = [document.image_id for document in documents]
                stored = await self._backend.ask(lambda store: store.documents(image_ids))  # noqa: B023 (awaited here)
                documents = [document for document in stored.values() if document.live]
            await self._taker.take(list(self._matches(watch, documents)))

    def _matches(self, watch: KeptWatch, documents: Sequence[Document]) -> Iterator[Match]:
        now_ms = to_milliseconds(self._now())
        for document in documents:
            code = document.codes.get(watch.encoder_id)
            if code is not None:
                yield Match(
                    watch.watch_id,
                    watch.revision,
                    document.image_id,
                    document.version,
                    # The workbench measures for itself.
                    0,
                    code,
                    watch.encoder_id,
                    document.event_time_ms,
                    now_ms,
                    document.item_id,
                    document.image_url,
                    document.attributes,
                )


def _watch(watch_id: str, bench: Workbench) -> KeptWatch:
    return bench.watches.watch(watch_id)


def _release(lease: Lease, bench: Workbench) -> None:
    bench.outbox.release(lease)
