"""What happens to one record, from its bytes to its outcome; `Pipeline.process` reads top-down as the stages run.

Each record is one coroutine. Stages that work in batches (plan, embed, write, match, dead-letter) gather the records
that wait for them; so the network, the decoder, the model and the store work at the same time, each on other records.
Nothing here knows Kafka, Elasticsearch, or a clock of its own.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import numpy as np

from indexer.batching import Batcher
from indexer.catalogue_event import CatalogueEvent, parse, resolve_leniently
from indexer.dead_letter_limit import Attempt, DeadLetterLimit
from indexer.dead_letters import DeadLetter, to_new_record
from indexer.pipeline_parts import PipelineParts
from indexer.planning import AddCode, IndexPicture, Outcome, Plan, Settled, WriteMarker, plan_event
from indexer.retries import Retry, next_retry
from indexer.retries import to_new_record as to_retry_record
from indexer.turns import Turns
from indexer.watching import Written
from shared.document import Document, Kind
from shared.encoding.copy_code import COPY_ENCODER_ID
from shared.errors import RejectedError, RejectionReason
from shared.event_log import LogWriter, NewRecord, Record
from shared.images.decoded import DecodedImage
from shared.rolling_window import to_milliseconds
from shared.settings import Settings
from shared.store import Store, WriteOutcome

_FRESH = frozenset({Outcome.INDEXED, Outcome.REUSED, Outcome.DELETED})

_Answer = TypeVar("_Answer")


class Pipeline:
    """Processes records, many at a time, those of one image one after the other."""

    def __init__(self, parts: PipelineParts, settings: Settings) -> None:
        self._parts = parts
        self._settings = settings
        self._turns = Turns()
        self._in_process = 0
        size = settings.write_batch_size

        def linger() -> float:
            return settings.linger_seconds

        self._plans: Batcher[CatalogueEvent, Plan] = Batcher(self._plan, size, linger)
        self._codes: Batcher[DecodedImage, bytes] = Batcher(self._encode, parts.encoder.batch_size, linger)
        self._writes: Batcher[Document, WriteOutcome] = Batcher(
            # However long a write waits and takes, half of what may be in flight is left to the stages before it.
            self._write,
            min(size, max(1, settings.in_flight_records_max // 4)),
            self._write_linger_seconds,
        )
        self._dead_letters: Batcher[DeadLetter, None] = Batcher(self._dead_letter, size, linger)
        self._retries: Batcher[Retry, None] = Batcher(self._retry, size, linger)
        # What was written together is compared together: there is nothing more to wait for.
        self._comparisons: Batcher[Written, None] = Batcher(self._compare, size, lambda: 0.0)
        self._limit = DeadLetterLimit(settings.dead_letters_consecutive_max, settings.dead_letters_share_max)

    async def run(self) -> None:
        """Run the stages that work in batches, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for batcher in (
                self._plans,
                self._codes,
                self._writes,
                self._comparisons,
                self._dead_letters,
                self._retries,
            ):
                group.create_task(batcher.run())

    async def process(self, record: Record, retry: Retry | None = None) -> Outcome:
        """Bring one record to its outcome; returns once that is durable.

        BadInputHaltError where it would be one dead letter too many.
        """
        started_ms = record.timestamp_ms
        if started_ms is None:
            started_ms = self._now_ms() if retry is None else retry.first_failed_ms
        self._in_process += 1
        try:
            with self._limit.attempt() as attempt:
                attempt.outcome = outcome = await self._process(record, retry, attempt)
        finally:
            self._in_process -= 1
        if outcome in _FRESH:
            self._parts.metrics.event_to_indexed_seconds.observe(max(0.0, (self._now_ms() - started_ms) / 1000))
        return outcome

    async def _process(self, record: Record, retry: Retry | None, attempt: Attempt) -> Outcome:
        try:
            event = parse(record, self._parts.now(), self._settings.event_bytes_max)
            async with self._turns.turn(event.image_id):
                return await self._index(event)
        except RejectedError as error:
            if error.retriable and self._has_retries_left(retry):
                return await self._try_again_later(record, retry)
            return await self._give_up(record, error, attempt)

    def _has_retries_left(self, retry: Retry | None) -> bool:
        done = 0 if retry is None else retry.number
        return self._parts.retries is not None and done < self._settings.fetch_retries

    async def _try_again_later(self, record: Record, before: Retry | None) -> Outcome:
        delay_ms = int(self._settings.fetch_retry_seconds * 1000)
        retry = next_retry(record, resolve_leniently(record), before, self._now_ms(), delay_ms)
        async with self._in_stage("retry"):
            await self._retries.submit(retry)
        return Outcome.RETRIED

    async def _give_up(self, record: Record, error: RejectedError, attempt: Attempt) -> Outcome:
        async with self._in_stage("dead_letter"):
            await self._limit.admit(attempt, error.reason, record, str(error))
            letter = DeadLetter(record, error.reason, str(error), resolve_leniently(record), self._now_ms())
            await self._dead_letters.submit(letter)
        self._parts.metrics.dead_letters.labels(error.reason).inc()
        return Outcome.DEAD_LETTERED

    async def _index(self, event: CatalogueEvent) -> Outcome:
        async with self._in_stage("plan"):
            plan = await self._plans.submit(event)
        match plan:
            case Settled(outcome):
                if outcome is Outcome.REPEATED and not event.deleted:
                    # Whoever wrote it may have died before comparing it.
                    await self._watched(Written(event.image_id, event.resolved.version))
                return outcome
            case WriteMarker(outcome, document):
                return await self._written(document, outcome)
            case IndexPicture(previous):
                content = await self._content(event)
                document, outcome = await self._document(event, content, previous)
                return await self._written(document, outcome)
            case AddCode(stored):
                content = await self._content(event)
                return await self._written(await self._with_code(stored, content), Outcome.INDEXED)

    async def _content(self, event: CatalogueEvent) -> bytes:
        if event.image_bytes is not None:
            if len(event.image_bytes) > self._settings.fetch_bytes_max:
                raise RejectedError(
                    RejectionReason.IMAGE_TOO_LARGE, f"more than {self._settings.fetch_bytes_max} bytes"
                )
            return event.image_bytes
        assert event.image_url is not None, "an event that is no delete has a picture"
        async with self._in_stage("fetch"), self._timed("fetch"):
            content = await self._parts.fetcher.fetch(event.image_url)
        self._parts.metrics.fetched_bytes.inc(len(content))
        return content

    async def _document(
        self, event: CatalogueEvent, content: bytes, previous: Document | None
    ) -> tuple[Document, Outcome]:
        digest = hashlib.sha256(content).hexdigest()
        document = Document(
            image_id=event.image_id,
            kind=Kind.IMAGE,
            version=event.resolved.version,
            version_explicit=event.resolved.version_explicit,
            event_time_ms=event.event_time_ms,
            indexed_at_ms=to_milliseconds(self._parts.now()),
            item_id=event.item_id,
            image_url=event.image_url,
            attributes=event.attributes,
            content_sha256=digest,
        )
        of_this_picture = previous.codes if previous is not None and previous.content_sha256 == digest else {}
        if self._wanted_codes() <= of_this_picture.keys():
            thumbnail = await self._kept_thumbnail(event.image_id)
            if thumbnail is not None or not self._settings.thumbnails:
                return replace(document, codes=of_this_picture, thumbnail=thumbnail), Outcome.REUSED
        codes, thumbnail = await self._coded(content, of_this_picture)
        outcome = Outcome.REUSED if self._parts.encoder.encoder_id in of_this_picture else Outcome.INDEXED
        return replace(document, codes=codes, thumbnail=thumbnail), outcome

    async def _with_code(self, stored: Document, content: bytes) -> Document:
        """The stored document with a code of this picture beside those it has."""
        codes, thumbnail = await self._coded(content, {})
        digest = hashlib.sha256(content).hexdigest()
        # Where the picture behind the URL has changed, the codes are of several pictures, and no update may reuse them.
        one_picture = not stored.codes or stored.content_sha256 == digest
        return replace(
            stored,
            codes={**stored.codes, **codes},
            content_sha256=digest if one_picture else "",
            thumbnail=thumbnail,
        )

    def _wanted_codes(self) -> set[str]:
        own = {self._parts.encoder.encoder_id}
        # A picture too flat for a copy code is decoded again at each update. There are few.
        return own | {COPY_ENCODER_ID} if self._settings.copy_codes else own

    async def _coded(self, content: bytes, known: Mapping[str, bytes]) -> tuple[Mapping[str, bytes], bytes | None]:
        """The codes of a picture by encoder id, beside those that are `known` of it, and its thumbnail where one is
        kept. It is not embedded again."""
        async with self._in_stage("decode"), self._timed("decode"):
            decoded = await self._parts.decoder.decode(content, thumbnail=self._settings.thumbnails)
        codes = dict(known)
        if self._parts.encoder.encoder_id not in known:
            async with self._in_stage("embed"):
                codes[self._parts.encoder.encoder_id] = await self._codes.submit(decoded)
        if decoded.copy_code is not None:
            codes[COPY_ENCODER_ID] = decoded.copy_code
        return codes, decoded.thumbnail

    async def _kept_thumbnail(self, image_id: str) -> bytes | None:
        if not self._settings.thumbnails:
            return None
        return await self._ask_store(lambda store: store.thumbnail(image_id))

    async def _written(self, document: Document, outcome: Outcome) -> Outcome:
        async with self._in_stage("write"):
            written = await self._writes.submit(document)
        if document.live and written is not WriteOutcome.SUPERSEDED:
            own = document if written is WriteOutcome.WRITTEN else None
            await self._watched(Written(document.image_id, document.version, own))
        return {WriteOutcome.WRITTEN: outcome, WriteOutcome.REPEATED: Outcome.REPEATED}.get(written, Outcome.SUPERSEDED)

    async def _watched(self, written: Written) -> None:
        if self._parts.watching is not None:
            async with self._in_stage("match"):
                await self._comparisons.submit(written)

    # The stages that work in batches ------------------------------------------------------------------------------

    def _write_linger_seconds(self) -> float:
        """Long where records queue: they wait anyway, and fewer requests leave more of the machine to the rest."""
        settings = self._settings
        crowded = self._in_process > settings.in_flight_records_max // 2
        return settings.write_linger_seconds if crowded else settings.linger_seconds

    async def _plan(self, events: Sequence[CatalogueEvent]) -> Sequence[Plan | Exception]:
        self._parts.metrics.batch_size.labels("plan").observe(len(events))
        image_ids = [event.image_id for event in events]
        async with self._timed("plan"):
            stored = await self._ask_store(lambda store: store.settle(image_ids))
        now = self._parts.now()
        return [self._plan_one(event, stored.get(event.image_id), now) for event in events]

    def _plan_one(self, event: CatalogueEvent, stored: Document | None, now: datetime) -> Plan | Exception:
        try:
            return plan_event(event, stored, now, self._settings.window_months, self._parts.encoder.encoder_id)
        except RejectedError as error:
            return error

    async def _encode(self, images: Sequence[DecodedImage]) -> Sequence[bytes | Exception]:
        self._parts.metrics.batch_size.labels("embed").observe(len(images))
        pixels = np.stack([image.pixels for image in images])
        async with self._timed("embed"):
            loop = asyncio.get_running_loop()
            codes, finite = await loop.run_in_executor(self._parts.model_thread, self._parts.encoder.encode, pixels)
        not_finite = RejectedError(
            RejectionReason.EMBEDDING_NOT_FINITE, "the network gave NaN or infinity, or ran out of memory"
        )
        return [code.tobytes() if ok else not_finite for code, ok in zip(codes, finite, strict=True)]

    async def _write(self, documents: Sequence[Document]) -> Sequence[WriteOutcome | Exception]:
        self._parts.metrics.batch_size.labels("write").observe(len(documents))
        async with self._timed("write"):
            # Tried again in the same month: a try that is carried out late must meet its own version there.
            now = self._parts.now()
            return await self._ask_store(lambda store: store.write(documents, now))

    async def _compare(self, images: Sequence[Written]) -> Sequence[Exception | None]:
        assert self._parts.watching is not None, "without it nothing is submitted"
        self._parts.metrics.batch_size.labels("match").observe(len(images))
        async with self._timed("match"):
            await self._parts.watching.compare(images)
        return [None] * len(images)

    async def _dead_letter(self, letters: Sequence[DeadLetter]) -> Sequence[Exception | None]:
        await self._append("dead_letter", "dead_letters", self._parts.dead_letters, list(map(to_new_record, letters)))
        return [None] * len(letters)

    async def _retry(self, retries: Sequence[Retry]) -> Sequence[Exception | None]:
        assert self._parts.retries is not None, "without the log nothing is submitted"
        await self._append("retry", "retries", self._parts.retries, list(map(to_retry_record, retries)))
        return [None] * len(retries)

    async def _append(self, stage: str, dependency: str, log: LogWriter, records: Sequence[NewRecord]) -> None:
        self._parts.metrics.batch_size.labels(stage).observe(len(records))
        loop = asyncio.get_running_loop()

        def append() -> Awaitable[None]:
            return loop.run_in_executor(self._parts.dead_letter_thread, log.append, records)

        async with self._timed(stage):
            await self._parts.patience.until_available(dependency, append)

    async def _ask_store(self, question: Callable[[Store], _Answer]) -> _Answer:
        def ask() -> Awaitable[_Answer]:
            return asyncio.get_running_loop().run_in_executor(self._parts.store_threads, question, self._parts.store)

        return await self._parts.patience.until_available("store", ask)

    def _now_ms(self) -> int:
        return to_milliseconds(self._parts.now())

    @asynccontextmanager
    async def _in_stage(self, stage: str) -> AsyncIterator[None]:
        depth = self._parts.metrics.queue_depth.labels(stage)
        depth.inc()
        try:
            yield
        finally:
            depth.dec()

    @asynccontextmanager
    async def _timed(self, stage: str) -> AsyncIterator[None]:
        clock = asyncio.get_running_loop().time
        start = clock()
        yield
        self._parts.metrics.stage_seconds.labels(stage).observe(clock() - start)
