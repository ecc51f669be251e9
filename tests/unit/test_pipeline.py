"""One record, from its bytes to its outcome."""

import asyncio
import base64
import json
import random
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from indexer.dead_letters import DeadLetter, from_record
from indexer.patience import Patience
from indexer.pipeline import Pipeline
from indexer.pipeline_parts import PipelineParts
from indexer.planning import Outcome
from indexer.watching import Watching, WatchingParts
from shared.document import Kind
from shared.encoding.copy_code import COPY_ENCODER_ID
from shared.errors import RejectionReason, StoreUnavailableError
from shared.event_log import Record
from shared.metrics import IndexerMetrics
from shared.rolling_window import to_milliseconds
from shared.settings import Settings
from shared.watch import Watch, WatchList
from tests.fake_store import FakeStore
from tests.fakes import FakeDecoder, FakeEncoder, FakeFetcher, FakeWriter

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Rig:
    """A pipeline over fakes; `put` processes one event."""

    store: FakeStore = field(default_factory=FakeStore)
    fetcher: FakeFetcher = field(default_factory=FakeFetcher)
    decoder: FakeDecoder = field(default_factory=FakeDecoder)
    encoder: FakeEncoder = field(default_factory=FakeEncoder)
    dead_letters: FakeWriter = field(default_factory=FakeWriter)
    matches: FakeWriter = field(default_factory=FakeWriter)
    clock: datetime = NOW
    pipeline: Pipeline | None = None
    _offset: int = 0

    async def put(self, value: object, key: str | None = None) -> Outcome:
        assert self.pipeline is not None
        data = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
        self._offset += 1
        record = Record("p", self._offset, self._offset + 1, to_milliseconds(NOW), key.encode() if key else None, data)
        return await asyncio.wait_for(self.pipeline.process(record), 5)

    def document(self, image_id: str) -> Any:
        return self.store.settle([image_id]).get(image_id)

    def letters(self) -> list[DeadLetter]:
        records = [
            Record("dead", n, n + 1, 0, new.key, new.value, new.headers)
            for n, new in enumerate(self.dead_letters.appended)
        ]
        return [letter for record in records if (letter := from_record(record)) is not None]


@asynccontextmanager
async def running(**changed: object) -> AsyncIterator[Rig]:
    settings = Settings(_env_file=None, **{"linger_seconds": 0.001, "write_linger_seconds": 0.001} | changed)  # type: ignore[arg-type]
    metrics = IndexerMetrics(CollectorRegistry())
    rig = Rig()
    patience = Patience(0.01, asyncio.sleep, random.Random(1), metrics, structlog.get_logger())
    with ThreadPoolExecutor(1) as threads, ThreadPoolExecutor(1) as model, ThreadPoolExecutor(1) as letters:
        watching = Watching(
            WatchingParts(
                rig.store,
                rig.matches,
                rig.encoder.encoder_id,
                patience,
                metrics,
                lambda: rig.clock,
                settings.window_months,
                threads,
                letters,
                structlog.get_logger(),
            )
        )
        parts = PipelineParts(
            rig.store,
            rig.fetcher,
            rig.decoder,
            rig.encoder,
            rig.dead_letters,
            patience,
            metrics,
            lambda: rig.clock,
            threads,
            model,
            letters,
            watching=watching,
        )
        rig.pipeline = Pipeline(parts, settings)
        task = asyncio.create_task(rig.pipeline.run())
        try:
            yield rig
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def gathered(*puts: Coroutine[Any, Any, Outcome]) -> list[Outcome]:
    """The outcomes of events that are processed at the same time."""
    return list(await asyncio.gather(*puts))


def event(image_id: str = "a", version: int = 1, picture: bytes = b"picture", **more: object) -> dict[str, object]:
    encoded = base64.b64encode(picture).decode()
    return {
        "image_id": image_id,
        "version": version,
        "event_time": NOW.isoformat(),
        "image": {"bytes": encoded},
        **more,
    }


async def test_a_new_image_gets_a_document_with_its_code_and_thumbnail() -> None:
    async with running() as rig:
        assert await rig.put(event(item_id="i", attributes={"colour": "blue"})) is Outcome.INDEXED
        document = rig.document("a")
        assert (document.kind, document.version, document.item_id) == (Kind.IMAGE, 1, "i")
        assert list(document.codes) == ["fake-256"]
        assert document.attributes == {"colour": "blue"}
        assert rig.store.thumbnail("a") == b"thumbnail of picture"


async def test_an_event_sent_again_adds_the_encoders_code_and_leaves_the_rest() -> None:
    async with running() as rig:
        rig.encoder.encoder_id = "before-256"
        await rig.put(event(attributes={"colour": "blue"}))
        before = rig.document("a")
        rig.encoder.encoder_id = "after-256"
        assert await rig.put(event(attributes={"colour": "red"})) is Outcome.INDEXED
        codes = {"before-256": before.codes["before-256"], "after-256": before.codes["before-256"]}
        assert rig.document("a") == replace(before, codes=codes)
        assert rig.store.thumbnail("a") == b"thumbnail of picture"
        assert await rig.put(event()) is Outcome.REPEATED
        assert await rig.put(event(version=2)) is Outcome.REUSED
        assert rig.document("a").codes == codes


async def test_each_image_gets_a_copy_code_beside_the_encoders_where_these_are_kept() -> None:
    async with running(copy_codes=True) as rig:
        rig.decoder.copy_codes = True
        await rig.put(event())
        before = rig.document("a").codes
        assert set(before) == {"fake-256", COPY_ENCODER_ID}
        assert await rig.put(event(version=2)) is Outcome.REUSED
        assert rig.document("a").codes == before
        await rig.put(event(version=3, picture=b"flat"))
        assert set(rig.document("a").codes) == {"fake-256"}
        assert await rig.put(event(version=4, picture=b"flat")) is Outcome.REUSED, "nothing is embedded twice"


async def test_an_update_adds_the_copy_code_of_an_image_from_before_they_were_kept() -> None:
    async with running(copy_codes=True) as rig:
        await rig.put(event())
        before = rig.document("a").codes
        rig.decoder.copy_codes = True
        assert await rig.put(event(version=2)) is Outcome.REUSED, "the picture is decoded again, but not embedded"
        after = rig.document("a").codes
        assert after.keys() == {"fake-256", COPY_ENCODER_ID}
        assert before.items() <= after.items()


async def test_an_update_with_the_same_picture_keeps_the_codes_of_other_encoders() -> None:
    async with running() as rig:
        rig.encoder.encoder_id = "before-256"
        await rig.put(event())
        rig.encoder.encoder_id = "after-256"
        assert await rig.put(event(version=2)) is Outcome.INDEXED
        assert set(rig.document("a").codes) == {"before-256", "after-256"}
        assert await rig.put(event(version=3, picture=b"another")) is Outcome.INDEXED
        assert set(rig.document("a").codes) == {"after-256"}


async def test_codes_of_two_pictures_are_not_reused_by_an_update() -> None:
    async with running() as rig:
        rig.encoder.encoder_id = "before-256"
        await rig.put(event())
        rig.encoder.encoder_id = "after-256"
        assert await rig.put(event(picture=b"another behind the same URL")) is Outcome.INDEXED
        assert set(rig.document("a").codes) == {"before-256", "after-256"}
        assert await rig.put(event(version=2, picture=b"another behind the same URL")) is Outcome.INDEXED
        assert set(rig.document("a").codes) == {"after-256"}


async def test_no_thumbnail_is_kept_where_the_setting_says_so() -> None:
    async with running(thumbnails=False) as rig:
        await rig.put(event())
        assert rig.store.thumbnail("a") is None


async def test_an_unchanged_picture_is_not_embedded_again_and_keeps_code_and_thumbnail() -> None:
    async with running() as rig:
        await rig.put(event())
        code = rig.document("a").codes
        assert await rig.put(event(version=2, attributes={"price": 3})) is Outcome.REUSED
        assert rig.decoder.decoded == 1
        assert rig.document("a").codes == code
        assert rig.document("a").attributes == {"price": 3}
        assert rig.store.thumbnail("a") == b"thumbnail of picture"


async def test_a_changed_picture_is_embedded_again() -> None:
    async with running() as rig:
        await rig.put(event())
        code = rig.document("a").codes
        assert await rig.put(event(version=2, picture=b"another")) is Outcome.INDEXED
        assert rig.document("a").codes != code


async def test_versions_decide_whatever_the_order() -> None:
    async with running() as rig:
        assert await rig.put(event(version=2, picture=b"two")) is Outcome.INDEXED
        assert await rig.put(event(version=1, picture=b"one")) is Outcome.SUPERSEDED
        assert await rig.put(event(version=2, picture=b"other two")) is Outcome.REPEATED
        assert rig.store.thumbnail("a") == b"thumbnail of two"


async def test_a_delete_removes_and_keeps_older_versions_out() -> None:
    async with running() as rig:
        await rig.put(event())
        gone = {"image_id": "a", "version": 3, "event_time": NOW.isoformat(), "deleted": True}
        assert await rig.put(gone) is Outcome.DELETED
        assert await rig.put(event(version=2)) is Outcome.SUPERSEDED
        assert rig.document("a").kind is Kind.DELETED
        assert await rig.put(event(version=4)) is Outcome.INDEXED


async def test_a_null_value_deletes_an_image_without_explicit_versions() -> None:
    async with running() as rig:
        earlier = (NOW - timedelta(hours=1)).isoformat()
        await rig.put({"image_id": "a", "event_time": earlier, "image": {"bytes": "aGk="}})
        assert await rig.put(None, key="a") is Outcome.DELETED


async def test_a_null_value_after_explicit_versions_is_a_dead_letter() -> None:
    async with running() as rig:
        await rig.put(event())
        assert await rig.put(None, key="a") is Outcome.DEAD_LETTERED
        assert rig.letters()[0].reason is RejectionReason.VERSION_MIXED
        assert rig.document("a").live


async def test_an_event_outside_the_window_hides_the_image() -> None:
    async with running() as rig:
        await rig.put(event())
        old = event(version=2) | {"event_time": (NOW - timedelta(days=100)).isoformat()}
        assert await rig.put(old) is Outcome.EXPIRED
        assert rig.fetcher.fetched == []
        assert rig.document("a").kind is Kind.EXPIRED


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", RejectionReason.EVENT_NOT_JSON),
        (b"[]", RejectionReason.EVENT_INVALID),
        ({"event_time": "2026-11-20T10:00:00Z", "image": {"url": "https://h/x"}}, RejectionReason.EVENT_INVALID),
        (event(version="seven"), RejectionReason.EVENT_INVALID),  # type: ignore[arg-type]
        (event(picture=b"broken"), RejectionReason.IMAGE_UNDECODABLE),
        (event(picture=b"x" * 2000), RejectionReason.IMAGE_TOO_LARGE),
        (event(attributes={"a": "x" * 5000}), RejectionReason.EVENT_TOO_LARGE),
        (event() | {"image": {"url": "https://host/404.jpg"}}, RejectionReason.IMAGE_NOT_FOUND),
        (event() | {"event_time": "2026-11-22T10:00:00Z"}, RejectionReason.EVENT_FROM_THE_FUTURE),
    ],
)
async def test_bad_input_is_a_dead_letter_with_its_bytes_and_its_neighbours_are_indexed(
    bad: object, reason: RejectionReason
) -> None:
    async with running(event_bytes_max=4096, fetch_bytes_max=1024) as rig:
        outcomes = await gathered(rig.put(event("before")), rig.put(bad), rig.put(event("after")))
        assert outcomes == [Outcome.INDEXED, Outcome.DEAD_LETTERED, Outcome.INDEXED]
        (letter,) = rig.letters()
        assert letter.reason is reason
        assert letter.record.value == (bad if isinstance(bad, bytes) else json.dumps(bad).encode())
        assert (letter.record.partition, letter.record.offset) == ("p", 2)


async def test_an_embedding_that_is_not_finite_is_a_dead_letter() -> None:
    async with running() as rig:
        pixels = (await rig.decoder.decode(b"poison", thumbnail=False)).pixels
        rig.encoder.poison = pixels.tobytes()[:32]
        outcomes = await gathered(rig.put(event("good")), rig.put(event("bad", picture=b"poison")))
        assert outcomes == [Outcome.INDEXED, Outcome.DEAD_LETTERED]
        assert rig.letters()[0].reason is RejectionReason.EMBEDDING_NOT_FINITE


async def test_pictures_that_wait_together_are_embedded_together() -> None:
    async with running() as rig:
        await asyncio.gather(*(rig.put(event(f"image-{n}", picture=b"%d" % n)) for n in range(8)))
        assert max(rig.encoder.batches) == 4


async def test_writes_of_a_worker_with_many_records_in_flight_wait_until_they_are_full() -> None:
    async with running(in_flight_records_max=24, write_linger_seconds=10, linger_seconds=0) as rig:
        assert await gathered(*(rig.put(event(f"{n}")) for n in range(20))) == [Outcome.INDEXED] * 20
        # Fours come from the encoder. The last ones are too few to wait.
        assert rig.store.writes[:2] == [6, 6]


async def test_a_write_of_a_worker_with_few_records_in_flight_does_not_wait_for_more() -> None:
    async with running(in_flight_records_max=16, write_linger_seconds=10, linger_seconds=0) as rig:
        assert await gathered(*(rig.put(event(f"{n}")) for n in range(2))) == [Outcome.INDEXED] * 2


async def test_events_of_one_image_pass_in_the_order_in_which_they_came() -> None:
    async with running() as rig:
        rig.fetcher.pictures = {"https://host/slow.jpg": b"slow"}
        rig.fetcher.held = {"https://host/slow.jpg": asyncio.Event()}
        first = asyncio.create_task(rig.put(event() | {"image": {"url": "https://host/slow.jpg"}}))
        second = asyncio.create_task(rig.put(event(picture=b"fast")))
        other = await rig.put(event("other"))
        assert (other, second.done()) == (Outcome.INDEXED, False)
        rig.fetcher.held["https://host/slow.jpg"].set()
        assert [await first, await second] == [Outcome.INDEXED, Outcome.REPEATED]
        assert rig.store.thumbnail("a") == b"thumbnail of slow"


async def test_a_store_that_is_away_is_waited_for() -> None:
    class Away(FakeStore):
        failures = 3

        def write(self, *arguments: Any) -> Any:
            if self.failures:
                self.failures -= 1
                raise StoreUnavailableError("the store is away")
            return super().write(*arguments)

    async with running() as rig:
        away = Away()
        assert rig.pipeline is not None
        rig.store.write = away.write  # type: ignore[method-assign, assignment]
        assert await rig.put(event()) is Outcome.INDEXED
        assert away.failures == 0


async def test_a_write_is_tried_again_in_the_month_of_its_first_try() -> None:
    """The store may carry out the first try late; only in the same month is it then refused for its version."""
    moments: list[datetime] = []

    class Late(FakeStore):
        def write(self, documents: Any, now: datetime) -> Any:
            moments.append(now)
            if len(moments) == 1:
                rig.clock = NOW + timedelta(days=20)
                raise StoreUnavailableError("no reply came")
            return super().write(documents, now)

    async with running() as rig:
        late = Late()
        rig.store.write = late.write  # type: ignore[method-assign]
        assert await rig.put(event()) is Outcome.INDEXED
        assert moments == [NOW, NOW]


async def test_a_dead_letter_log_that_is_away_is_waited_for() -> None:
    async with running() as rig:
        rig.dead_letters.failures = 2
        assert await rig.put(b"{") is Outcome.DEAD_LETTERED
        assert len(rig.letters()) == 1


def matched(rig: Rig) -> list[tuple[str, int]]:
    told = [json.loads(new.value or b"") for new in rig.matches.appended]
    return [(one["image_id"], one["version"]) for one in told]


async def test_a_record_is_done_once_its_matches_with_watches_are_told() -> None:
    async with running() as rig:
        assert await rig.put(event()) is Outcome.INDEXED
        assert matched(rig) == []
        rig.store.publish_watches(WatchList(1, [Watch("w", 1, "fake-256", [bytes(32)], 256)]))
        rig.matches.failures = 2
        await gathered(rig.put(event("b")), rig.put(event("c", picture=b"another")))
        assert sorted(matched(rig)) == [("b", 1), ("c", 1)]
        assert await rig.put(event("b", 2, attributes={"price": 3})) is Outcome.REUSED
        assert matched(rig)[2:] == [("b", 2)]


async def test_what_a_worker_before_may_have_left_unmatched_is_matched_when_it_is_read_again() -> None:
    async with running() as rig:
        for known in ("repeated", "superseded", "deleted"):
            await rig.put(event(known))
        await rig.put(event("superseded", 2))
        gone = {"image_id": "deleted", "version": 2, "event_time": NOW.isoformat(), "deleted": True}
        await rig.put(gone)
        rig.store.publish_watches(WatchList(1, [Watch("w", 1, "fake-256", [bytes(32)], 256)]))
        again = [rig.put(event(known)) for known in ("repeated", "superseded", "deleted")]
        assert await gathered(*again, rig.put(gone)) == [
            Outcome.REPEATED,
            Outcome.SUPERSEDED,
            Outcome.SUPERSEDED,
            Outcome.REPEATED,
        ]
        assert matched(rig) == [("repeated", 1)]


async def test_what_another_worker_wrote_meanwhile_is_matched_by_what_it_wrote() -> None:
    async with running() as rig:
        rig.store.publish_watches(WatchList(1, [Watch("w", 1, "fake-256", [bytes(32)], 256)]))
        write = rig.store.write

        def overtaken(documents: Any, now: datetime) -> Any:
            write([replace(one, attributes={"by": "the other"}) for one in documents], now)
            return write(documents, now)

        rig.store.write = overtaken  # type: ignore[method-assign]
        assert await rig.put(event()) is Outcome.REPEATED
        assert [json.loads(new.value or b"")["attributes"] for new in rig.matches.appended] == [{"by": "the other"}]
