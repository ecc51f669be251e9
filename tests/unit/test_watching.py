"""What is written is compared with the watches: what matches, what counts, what is asked when and waited for."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from indexer.matcher import Matcher
from indexer.patience import Patience
from indexer.watching import Watching, WatchingParts, Written
from shared import hamming_scan, match
from shared.document import Document, Kind, attribute_terms
from shared.errors import StoreUnavailableError
from shared.event_log import Record
from shared.hash_code import hamming_distances
from shared.match import Match
from shared.metrics import IndexerMetrics
from shared.rolling_window import to_milliseconds
from shared.watch import NO_WATCHES, Watch, WatchList
from tests.fake_store import FakeStore
from tests.fakes import FakeWriter

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_MS = to_milliseconds(NOW)
ENCODER = "fake-16"
ZERO = b"\0\0"


def image(image_id: str = "a", version: int = 1, code: bytes = ZERO, **attributes: str) -> Document:
    return Document(
        image_id,
        Kind.IMAGE,
        version,
        True,
        NOW_MS,
        0,
        f"item of {image_id}",
        "https://x/",
        attributes,
        "",
        {ENCODER: code},
    )


def watch(watch_id: str = "w", codes: Sequence[bytes] = (ZERO,), radius: int = 0, **more: object) -> Watch:
    return replace(Watch(watch_id, 1, ENCODER, codes, radius), **more)  # type: ignore[arg-type]


@dataclass
class Rig:
    """Watching over fakes; `told` are the matches in the log."""

    store: FakeStore = field(default_factory=FakeStore)
    log: FakeWriter = field(default_factory=FakeWriter)
    metrics: IndexerMetrics = field(default_factory=lambda: IndexerMetrics(CollectorRegistry()))
    events: list[structlog.typing.EventDict] = field(default_factory=list)
    watching: Watching | None = None

    def publish(self, *watches: Watch) -> None:
        self.store.publish_watches(WatchList(self.store.watches_revision() + 1, watches))

    async def compare(self, *images: Document | Written) -> list[tuple[str, str, int]]:
        """Compare images as just written; gives (watch, image, distance) of what was appended by that."""
        assert self.watching is not None
        before = len(self.log.appended)
        written = [one if isinstance(one, Written) else Written(one.image_id, one.version, one) for one in images]
        await asyncio.wait_for(self.watching.compare(written), 5)
        return [(one.watch_id, one.image_id, one.distance) for one in self.told()[before:]]

    def told(self) -> list[Match]:
        records = [Record("0", 0, 1, new.timestamp_ms, new.key, new.value) for new in self.log.appended]
        return [found for record in records if (found := match.from_record(record)) is not None]


@asynccontextmanager
async def running() -> AsyncIterator[Rig]:
    rig = Rig()

    def keep(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        rig.events.append(event)
        raise structlog.DropEvent

    logger = structlog.wrap_logger(None, processors=[keep])
    patience = Patience(0.01, asyncio.sleep, random.Random(1), rig.metrics, logger)
    with ThreadPoolExecutor(1) as threads, hamming_scan.workers(1) as match_thread:
        rig.watching = Watching(
            WatchingParts(
                rig.store, rig.log, ENCODER, patience, rig.metrics, lambda: NOW, 3, threads, match_thread, logger
            )
        )
        yield rig


# Which match ----------------------------------------------------------------------------------------------------------


async def test_an_image_within_the_radius_of_any_code_of_a_watch_matches_once_by_its_nearest() -> None:
    async with running() as rig:
        rig.publish(watch("near", [b"\xff\xff", b"\x00\x07", b"\x00\x01"], 3), watch("far", [b"\x0f\xff"], 11))
        assert await rig.compare(image()) == [("near", "a", 1)]


async def test_a_match_tells_all_of_the_image_that_an_alert_shows() -> None:
    async with running() as rig:
        rig.publish(watch(codes=[b"\0\1"], radius=1, revision=7))
        await rig.compare(image(version=5, colour="blue"))
        told = Match("w", 7, "a", 5, 1, ZERO, ENCODER, NOW_MS, NOW_MS, "item of a", "https://x/", {"colour": "blue"})
        assert rig.told() == [told]
        assert [new.key for new in rig.log.appended] == [told.alert_id.encode()]
        assert rig.metrics.matches._value.get() == 1


async def test_each_inner_list_of_terms_needs_one_of_the_images() -> None:
    async with running() as rig:
        rig.publish(watch("red or blue", terms=[["colour=red", "colour=blue"]]), watch("big", terms=[["size=big"]]))
        found = await rig.compare(image("a", colour="blue"), image("b", colour="green"), image("c", size="big"))
        assert found == [("red or blue", "a", 0), ("big", "c", 0)]


def drawn(generator: np.random.Generator, count: int, size: int) -> list[bytes]:
    """Codes of which few bits are random, so that they are often near and often equal."""
    return [code.tobytes() for code in generator.integers(0, 4, (count, size), dtype=np.uint8)]


def distance(one: Watch, document: Document) -> int:
    codes = np.stack([np.frombuffer(code, np.uint8) for code in one.codes])
    return int(hamming_distances(document.codes[ENCODER], codes).min())


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 8, 32]), st.integers(1, 20), st.integers(1, 20))
def test_matches_are_those_of_comparing_each_with_each(seed: int, size: int, images: int, watches: int) -> None:
    generator = np.random.default_rng(seed)
    documents = [
        image(f"image-{n}", code=code, colour=generator.choice(["red", "blue"]))
        for n, code in enumerate(drawn(generator, images, size))
    ]
    watched = [
        watch(
            f"watch-{n}",
            drawn(generator, int(generator.integers(1, 4)), size),
            int(generator.integers(0, size * 8 + 1)),
            terms=[["colour=red"]] if generator.random() < 0.3 else [],
        )
        for n in range(watches)
    ]
    expected = [
        (one.watch_id, document.image_id, distance(one, document))
        for one in watched
        for document in documents
        if distance(one, document) <= one.radius and one.lets_through(attribute_terms(document.attributes))
    ]
    with hamming_scan.workers(1) as thread:
        told = thread.submit(lambda: list(Matcher(ENCODER, watched).matches(documents, 0))).result()
    found = [(one.watch_id, one.image_id, one.distance) for one in told]
    assert sorted(found) == sorted(expected)


async def test_watches_of_another_encoder_are_passed_over_and_said_once() -> None:
    async with running() as rig:
        rig.publish(watch("own"), watch("foreign", encoder_id="another-16"))
        for _ in range(3):
            assert await rig.compare(image()) == [("own", "a", 0)]
        assert (rig.metrics.watches._value.get(), rig.metrics.watches_foreign._value.get()) == (1, 1)
        rig.publish(watch("foreign", encoder_id="another-16"))
        assert await rig.compare(image()) == []
        assert [(one["event"], one["watches"]) for one in rig.events] == [("watches_of_another_encoder", 1)]


async def test_a_watch_whose_codes_are_shorter_than_the_encoders_matches_nothing() -> None:
    async with running() as rig:
        rig.publish(watch("short", [b"\0"], 8), watch("right"))
        assert await rig.compare(image()) == [("right", "a", 0)]


# Which count ----------------------------------------------------------------------------------------------------------


async def test_an_image_that_was_there_already_is_compared_by_its_stored_code() -> None:
    async with running() as rig:
        rig.publish(watch(codes=[b"\0\1"]))
        rig.store.write([image(code=b"\0\1", version=3)], NOW)
        assert await rig.compare(Written("a", 3), image("b", code=b"\0\1")) == [("w", "a", 0), ("w", "b", 0)]


@pytest.mark.parametrize(
    "stored",
    [
        image(version=4),
        Document("a", Kind.DELETED, 3, True, NOW_MS),
        Document("a", Kind.EXPIRED, 3, True, NOW_MS),
        replace(image(version=3), codes={"another-16": ZERO}),
        replace(image(version=3), event_time_ms=to_milliseconds(NOW - timedelta(days=100))),
    ],
    ids=["superseded", "deleted", "expired", "without a code", "outside the window"],
)
async def test_what_can_not_be_found_any_more_matches_nothing(stored: Document) -> None:
    async with running() as rig:
        rig.publish(watch(radius=16))
        rig.store.write([stored], NOW)
        assert await rig.compare(Written("a", 3), Written("unknown", 1)) == []


# When, and what is waited for -----------------------------------------------------------------------------------------


async def test_watches_count_from_their_publishing_to_their_end() -> None:
    async with running() as rig:
        assert await rig.compare(image("a")) == []
        rig.publish(watch("v"))
        assert await rig.compare(image("b")) == [("v", "b", 0)]
        rig.publish(watch("v", [b"\xff\xff"]), watch("w"))
        assert await rig.compare(image("c")) == [("w", "c", 0)]
        rig.publish()
        assert await rig.compare(image("d")) == []
        assert rig.metrics.watches._value.get() == 0


async def test_watches_that_the_store_has_lost_count_until_they_are_published_anew() -> None:
    async with running() as rig:
        rig.publish(watch("v"))
        rig.publish(watch("w"))
        await rig.compare(image("a"))
        rig.store._watches = NO_WATCHES
        assert await rig.compare(image("b")) == [("w", "b", 0)]
        rig.store.publish_watches(WatchList(3, [watch("x")]))
        assert await rig.compare(image("c")) == [("x", "c", 0)]


async def test_without_watches_a_batch_costs_one_question_for_the_revision() -> None:
    class Counting(FakeStore):
        def watches(self) -> WatchList:
            asked.append("watches")
            return super().watches()

        def watches_revision(self) -> int:
            asked.append("revision")
            return super().watches_revision()

        def documents(self, image_ids: Sequence[str]) -> dict[str, Document]:
            asked.append("documents")
            return dict(super().documents(image_ids))

    asked: list[str] = []
    async with running() as rig:
        store = Counting()
        assert rig.watching is not None
        rig.watching = Watching(replace(rig.watching._parts, store=store))
        await rig.compare(image("a"), Written("b", 1))
        assert asked == ["revision"]
        store.publish_watches(WatchList(1, [watch()]))
        await rig.compare(image("a"))
        await rig.compare(image("a"))
        assert asked == ["revision", "revision", "watches", "revision"]


async def test_a_log_that_is_away_is_waited_for() -> None:
    async with running() as rig:
        rig.publish(watch())
        rig.log.failures = 2
        assert await rig.compare(image()) == [("w", "a", 0)]
        assert rig.metrics.waits.labels("matches")._value.get() == 2


async def test_a_store_that_is_away_is_waited_for() -> None:
    class Away(FakeStore):
        failures = 2

        def watches_revision(self) -> int:
            if self.failures:
                self.failures -= 1
                raise StoreUnavailableError("the store is away")
            return super().watches_revision()

    async with running() as rig:
        store = Away()
        store.publish_watches(WatchList(1, [watch()]))
        assert rig.watching is not None
        rig.watching = Watching(replace(rig.watching._parts, store=store))
        assert await rig.compare(image()) == [("w", "a", 0)]
        assert store.failures == 0
