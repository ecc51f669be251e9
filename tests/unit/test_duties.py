"""What a searcher does beside answering: runs over the window, matches that become alerts, events that go out once."""

import asyncio
import base64
import json
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from searcher.watching import window_run
from searcher.watching.duty import Duty, attend
from searcher.watching.publishing import PublishDuty
from searcher.watching.taking import AlertTaker, MatchDuty
from searcher.watching.webhooks import Retrying, WebhookDuty, signer_of
from searcher.watching.window_run import WatchDuty
from searcher.workbench.database import WorkbenchUnavailableError
from searcher.workbench.desk import Desk
from searcher.workbench.outbox import LeaseLostError, Stream
from searcher.workbench.records import CaseSeed
from searcher.workbench.watch_records import DeliveryState, KeptWatch, NewWatch, WatchState
from searcher.workbench.workbench import Workbench
from shared.errors import ConfigurationError, EventLogUnavailableError, RejectedError, RejectionReason
from shared.event_log import LogScanner, NewRecord, PublishedWriter
from shared.event_log.opening import open_published_scanner, open_published_writer
from shared.match import Match, to_new_record
from shared.settings import Settings
from shared.watch import WatchList
from tests.fakes import FakeReader
from tests.searchers import ENCODER, FakeSearcher, code_near, fake_searcher, image

CODE = bytes(32)
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
RECEIVER = "https://receiver.example/hook"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[FakeSearcher]:
    settings = {"workbench_url": f"sqlite://{tmp_path}/workbench.db", "events_url": f"file://{tmp_path}/events.jsonl"}
    with fake_searcher(webhook_urls=RECEIVER, **settings) as found:
        yield found


@pytest.fixture
def bench(made: FakeSearcher) -> Iterator[Workbench]:
    found = Workbench.of(made.settings, lambda: made.now)
    yield found
    found.close()


@pytest.fixture
def desk(bench: Workbench) -> Desk:
    return Desk(lambda: bench, 20.0)


@pytest.fixture
def taker(made: FakeSearcher, desk: Desk) -> AlertTaker:
    return AlertTaker(desk, {"white page"}, made.parts.metrics)


@pytest.fixture
def watching(made: FakeSearcher, desk: Desk, taker: AlertTaker) -> WatchDuty:
    return WatchDuty(made.backend, made.searcher, desk, taker, holder="a", now=lambda: made.now)


def opened(bench: Workbench, *codes: bytes, radius: int = 10) -> KeptWatch:
    case = bench.ledger.open_case("Mugs", "", [CaseSeed(CODE, ENCODER.encoder_id)], "ann").case_id
    return bench.watches.open(NewWatch(case, "Mugs", "", ENCODER.encoder_id, codes or (CODE,), radius, {}), "ann")


async def stepped(duty: Duty) -> None:
    await duty.step()


def found_by(bench: Workbench) -> list[str]:
    return sorted(alert.image_id for alert in bench.alerts.alerts(1000))


def match(watch: KeptWatch, image_id: str) -> Match:
    return Match(watch.watch_id, watch.revision, image_id, 1, 3, code_near(CODE, 3), ENCODER.encoder_id, 1000, 0)


# Over the window


async def test_a_new_watch_is_published_and_then_run_over_the_whole_window(
    made: FakeSearcher, bench: Workbench, watching: WatchDuty
) -> None:
    made.put(image("near", code_near(CODE, 9)), image("far", code_near(CODE, 11)), image("white page"))
    made.put(image("near the other code", code_near(CODE, 205)), image("old", age=timedelta(days=100)))
    made.keep_in_memory()
    watch = opened(bench, CODE, code_near(CODE, 200))
    await watching.step()
    assert made.store.watches() == WatchList(1, [watch.to_publish()])
    assert found_by(bench) == [], "memory may lack what was acknowledged before the watch was published"
    made.now += timedelta(seconds=1)
    made.follow()
    await watching.step()
    assert found_by(bench) == ["near", "near the other code"]
    assert bench.alerts.alerts(1)[0].distance == 5
    assert bench.watches.watch(watch.watch_id).ran_revision == watch.revision
    assert made.metric("catalogue_searcher_matches_total", outcome="held_back") == 1


async def test_without_memory_the_store_is_asked_once_it_sees_all(
    made: FakeSearcher, bench: Workbench, watching: WatchDuty
) -> None:
    made.put(image("near", code_near(CODE, 9)))
    opened(bench)
    await watching.step()
    made.now += timedelta(seconds=made.store.searchable_after_seconds + 1)
    await watching.step()
    assert found_by(bench) == ["near"]


async def test_more_images_than_one_answer_holds_are_all_found(
    made: FakeSearcher, bench: Workbench, watching: WatchDuty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_run, "NEIGHBOURS_MAX", 3)
    made.put(*(image(f"mug-{n:02}", code_near(CODE, n % 7), age=timedelta(minutes=n * n)) for n in range(20)))
    opened(bench)
    await watching.step()
    made.now += timedelta(seconds=10)
    await watching.step()
    assert found_by(bench) == [f"mug-{n:02}" for n in range(20)]


async def test_a_run_that_broke_off_is_done_again_and_doubles_nothing(
    made: FakeSearcher, bench: Workbench, watching: WatchDuty, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_run, "_BATCH", 2)
    made.put(*(image(f"mug-{n}", code_near(CODE, n)) for n in range(5)))
    watch = opened(bench)
    await watching.step()
    made.now += timedelta(seconds=10)
    take, left = bench.alerts.take, [None, WorkbenchUnavailableError("away")]

    def break_off(matches: Sequence[Match], held_back: frozenset[str]) -> object:
        error = left.pop(0) if left else None
        if error is not None:
            raise error
        return take(matches, held_back)

    with monkeypatch.context() as patched:
        patched.setattr(type(bench.alerts), "take", lambda _, *given: break_off(*given))
        with pytest.raises(WorkbenchUnavailableError):
            await watching.step()
    assert len(found_by(bench)) == 2
    assert bench.watches.watch(watch.watch_id).ran_revision == 0
    await watching.step()
    assert found_by(bench) == [f"mug-{n}" for n in range(5)]


async def test_what_another_searcher_has_run_meanwhile_is_not_run_again(
    made: FakeSearcher,
    bench: Workbench,
    desk: Desk,
    watching: WatchDuty,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made.put(image("near"))
    opened(bench)
    other = WatchDuty(
        made.backend, made.searcher, desk, AlertTaker(desk, set(), made.parts.metrics), holder="b", now=lambda: made.now
    )
    await watching.step()
    await other.step()
    made.now += timedelta(seconds=10)
    to_run, others_turn = type(bench.watches).to_run, [True]

    def to_run_slowly(watches: Any) -> list[KeptWatch]:
        """What is to be run; the other one runs it before the answer is there."""
        listed = to_run(watches)
        if others_turn:
            others_turn.clear()
            asyncio.run(stepped(other))
        return listed

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(type(bench.watches), "to_run", to_run_slowly)
        await watching.step()
    assert [one["event"] for one in logs] == ["watch_ran"]
    assert found_by(bench) == ["near"]
    assert made.metric("catalogue_searcher_matches_total", outcome="repeated") == 0


async def test_a_change_is_published_and_run_again(made: FakeSearcher, bench: Workbench, watching: WatchDuty) -> None:
    made.put(image("near", code_near(CODE, 9)), image("far", code_near(CODE, 20)))
    watch = opened(bench)
    for radius in (10, 30):
        bench.watches.change(watch.watch_id, {"radius": radius}, None, "", "ann")
        await watching.step()
        made.now += timedelta(seconds=10)
        await watching.step()
    assert found_by(bench) == ["far", "near"]
    bench.watches.change(watch.watch_id, {"state": WatchState.PAUSED}, None, "", "ann")
    await watching.step()
    assert made.store.watches().watches == []


async def test_what_was_written_while_the_store_had_lost_the_watches_is_looked_through_again(
    made: FakeSearcher, bench: Workbench, watching: WatchDuty
) -> None:
    opened(bench)
    await watching.step()
    made.now += timedelta(seconds=10)
    await watching.step()
    assert bench.watches.to_run() == []
    made.store.lose_watches()
    made.put(image("meanwhile", code_near(CODE, 9)))
    for _ in range(3):
        await watching.step()
        made.now += timedelta(seconds=10)
    assert found_by(bench) == ["meanwhile"]
    assert made.store.watches() == bench.watches.active()
    assert bench.watches.to_run() == [], "it is over"


async def test_a_store_that_knows_another_databases_watches_is_told_of_ours(
    made: FakeSearcher, bench: Workbench, watching: WatchDuty
) -> None:
    made.store.publish_watches(WatchList(50, []))
    made.put(image("near", code_near(CODE, 9)))
    watch = opened(bench)
    for _ in range(3):
        await watching.step()
        made.now += timedelta(seconds=10)
    published = made.store.watches()
    assert (published.revision, [one.watch_id for one in published.watches]) == (51, [watch.watch_id])
    assert found_by(bench) == ["near"]


async def test_a_watch_of_another_encoder_waits_and_holds_up_no_other(
    made: FakeSearcher, bench: Workbench, watching: WatchDuty
) -> None:
    made.put(image("near", code_near(CODE, 9)))
    case = bench.ledger.open_case("Mugs", "", [], "ann").case_id
    bench.watches.open(NewWatch(case, "Old", "", "another", [CODE], 10, {}), "ann")
    opened(bench)
    await watching.step()
    made.now += timedelta(seconds=10)
    await watching.step()
    assert found_by(bench) == ["near"]
    assert [watch.name for watch in bench.watches.to_run()] == ["Old"]


# The matches' log


async def test_matches_become_alerts_before_their_positions_are_committed(
    made: FakeSearcher, bench: Workbench, desk: Desk, taker: AlertTaker
) -> None:
    reader = FakeReader()
    duty = MatchDuty(lambda: reader, desk, taker)
    assert not await duty.step()
    assert reader.polls == [], "without watches there is nothing to read"
    watch = opened(bench)
    for image_id in ("a", "b", "a"):
        record = to_new_record(match(watch, image_id))
        reader.put(record.value, record.key)
    reader.put(b"no match")
    assert await duty.step()
    assert found_by(bench) == ["a", "b"]
    assert reader.committed == {"p-0": 4}
    assert made.metric("catalogue_searcher_matches_total", outcome="repeated") == 1
    assert made.metric("catalogue_searcher_matches_total", outcome="unreadable") == 1


async def test_what_was_read_stays_at_hand_while_the_database_is_away(
    bench: Workbench, taker: AlertTaker, monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    watch, reader = opened(bench), FakeReader()
    duty = MatchDuty(lambda: reader, desk, taker)
    record = to_new_record(match(watch, "a"))
    reader.put(record.value, record.key)

    def away(*_: object) -> None:
        raise WorkbenchUnavailableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(type(bench.alerts), "take", away)
        with pytest.raises(WorkbenchUnavailableError):
            await duty.step()
    assert reader.committed == {}
    await duty.step()
    assert (found_by(bench), reader.committed) == (["a"], {"p-0": 1})


async def test_a_position_that_could_not_be_committed_comes_with_the_next(
    bench: Workbench, taker: AlertTaker, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, reader = opened(bench), FakeReader()
    duty = MatchDuty(lambda: reader, desk, taker)
    records = [to_new_record(match(watch, image_id)) for image_id in ("a", "b")]
    reader.put(records[0].value)

    def away(*_: object) -> None:
        raise EventLogUnavailableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(FakeReader, "commit", away)
        with pytest.raises(EventLogUnavailableError):
            await duty.step()
    reader.put(records[1].value)
    await duty.step()
    assert (found_by(bench), reader.committed) == (["a", "b"], {"p-0": 2})


# What goes out


class KilledError(BaseException):
    """The process is gone."""


@dataclass
class DyingWriter:
    """A log that appends `appended` of the records, and then the process dies, or it says that it is away."""

    writer: PublishedWriter
    error: BaseException
    appended: int | None = None

    def append(self, records: Sequence[NewRecord]) -> None:
        self.writer.append(records[: self.appended])
        raise self.error

    def alone(self) -> AbstractContextManager[None]:
        return self.writer.alone()

    def close(self) -> None:
        """Nothing to free."""


@dataclass
class SlowWriter:
    """A log that is written to by who stands still just before it, while `meanwhile` happens."""

    writer: PublishedWriter
    meanwhile: Callable[[], None]

    def append(self, records: Sequence[NewRecord]) -> None:
        self.writer.append(records)

    @contextmanager
    def alone(self) -> Iterator[None]:
        self.meanwhile()
        with self.writer.alone():
            yield

    def close(self) -> None:
        """Nothing to free."""


@dataclass
class Published:
    """The log of alerts, and what publishes to it."""

    made: FakeSearcher
    desk: Desk

    def duty(
        self,
        holder: str = "a",
        wrap: Callable[[PublishedWriter], PublishedWriter] = lambda writer: writer,
        now: Callable[[], datetime] | None = None,
    ) -> PublishDuty:
        settings, stream = self.made.settings, Stream.ALERTS
        opening = lambda: wrap(open_published_writer(settings, stream)), self.scanner
        return PublishDuty(
            stream, self.desk, holder, opening, now=now or (lambda: self.made.now), metrics=self.made.parts.metrics
        )

    def scanner(self) -> LogScanner:
        return open_published_scanner(self.made.settings, Stream.ALERTS)

    def image_ids(self) -> list[str]:
        return [json.loads(record.value or b"")["image"]["image_id"] for record in self.scanner().scan()]


@pytest.fixture
def published(made: FakeSearcher, desk: Desk) -> Published:
    return Published(made, desk)


async def test_alerts_are_appended_to_their_log_in_order(
    made: FakeSearcher, bench: Workbench, published: Published
) -> None:
    watch, duty = opened(bench), published.duty()
    assert not await duty.step()
    bench.alerts.take([match(watch, image_id) for image_id in "abc"])
    made.now += timedelta(seconds=7)
    assert await duty.step()
    assert published.image_ids() == ["a", "b", "c"]
    assert made.metric("catalogue_searcher_publish_lag_seconds", stream="alerts") == 7
    assert not await duty.step()
    assert made.metric("catalogue_searcher_publish_lag_seconds", stream="alerts") == 0
    assert made.metric("catalogue_searcher_published_total", stream="alerts") == 3


@pytest.mark.parametrize("appended", [0, 1, 3])
@pytest.mark.parametrize("error", [KilledError(), EventLogUnavailableError("away")])
async def test_each_alert_is_in_the_log_once_also_where_an_append_broke_off(
    made: FakeSearcher, bench: Workbench, published: Published, error: BaseException, appended: int
) -> None:
    watch = opened(bench)
    bench.alerts.take([match(watch, "before")])
    await published.duty().step()
    bench.alerts.take([match(watch, image_id) for image_id in "abc"])
    with pytest.raises(type(error)):
        await published.duty(wrap=lambda writer: DyingWriter(writer, error, appended)).step()
    other = published.duty("b")
    assert not await other.step(), "the lease is still the first one's"
    made.now += timedelta(minutes=2)
    while await other.step():
        pass
    assert sorted(published.image_ids()) == ["a", "b", "before", "c"]


async def test_who_lost_the_lease_appends_nothing(
    made: FakeSearcher, bench: Workbench, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.alerts.take([match(opened(bench), "a")])
    slow, other = published.duty("a"), published.duty("b")
    ends = open_published_scanner(made.settings, Stream.ALERTS).end_positions

    def end_positions(_: object) -> Mapping[str, int]:
        """The slow one stands still here, for longer than its lease."""
        made.now += timedelta(minutes=2)
        assert bench.outbox.lease(other.name, "b", 90) is not None
        return ends()

    with monkeypatch.context() as patched:
        patched.setattr(type(published.scanner()), "end_positions", end_positions)
        with pytest.raises(LeaseLostError):
            await slow.step()
    assert published.image_ids() == []
    while await other.step():
        pass
    assert published.image_ids() == ["a"]


async def test_nothing_is_appended_when_the_lease_is_about_to_end(
    made: FakeSearcher, bench: Workbench, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.alerts.take([match(opened(bench), "a")])
    unpublished = bench.outbox.unpublished

    def slowly(_: object, stream: Stream, count: int) -> object:
        made.now += timedelta(seconds=60)
        return unpublished(stream, count)

    duty = published.duty()
    with monkeypatch.context() as patched:
        patched.setattr(type(bench.outbox), "unpublished", slowly)
        await duty.step()
    assert published.image_ids() == []
    while await duty.step():
        pass
    assert published.image_ids() == ["a"]


async def test_who_stands_still_before_appending_repeats_nothing_that_another_has_appended_to_the_file(
    made: FakeSearcher, bench: Workbench, published: Published
) -> None:
    bench.alerts.take([match(opened(bench), image_id) for image_id in "ab"])

    async def take_over() -> None:
        other = published.duty("b")
        while await other.step():
            pass

    def stand_still() -> None:
        made.now += timedelta(minutes=2)
        asyncio.run(take_over())
        assert published.image_ids() == ["a", "b"]

    # Its clock stood still with it, so it can't know that its lease is over.
    own_clock = made.now
    slow = published.duty(wrap=lambda writer: SlowWriter(writer, stand_still), now=lambda: own_clock)
    with pytest.raises(LeaseLostError):
        await slow.step()
    assert published.image_ids() == ["a", "b"]


# Receivers


@dataclass
class FakePoster:
    """A receiver that gives these answers, one after another, then 204."""

    answers: deque[int | RejectedError] = field(default_factory=deque)
    posted: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> int:
        self.posted.append((url, content, dict(headers)))
        answer = self.answers.popleft() if self.answers else 204
        if isinstance(answer, RejectedError):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing to free."""


@pytest.fixture
def poster() -> FakePoster:
    return FakePoster()


@pytest.fixture
def webhooks(made: FakeSearcher, desk: Desk, poster: FakePoster) -> WebhookDuty:
    settings = made.settings.model_copy(update={"webhook_secret": Settings(webhook_secret=SECRET).webhook_secret})
    return WebhookDuty(
        desk,
        poster,
        signer_of(settings),
        "a",
        retrying=Retrying(3, 60.0),
        now=lambda: made.now,
        metrics=made.parts.metrics,
        dice=random.Random(1),
    )


async def test_a_receiver_gets_each_event_signed(bench: Workbench, webhooks: WebhookDuty, poster: FakePoster) -> None:
    assert not await webhooks.step()
    bench.alerts.take([match(opened(bench), "a")])
    while await webhooks.step():
        pass
    ((url, content, headers),) = poster.posted
    told = json.loads(content)
    assert (url, headers["webhook-id"], told["image"]["image_id"]) == (RECEIVER, told["id"], "a")
    expected = Webhook(SECRET).sign(told["id"], bench.alerts.alerts(1)[0].raised_at, content.decode())
    assert headers["webhook-signature"] == expected


async def test_a_delivery_is_tried_again_later_and_kept_as_failed_in_the_end(
    made: FakeSearcher, bench: Workbench, webhooks: WebhookDuty, poster: FakePoster
) -> None:
    bench.alerts.take([match(opened(bench), "a")])
    poster.answers.extend([500, RejectedError(RejectionReason.IMAGE_UNAVAILABLE, "the host takes too long"), 302])
    pauses = []
    for _ in range(3):
        assert await webhooks.step()
        assert not await webhooks.step(), "it is not due again yet"
        (delivery,) = bench.outbox.deliveries(None, None, 10)
        pauses.append((delivery.due_at - made.now).total_seconds())
        made.now += timedelta(seconds=30)
    assert pauses == [pytest.approx(5, rel=0.1), pytest.approx(10, rel=0.1), 0]
    assert (delivery.state, delivery.tries, delivery.detail) == (DeliveryState.FAILED, 3, "the receiver answers 302")
    assert made.metric("catalogue_searcher_deliveries_total", outcome="failed") == 1
    bench.outbox.deliver_again(delivery.number)
    assert await webhooks.step()
    assert bench.outbox.deliveries(None, None, 10)[0].state is DeliveryState.DELIVERED
    assert len({headers["webhook-id"] for _, _, headers in poster.posted}) == 1


@pytest.mark.parametrize("secret", [None, "whsec_not base64!", "whsec_" + base64.b64encode(b"short").decode()])
def test_a_secret_that_signs_nothing_well_is_refused(secret: str | None) -> None:
    with pytest.raises(ConfigurationError, match="CATALOGUE_WEBHOOK_SECRET"):
        signer_of(Settings(_env_file=None, webhook_urls=RECEIVER, webhook_secret=secret))


# Waiting


class EndError(Exception):
    """The test has seen enough."""


async def test_a_duty_says_once_that_it_waits_and_that_it_goes_on(made: FakeSearcher) -> None:
    outcomes = deque[Exception | bool](
        [True, EventLogUnavailableError("no broker"), EventLogUnavailableError("none"), ConfigurationError("no"), False]
    )
    pauses, waiting = list[float](), list[float]()

    class Troubled:
        name = "troubled"

        async def step(self) -> bool:
            outcome = outcomes.popleft()
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        async def close(self) -> None:
            """Nothing to free."""

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        waiting.append(made.metric("catalogue_searcher_duty_waiting", duty="troubled"))
        if not outcomes:
            raise EndError

    duty: Duty = Troubled()
    with capture_logs() as logs, pytest.raises(EndError):
        await attend(duty, made.parts.metrics, sleep=sleep)
    assert pauses == [0, 1, 1, 30, 1]
    assert waiting == [0, 1, 1, 1, 0]
    assert [(one["event"], one.get("detail")) for one in logs] == [("duty_waits", "no broker"), ("duty_goes_on", None)]
