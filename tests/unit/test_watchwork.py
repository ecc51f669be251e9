"""Watches, alerts and decisions over HTTP, and what a watch's judgements say."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from searcher.__main__ import main
from searcher.watching.precision import precision_of, suggested_radius
from searcher.workbench import watch_width
from searcher.workbench.outbox import Stream
from searcher.workbench.watchwork import spread
from searcher.workbench.workbench import Workbench
from shared.match import Match
from shared.rolling_window import to_milliseconds
from shared.settings import Settings
from shared.store import StoredEncoder
from shared.store.opening import open_store
from tests.described import described_client
from tests.searchers import ENCODER, FakeSearcher, code_near, fake_searcher, image

BASE = "http://127.0.0.1:8080"
CODE = bytes(32)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[FakeSearcher]:
    with fake_searcher(workbench_url=f"sqlite://{tmp_path}/workbench.db") as found:
        yield found


@pytest.fixture
def client(made: FakeSearcher) -> Iterator[TestClient]:
    app = made.app()
    with described_client(app, BASE) as client:
        yield client
    app.state.services.casework.desk.close()


@pytest.fixture
def bench(made: FakeSearcher, client: TestClient) -> Iterator[Workbench]:
    """The workbench beside the server's, as its duties use it."""
    found = Workbench.of(made.settings, lambda: made.now)
    yield found
    found.close()


def opened(client: TestClient, **fields: Any) -> dict[str, Any]:
    reply = client.post("/v1/watches", json={"name": "Mugs", "radius": 10, **fields})
    assert reply.status_code == 201, reply.text
    watch: dict[str, Any] = reply.json()
    return watch


def match(watch_id: str, image_id: str, distance: int = 3) -> Match:
    code = code_near(CODE, distance)
    return Match(watch_id, 1, image_id, 1, distance, code, ENCODER.encoder_id, 1_795_000_000_000, 0, "item")


def judge(client: TestClient, case_id: str, verdicts: dict[str, str]) -> None:
    judgements = [{"image_id": image_id, "verdict": verdict} for image_id, verdict in verdicts.items()]
    assert client.post(f"/v1/cases/{case_id}/judgements", json={"judgements": judgements}).status_code == 200


def test_a_watch_without_a_case_opens_one_that_keeps_its_seeds(made: FakeSearcher, client: TestClient) -> None:
    made.put(image("mug-1", CODE))
    watch = opened(client, seeds=[{"image_id": "mug-1"}], filter={"colour": ["blue"]})
    case = client.get(f"/v1/cases/{watch['case_id']}").json()
    assert (case["name"], case["seeds"][0]["image_id"]) == ("Mugs", "mug-1")
    assert (watch["codes"], watch["encoder"], watch["radius"]) == ([CODE.hex()], ENCODER.encoder_id, 10)
    assert (watch["state"], watch["ran"], watch["precision"], watch["suggested_radius"]) == (
        "active",
        False,
        None,
        None,
    )
    assert client.get(f"/v1/watches/{watch['watch_id']}").json() == watch
    assert client.get("/v1/watches", params={"case_id": watch["case_id"]}).json() == {
        "watches": [watch],
        "cursor": None,
    }


def test_a_case_is_watched_by_its_seeds_and_what_it_found_relevant(made: FakeSearcher, client: TestClient) -> None:
    far = code_near(CODE, 100)
    made.put(image("seed", CODE), image("found", far), image("other", code_near(CODE, 50)))
    seeds = [{"image_id": "seed"}, {"code": "ff" * 32, "weight": -1}]
    case_id = client.post("/v1/cases", json={"name": "Mugs", "seeds": seeds}).json()["case_id"]
    watch = opened(client, case_id=case_id)
    assert watch["codes"] == [CODE.hex()]
    judge(client, case_id, {"found": "relevant", "other": "not_relevant"})
    changed = client.patch(f"/v1/watches/{watch['watch_id']}", json={"from_case": True, "radius": 4}).json()
    assert (changed["codes"], changed["radius"]) == ([CODE.hex(), far.hex()], 4)
    assert changed["revision"] > watch["revision"]


def test_a_watch_that_would_raise_an_alert_for_very_many_images_is_refused(
    made: FakeSearcher, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_width, "NEIGHBOURS_MAX", 3)
    made.put(*(image(f"mug-{n}", code_near(CODE, 4 * n), attributes={"n": n}) for n in range(4)))
    seeds = [{"code": CODE.hex()}]
    refused = client.post("/v1/watches", json={"name": "Mugs", "radius": 8, "seeds": seeds})
    assert (refused.status_code, refused.json()["reason"]) == (422, "query_invalid")
    assert "smaller radius" in refused.json()["detail"]
    assert client.get("/v1/cases").json()["cases"] == [], "nothing is left behind"
    narrow = opened(client, seeds=seeds, radius=7)
    assert client.patch(f"/v1/watches/{narrow['watch_id']}", json={"radius": 8}).status_code == 422
    assert client.get(f"/v1/watches/{narrow['watch_id']}").json()["radius"] == 7
    opened(client, seeds=seeds, radius=12, filter={"n": [0, 1]})
    made.put(*(image(f"cup-{n}", code_near(CODE, n)) for n in range(4)))
    for state, status in (("paused", 200), ("active", 422), ("ended", 200)):
        reply = client.patch(f"/v1/watches/{narrow['watch_id']}", json={"state": state})
        assert reply.status_code == status, "what has become too wide can still be stopped"


@pytest.mark.parametrize(
    ("fields", "status", "reason"),
    [
        ({}, 422, "query_invalid"),
        ({"seeds": [{"code": "00" * 32, "weight": -1}]}, 422, "query_invalid"),
        ({"seeds": [{"code": "00" * 32}], "radius": 257}, 422, "query_invalid"),
        ({"case_id": "0"}, 404, "case_missing"),
        ({"seeds": [{"image_id": "none"}]}, 404, "image_not_visible"),
    ],
)
def test_a_watch_that_makes_no_sense_is_refused(
    client: TestClient, fields: dict[str, Any], status: int, reason: str
) -> None:
    reply = client.post("/v1/watches", json={"name": "Mugs", "radius": 10, **fields})
    assert (reply.status_code, reply.json()["reason"]) == (status, reason)


def test_alerts_are_followed_judged_in_place_and_tell_a_watchs_precision(
    made: FakeSearcher, client: TestClient, bench: Workbench
) -> None:
    watch = opened(client, seeds=[{"code": CODE.hex()}])
    nothing = client.get("/v1/alerts").json()
    assert nothing == {"alerts": [], "before": None, "newest": 0}
    made.put(*(image(f"mug-{n}", code_near(CODE, n)) for n in range(10)))
    bench.alerts.take([match(watch["watch_id"], f"mug-{n}", n) for n in range(10)])
    first = client.get("/v1/alerts", params={"after": 0, "limit": 6}).json()
    rest = client.get("/v1/alerts", params={"after": first["newest"]}).json()
    assert [one["image"]["image_id"] for one in [*rest["alerts"], *first["alerts"]]] == [
        f"mug-{n}" for n in range(9, -1, -1)
    ]
    assert client.get("/v1/alerts", params={"after": rest["newest"]}).json()["alerts"] == []
    page = client.get("/v1/alerts", params={"limit": 6}).json()
    older = client.get("/v1/alerts", params={"limit": 6, "before": page["before"]}).json()
    assert [*page["alerts"], *older["alerts"]] == [*rest["alerts"], *first["alerts"]]
    assert older["before"] is None
    alert = page["alerts"][0]
    assert (alert["case_id"], alert["watch_name"], alert["verdict"]) == (watch["case_id"], "Mugs", None)
    judge(client, alert["case_id"], {f"mug-{n}": "not_relevant" if n in (5, 8, 9) else "relevant" for n in range(10)})
    judge(client, alert["case_id"], {"mug-7": "withdrawn"})
    told = client.get(f"/v1/watches/{watch['watch_id']}").json()
    assert (told["alerts"], told["alerts_today"], told["unjudged"]) == (10, 10, 1)
    assert (told["relevant"], told["not_relevant"], told["suggested_radius"]) == (6, 3, None)
    assert told["precision"]["share"] == pytest.approx(6 / 9)
    judge(client, alert["case_id"], {"mug-7": "relevant"})
    assert client.get(f"/v1/watches/{watch['watch_id']}").json()["suggested_radius"] == 7
    unjudged = client.get("/v1/alerts", params={"unjudged": True, "watch_id": watch["watch_id"]}).json()
    assert unjudged["alerts"] == []


def test_a_decision_is_made_listed_and_reversed(client: TestClient, bench: Workbench) -> None:
    case_id = client.post("/v1/cases", json={"name": "Mugs", "seeds": []}).json()["case_id"]
    decisions = f"/v1/cases/{case_id}/decisions"
    none_yet = client.post(decisions, json={"policy": "withdraw", "reason": "unsafe"})
    assert (none_yet.status_code, none_yet.json()["reason"]) == (422, "query_invalid")
    judge(client, case_id, {"a": "relevant", "b": "relevant", "c": "unsure"})
    decision = client.post(decisions, json={"policy": "withdraw", "reason": "unsafe", "image_ids": ["a"]}).json()
    assert (decision["images"], decision["who"], decision["reversed_by"]) == (1, "local", None)
    shown = client.get(f"/v1/decisions/{decision['decision_id']}").json()
    assert [one["image_id"] for one in shown["decided"]] == ["a"]
    reversal = f"/v1/decisions/{decision['decision_id']}/reversal"
    back = client.post(reversal, json={"reason": "a mistake"}).json()
    assert back["reverses"] == decision["decision_id"]
    assert client.post(reversal, json={"reason": "again"}).status_code == 422
    listed = client.get("/v1/decisions", params={"case_id": case_id, "limit": 1}).json()
    assert listed["decisions"] == [back]
    (older,) = client.get("/v1/decisions", params={"before": listed["before"]}).json()["decisions"]
    assert (older["decision_id"], older["reversed_by"]) == (decision["decision_id"], back["decision_id"])
    assert len(bench.outbox.unpublished(Stream.DECISIONS, 10)) == 2
    assert client.get("/v1/decisions/0").json()["reason"] == "decision_missing"


def test_deliveries_are_listed_and_tried_again(client: TestClient) -> None:
    assert client.get("/v1/deliveries", params={"state": "failed"}).json() == {"deliveries": [], "before": None}
    assert client.post("/v1/deliveries/7/again").json()["reason"] == "delivery_missing"


def test_watches_and_decisions_on_the_command_line(
    made: FakeSearcher, client: TestClient, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    watch = opened(client, seeds=[{"code": CODE.hex()}])
    judge(client, watch["case_id"], {"=mug": "relevant"})
    client.post(f"/v1/cases/{watch['case_id']}/decisions", json={"policy": "withdraw", "reason": "unsafe"})
    url = ["--workbench-url", made.settings.workbench_url, "--store-url", f"sqlite://{tmp_path}/catalogue.db"]

    def told(*command: str) -> str:
        assert main([*command, *url]) == 0
        return capsys.readouterr().out

    assert json.loads(told("watches", "list", "--json"))["watch_id"] == watch["watch_id"]
    assert "Mugs" in told("watches", "list", "--state", "active")
    for action, state in (("pause", "paused"), ("resume", "active"), ("end", "ended")):
        assert json.loads(told("watches", action, watch["watch_id"], "--json"))["state"] == state
    assert main(["watches", "resume", watch["watch_id"], *url]) == 2
    assert main(["watches", "end", "none", *url]) == 2
    (row,) = csv.DictReader(io.StringIO(told("decisions", "export", "--case", watch["case_id"])))
    assert (row["policy"], row["image_id"], row["reversed_by"]) == ("withdraw", "'=mug", "")
    target = tmp_path / "decisions.jsonl"
    told("decisions", "export", "--json", "--out", str(target))
    assert [one["image_id"] for one in json.loads(target.read_text())["decided"]] == ["=mug"]
    assert main(["decisions", "export", "--case", "none", *url]) == 2


def test_a_watch_is_added_by_command_with_the_active_encoder(
    client: TestClient, made: FakeSearcher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = client.post("/v1/cases", json={"name": "Mugs", "seeds": [{"code": CODE.hex()}]}).json()["case_id"]
    store_url = f"sqlite://{tmp_path}/catalogue.db"
    urls = ["--workbench-url", made.settings.workbench_url, "--store-url", store_url]
    adding = ["watches", "add", "--case", case, "--radius", "9", "--filter", "colour=blue", "--json", *urls]
    assert main(adding) == 2, "no encoder is active"
    with closing(open_store(Settings(_env_file=None, store_url=store_url))) as store:
        store.activate_encoder(StoredEncoder(ENCODER.encoder_id, 256, b""))
    capsys.readouterr()
    assert main(adding) == 0
    watch = json.loads(capsys.readouterr().out)
    assert (watch["radius"], watch["filter"], watch["codes"]) == (9, {"colour": ["blue"]}, [CODE.hex()])
    adding[3] = "none"
    assert main(adding) == 2


def test_a_watch_that_is_too_wide_is_refused_by_command_too(
    client: TestClient,
    made: FakeSearcher,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch_width, "NEIGHBOURS_MAX", 3)
    case = client.post("/v1/cases", json={"name": "Mugs", "seeds": [{"code": CODE.hex()}]}).json()["case_id"]
    store_url = f"sqlite://{tmp_path}/catalogue.db"
    urls = ["--workbench-url", made.settings.workbench_url, "--store-url", store_url]
    now = to_milliseconds(datetime.now(UTC))

    def put(*distances: int) -> None:
        images = (image(f"mug-{n}", code_near(CODE, n), attributes={"n": n}) for n in distances)
        with closing(open_store(Settings(_env_file=None, store_url=store_url))) as store:
            store.activate_encoder(StoredEncoder(ENCODER.encoder_id, 256, b""))
            store.write([replace(one, event_time_ms=now) for one in images], datetime.now(UTC))

    put(0, 4, 8)
    adding = ["watches", "add", "--case", case, "--json", *urls, "--radius"]
    assert main([*adding, "8"]) == 2
    assert "smaller radius" in capsys.readouterr().err
    assert client.get("/v1/watches").json()["watches"] == [], "nothing is left behind"
    assert main([*adding, "8", "--filter", "n=4"]) == main([*adding, "7"]) == 0
    watch_id = json.loads(capsys.readouterr().out.splitlines()[-1])["watch_id"]
    put(5)
    codes = [main(["watches", action, watch_id, *urls]) for action in ("pause", "resume", "end")]
    assert codes == [0, 2, 0], "what has become too wide can still be stopped"


def test_precision_has_wilsons_interval() -> None:
    assert precision_of(0, 0) is None
    found = precision_of(8, 2)
    assert found is not None
    # Newcombe, Two-sided confidence intervals for the single proportion (1998), gives the formula; figures by hand.
    assert (found.share, found.low, found.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)
    all_relevant = precision_of(3, 0)
    assert all_relevant is not None
    assert (all_relevant.high, all_relevant.low) == pytest.approx((1.0, 0.4385), abs=1e-4)


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=40))
def test_a_suggested_radius_is_the_largest_with_four_of_five_relevant(judged: list[tuple[int, bool]]) -> None:
    def good(radius: int) -> bool:
        within = [relevant for distance, relevant in judged if distance <= radius]
        return (radius, True) in judged and sum(within) >= 0.8 * len(within)

    expected = max(filter(good, range(31)), default=None) if len(judged) >= 10 else None
    assert suggested_radius(judged) == expected


def test_of_many_codes_those_are_watched_that_leave_none_far_away() -> None:
    groups = [code_near(CODE, distance) for distance in (0, 80, 160, 240)]
    codes = [code_near(group, near) for near in range(4) for group in groups]
    chosen = spread(codes, 4)
    assert chosen[0] == codes[0]
    assert all(min(_distance(code, one) for one in chosen) <= 3 for code in codes)
    assert spread(codes[:3], 32) == [codes[0], codes[2], codes[1]]


def _distance(code: bytes, other: bytes) -> int:
    return (int.from_bytes(code, "big") ^ int.from_bytes(other, "big")).bit_count()
