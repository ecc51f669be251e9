"""What the workbench promises of watches, alerts, decisions and what goes out, on SQLite and on PostgreSQL."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from searcher.workbench.database import Database
from searcher.workbench.decisions import DecisionMissingError
from searcher.workbench.ledger import CaseMissingError
from searcher.workbench.outbox import LeaseLostError, Stream
from searcher.workbench.records import CaseSeed, NewJudgement, Verdict
from searcher.workbench.watch_records import AlertRefusal, DeliveryState, NewWatch, Tally, WatchState
from searcher.workbench.watches import WatchMissingError
from searcher.workbench.workbench import Workbench
from shared.errors import QueryInvalidError
from shared.match import Match
from tests.searchers import code_near
from tests.workbenches import Clock

CODE = bytes(32)
ENCODER = "encoder-1"
RECEIVERS = ("https://one.example/hook", "https://two.example/hook")


@pytest.fixture
def bench(database: Database, clock: Clock) -> Workbench:
    return Workbench.over(database, clock, RECEIVERS)


@pytest.fixture
def case_id(bench: Workbench) -> str:
    return bench.ledger.open_case("Mugs", "", [CaseSeed(CODE, ENCODER)], "ann").case_id


@pytest.fixture
def new(case_id: str) -> NewWatch:
    return NewWatch(case_id, "Mugs", "", ENCODER, [CODE, code_near(CODE, 100)], 10, {})


def match(watch_id: str, image_id: str = "mug", version: int = 1, distance: int = 3, **fields: Any) -> Match:
    given: dict[str, Any] = {"attributes": {"colour": "blue"}, **fields}
    return Match(watch_id, 1, image_id, version, distance, code_near(CODE, distance), ENCODER, 1000, 2000, **given)


def events(bench: Workbench, stream: Stream) -> list[dict[str, Any]]:
    return [json.loads(event.body) for event in bench.outbox.unpublished(stream, 100)]


# Watches


def test_a_watch_comes_back_as_it_was_opened(bench: Workbench, new: NewWatch, clock: Clock) -> None:
    made = bench.watches.open(replace(new, filter={"colour": ["blue", "red"], "size": [3]}), "ann")
    assert made == bench.watches.watch(made.watch_id)
    assert (made.case_id, made.codes, made.radius, made.state) == (new.case_id, new.codes, 10, WatchState.ACTIVE)
    assert (made.revision, made.ran_revision, made.made_at) == (1, 0, clock.moment)
    assert made.to_publish().terms == [["colour=blue", "colour=red"], ["size=3"]]


def test_changes_that_matter_to_indexers_take_the_next_revision_of_the_list(bench: Workbench, new: NewWatch) -> None:
    first, second = bench.watches.open(new, "ann"), bench.watches.open(new, "ann")
    renamed = bench.watches.change(first.watch_id, {"name": "Cups"}, None, ENCODER, "bob")
    assert (renamed.name, renamed.revision) == ("Cups", first.revision)
    wider = bench.watches.change(first.watch_id, {"radius": 20, "filter": {"a": [True]}}, [CODE], ENCODER, "bob")
    assert (wider.radius, wider.codes, wider.filter) == (20, [CODE], {"a": [True]})
    assert wider.revision > second.revision
    listed = bench.watches.active()
    assert listed.revision == bench.watches.revision() >= wider.revision
    assert {one.watch_id: one.revision for one in listed.watches} == {
        first.watch_id: wider.revision,
        second.watch_id: second.revision,
    }
    bench.watches.change(second.watch_id, {"state": WatchState.PAUSED}, None, ENCODER, "bob")
    assert [one.watch_id for one in bench.watches.active().watches] == [first.watch_id]
    assert bench.watches.revision() > listed.revision


def test_a_watch_waits_to_be_run_until_its_own_revision_was(bench: Workbench, new: NewWatch) -> None:
    watch = bench.watches.open(new, "ann")
    assert bench.watches.to_run() == [watch]
    changed = bench.watches.change(watch.watch_id, {"radius": 5}, None, ENCODER, "ann")
    bench.watches.ran(watch)
    assert [one.revision for one in bench.watches.to_run()] == [changed.revision], "it was changed while it ran"
    bench.watches.ran(changed)
    assert bench.watches.to_run() == []


def test_watches_that_make_no_sense_are_refused_and_leave_nothing(bench: Workbench, new: NewWatch) -> None:
    with pytest.raises(CaseMissingError):
        bench.watches.open(replace(new, case_id="0"), "ann")
    for wrong in (replace(new, radius=257), replace(new, codes=[CODE, b"\1"]), replace(new, codes=[])):
        with pytest.raises(QueryInvalidError):
            bench.watches.open(wrong, "ann")
    assert bench.watches.watches(None, None, None, 10) == []
    watch = bench.watches.open(new, "ann")
    with pytest.raises(QueryInvalidError):
        bench.watches.change(watch.watch_id, {"radius": 1000}, None, ENCODER, "ann")
    bench.watches.change(watch.watch_id, {"state": WatchState.ENDED}, None, ENCODER, "ann")
    with pytest.raises(QueryInvalidError, match="ended"):
        bench.watches.change(watch.watch_id, {"state": WatchState.ACTIVE}, None, ENCODER, "ann")
    with pytest.raises(WatchMissingError):
        bench.watches.watch("0")


def test_revisions_rise_above_those_of_a_store_that_knew_another_database(bench: Workbench, new: NewWatch) -> None:
    bench.watches.rise_above(40)
    assert (bench.watches.active().revision, bench.watches.active().watches) == (41, [])
    watch = bench.watches.open(new, "ann")
    bench.watches.ran(watch)
    bench.watches.rise_above(100)
    assert bench.watches.revision() == bench.watches.watch(watch.watch_id).revision == 101
    assert [one.watch_id for one in bench.watches.to_run()] == [watch.watch_id]


def test_watches_are_listed_page_by_page_and_by_state_and_case(bench: Workbench, new: NewWatch, clock: Clock) -> None:
    made = []
    for number in range(4):
        if number % 2:
            clock.advance()
        made.append(bench.watches.open(new, "ann"))
    whole = bench.watches.watches(None, new.case_id, None, 10)
    assert {one.watch_id for one in whole} == {one.watch_id for one in made}
    after = round(whole[1].changed_at.timestamp() * 1000), whole[1].watch_id
    assert bench.watches.watches(None, None, after, 10) == whole[2:]
    assert bench.watches.watches(WatchState.PAUSED, None, None, 10) == []
    assert bench.watches.watches(None, "0", None, 10) == []


# Alerts


def test_a_match_becomes_one_alert_however_often_it_is_told(bench: Workbench, new: NewWatch, clock: Clock) -> None:
    watch = bench.watches.open(new, "ann")
    told = [match(watch.watch_id), match(watch.watch_id), match(watch.watch_id, "cup", item_id="item")]
    taken = bench.alerts.take(told)
    assert (taken.raised, taken.refused) == (2, {AlertRefusal.REPEATED: 1})
    assert bench.alerts.take(told).raised == 0
    assert bench.alerts.take([match(watch.watch_id, version=2)]).raised == 1, "another version is another alert"
    cup, mug = bench.alerts.alerts(2, before=bench.alerts.newest())
    assert (mug.image_id, mug.version, mug.distance, mug.code) == ("mug", 1, 3, code_near(CODE, 3))
    assert (mug.watch_name, mug.case_id, mug.raised_at, mug.verdict) == ("Mugs", new.case_id, clock.moment, None)
    assert json.loads(cup.image)["item_id"] == "item"
    out = events(bench, Stream.ALERTS)
    assert [one["id"] for one in out] == [match(watch.watch_id, *key).alert_id for key in (("mug",), ("cup",))] + [
        match(watch.watch_id, version=2).alert_id
    ]
    assert out[0]["watch"] == {"watch_id": watch.watch_id, "name": "Mugs", "revision": 1}
    assert out[0]["image"]["attributes"] == {"colour": "blue"}


def test_a_match_is_held_to_the_watch_as_it_is_now(bench: Workbench, new: NewWatch) -> None:
    watch = bench.watches.open(replace(new, filter={"colour": ["blue"]}), "ann").watch_id
    other = bench.watches.open(new, "ann").watch_id
    bench.watches.change(watch, {"radius": 5}, None, ENCODER, "ann")
    bench.watches.change(other, {"state": WatchState.PAUSED}, None, ENCODER, "ann")
    told = [
        match(watch, "far", distance=6),
        match(watch, "red", attributes={"colour": ["red"]}),
        match(watch, "blue", attributes={"colour": ["red", "blue"]}),
        match(other, "paused"),
        match("0", "unknown"),
        match(watch, "white page"),
    ]
    taken = bench.alerts.take(told, held_back={"white page"})
    assert [alert.image_id for alert in bench.alerts.alerts(10)] == ["blue"]
    assert taken.refused == {
        AlertRefusal.NO_LONGER_NEAR: 2,
        AlertRefusal.WATCH_NOT_ACTIVE: 1,
        AlertRefusal.WATCH_UNKNOWN: 1,
        AlertRefusal.HELD_BACK: 1,
    }


def test_alerts_that_are_raised_at_once_are_each_there_once(bench: Workbench, new: NewWatch) -> None:
    watch = bench.watches.open(new, "ann").watch_id
    told = [match(watch, f"mug-{number}") for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        raised = list(pool.map(lambda start: bench.alerts.take(told[start:]).raised, (0, 5, 0, 10)))
    assert sum(raised) == len(bench.alerts.alerts(100)) == len(bench.outbox.unpublished(Stream.ALERTS, 100)) == 20


def test_an_alert_is_judged_in_its_watchs_case(bench: Workbench, new: NewWatch, clock: Clock) -> None:
    watch = bench.watches.open(new, "ann")
    bench.alerts.take([match(watch.watch_id, image_id) for image_id in ("a", "b", "c")])
    clock.moment += timedelta(days=1)
    bench.alerts.take([match(watch.watch_id, image_id) for image_id in ("d", "e")])
    bench.ledger.judge(new.case_id, [NewJudgement("a", Verdict.RELEVANT), NewJudgement("b", Verdict.UNSURE)], "ann")
    bench.ledger.judge(new.case_id, [NewJudgement("d", Verdict.NOT_RELEVANT)], "ann")
    bench.ledger.judge(new.case_id, [NewJudgement("e", Verdict.RELEVANT)], "ann")
    bench.ledger.judge(new.case_id, [NewJudgement("e", Verdict.WITHDRAWN)], "ann")
    assert {one.image_id: one.verdict for one in bench.alerts.alerts(10)} == {
        "a": Verdict.RELEVANT,
        "b": Verdict.UNSURE,
        "c": None,
        "d": Verdict.NOT_RELEVANT,
        "e": None,
    }
    assert [one.image_id for one in bench.alerts.alerts(10, unjudged=True)] == ["e", "c"]
    assert bench.alerts.tallies([watch.watch_id, "0"], clock.moment) == {
        watch.watch_id: Tally(alerts=5, recent=2, unjudged=2, relevant=1, not_relevant=1),
        "0": Tally(),
    }


def test_alerts_are_read_backwards_and_as_they_come(bench: Workbench, new: NewWatch) -> None:
    first, second = bench.watches.open(new, "ann").watch_id, bench.watches.open(new, "ann").watch_id
    bench.alerts.take([match(first, f"a-{number}") for number in range(3)])
    seen = bench.alerts.newest()
    bench.alerts.take([match(second, f"b-{number}") for number in range(3)])
    assert [one.image_id for one in bench.alerts.alerts(2, after=seen)] == ["b-0", "b-1"]
    page = bench.alerts.alerts(4)
    assert [one.image_id for one in page] == ["b-2", "b-1", "b-0", "a-2"]
    assert [one.image_id for one in bench.alerts.alerts(4, before=page[-1].number)] == ["a-1", "a-0"]
    assert bench.alerts.alerts(1, watch_id=first, before=page[0].number)[0].image_id == "a-2"


def test_judged_distances_are_those_of_codes_that_were_kept(bench: Workbench, new: NewWatch) -> None:
    watch = bench.watches.open(new, "ann")
    judged = [
        NewJudgement("near", Verdict.RELEVANT, encoder=ENCODER, code=code_near(CODE, 4)),
        NewJudgement("by the other code", Verdict.NOT_RELEVANT, encoder=ENCODER, code=code_near(CODE, 94)),
        NewJudgement("watched for", Verdict.RELEVANT, encoder=ENCODER, code=CODE),
        NewJudgement("unsure", Verdict.UNSURE, encoder=ENCODER, code=CODE),
        NewJudgement("another encoder's", Verdict.RELEVANT, encoder="encoder-2", code=CODE),
        NewJudgement("not kept", Verdict.RELEVANT),
    ]
    bench.ledger.judge(new.case_id, judged, "ann")
    assert sorted(bench.alerts.judged_distances(watch)) == [(4, True), (6, False), (100, True)]


# Decisions


def relevant(bench: Workbench, case_id: str, *image_ids: str) -> None:
    bench.ledger.judge(case_id, [NewJudgement(one, Verdict.RELEVANT, code=CODE) for one in image_ids], "ann")


def test_a_decision_is_about_what_is_relevant_and_goes_out(bench: Workbench, case_id: str, clock: Clock) -> None:
    relevant(bench, case_id, "a", "b", "c")
    bench.ledger.judge(case_id, [NewJudgement("b", Verdict.NOT_RELEVANT)], "ann")
    decision = bench.decisions.decide(case_id, "withdraw", "unsafe", None, "bob")
    assert (decision.policy, decision.reason, decision.who, decision.images) == ("withdraw", "unsafe", "bob", 2)
    assert decision.at == clock.moment
    found, images = bench.decisions.decision(decision.decision_id)
    assert (found, [one.image_id for one in images], images[0].code) == (decision, ["a", "c"], CODE)
    (told,) = events(bench, Stream.DECISIONS)
    assert (told["type"], told["id"], told["case"]["name"]) == ("decision.made", decision.decision_id, "Mugs")
    assert [one["image_id"] for one in told["images"]] == ["a", "c"]


def test_by_one_policy_an_image_is_decided_about_once(bench: Workbench, case_id: str) -> None:
    relevant(bench, case_id, "a", "b")
    first = bench.decisions.decide(case_id, "withdraw", "", ["a"], "ann")
    assert bench.decisions.decide(case_id, "withdraw", "", None, "ann").images == 1
    assert bench.decisions.decide(case_id, "report", "", None, "ann").images == 2
    with pytest.raises(QueryInvalidError, match="left to decide"):
        bench.decisions.decide(case_id, "withdraw", "", None, "ann")
    bench.decisions.reverse(first.decision_id, "", "ann")
    assert bench.decisions.decide(case_id, "withdraw", "", None, "ann").images == 1
    with pytest.raises(QueryInvalidError, match="relevant"):
        bench.decisions.decide(case_id, "withdraw", "", ["z"], "ann")
    with pytest.raises(CaseMissingError):
        bench.decisions.decide("0", "withdraw", "", None, "ann")


def test_a_decision_is_reversed_once_by_another_entry(bench: Workbench, case_id: str) -> None:
    relevant(bench, case_id, "a")
    decision = bench.decisions.decide(case_id, "withdraw", "unsafe", None, "ann")
    reversal = bench.decisions.reverse(decision.decision_id, "a mistake", "bob")
    assert (reversal.reverses, reversal.reason, reversal.images) == (decision.decision_id, "a mistake", 1)
    listed = bench.decisions.decisions(case_id, None, 10)
    assert [one.decision_id for one in listed] == [reversal.decision_id, decision.decision_id]
    assert listed[1].reversed_by == reversal.decision_id
    for again in (decision, reversal):
        with pytest.raises(QueryInvalidError, match="stands"):
            bench.decisions.reverse(again.decision_id, "", "bob")
    with pytest.raises(DecisionMissingError):
        bench.decisions.reverse("0", "", "bob")
    assert [one["type"] for one in events(bench, Stream.DECISIONS)] == ["decision.made", "decision.reversed"]
    assert bench.decisions.decisions(None, reversal.number, 10) == listed[1:]


# What goes out


def test_one_searcher_holds_a_lease_until_it_ends(bench: Workbench, clock: Clock) -> None:
    lease = bench.outbox.lease("alerts", "a", 10)
    assert lease is not None
    assert bench.outbox.lease("alerts", "b", 10) is None
    assert bench.outbox.lease("decisions", "b", 10) is not None
    bench.outbox.begin(lease, {"0": 7})
    clock.moment += timedelta(seconds=11)
    taken = bench.outbox.lease("alerts", "b", 10)
    assert taken is not None
    assert taken.attempt == {"0": 7}, "what was begun is told to whoever takes over"
    with pytest.raises(LeaseLostError):
        bench.outbox.begin(lease, {})
    with pytest.raises(LeaseLostError):
        bench.outbox.published(lease, ["x"])
    bench.outbox.published(taken, [])
    assert bench.outbox.lease("alerts", "b", 10) == replace(taken, attempt=None)


def test_events_wait_until_their_log_and_all_receivers_have_them(bench: Workbench, new: NewWatch, clock: Clock) -> None:
    watch = bench.watches.open(new, "ann").watch_id
    bench.alerts.take([match(watch, "a"), match(watch, "b")])
    made = clock.moment
    first, second = bench.outbox.unpublished(Stream.ALERTS, 10)
    lease = bench.outbox.lease("alerts", "a", 10)
    assert lease is not None
    bench.outbox.published(lease, [first.event_id])
    assert [one.event_id for one in bench.outbox.unpublished(Stream.ALERTS, 10)] == [second.event_id]
    assert bench.outbox.oldest_unpublished(Stream.ALERTS) == made
    bench.outbox.published(lease, [second.event_id])
    assert bench.outbox.oldest_unpublished(Stream.ALERTS) is None
    due = bench.outbox.due(10)
    assert [(one.event_id, one.url) for one in due] == [
        (event.event_id, url) for event in (first, second) for url in RECEIVERS
    ]
    later = made + timedelta(minutes=1)
    bench.outbox.tried(due[0], DeliveryState.DELIVERED, made, "")
    bench.outbox.tried(due[1], DeliveryState.WAITING, later, "the receiver answers 500")
    bench.outbox.tried(due[2], DeliveryState.FAILED, made, "the receiver answers 404")
    bench.outbox.tried(due[3], DeliveryState.DELIVERED, made, "")
    assert bench.outbox.due(10) == []
    clock.moment = later
    (again,) = bench.outbox.due(10)
    assert (again.url, again.tries, again.detail) == (RECEIVERS[1], 1, "the receiver answers 500")
    bench.outbox.tried(again, DeliveryState.DELIVERED, later, "")
    bench.outbox.forget(later)
    assert [one.event_id for one in bench.outbox.deliveries(None, None, 10)] == [second.event_id] * 2
    (failed,) = bench.outbox.deliveries(DeliveryState.FAILED, None, 10)
    bench.outbox.deliver_again(failed.number)
    assert [(one.number, one.tries) for one in bench.outbox.due(10)] == [(failed.number, 0)]
    assert Workbench.over(bench.database, clock, RECEIVERS[1:]).outbox.due(10) == [], "no receiver any more"
