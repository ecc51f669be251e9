"""Looking for duplicates and reviewing them over HTTP, on the page without a script, and on the command line."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from searcher.__main__ import main
from shared.document import Document
from shared.encoding.copy_code import COPY_ENCODER_ID
from shared.errors import EXIT_CONFIGURATION
from shared.store import StoredEncoder
from shared.store.sqlite_store import SqliteStore
from tests.described import described_client
from tests.searchers import ENCODER, NOW, FakeSearcher, code_near, fake_searcher, image

BASE = "http://127.0.0.1:8080"
HOSTILE = "<script>alert(1)</script>"


def photo(image_id: str, bits: int, other: int = 0, **attributes: Any) -> Document:
    """An image whose copy code is so many bits from the zeros, and whose embedding's code so many of ones."""
    made = image(image_id, code_near(b"\xff" * 32, other), item_id=f"item of {image_id}", attributes=attributes)
    return replace(made, codes={**made.codes, COPY_ENCODER_ID: code_near(bytes(32), bits)})


PHOTOS = [
    photo("a", 0, title="=HYPERLINK(1)"),
    photo("b", 4, title=HOSTILE),
    photo("c", 8),
    photo("d", 120, 100),
    photo("e", 126, 150),
    photo("f", 200, 100),
]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path}/workbench.db"


@pytest.fixture
def made(url: str) -> Iterator[FakeSearcher]:
    with fake_searcher(workbench_url=url) as found:
        found.put(*PHOTOS)
        yield found


@pytest.fixture
def client(made: FakeSearcher) -> Iterator[TestClient]:
    app = made.app()
    with described_client(app, BASE, follow_redirects=True) as client:
        yield client
    app.state.services.duplicates.wait()
    app.state.services.casework.desk.close()


def finished(client: TestClient, **question: Any) -> dict[str, Any]:
    begun = client.post("/v1/duplicates", json={"radius": 10, **question})
    assert begun.status_code == 202, begun.text
    client.app.state.services.duplicates.wait()  # type: ignore[attr-defined]
    run: dict[str, Any] = client.get(f"/v1/duplicates/{begun.json()['run_id']}").json()
    return run


def groups_of(client: TestClient, run: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    reply = client.get(f"/v1/duplicates/{run['run_id']}/groups", params=more)
    assert reply.status_code == 200, reply.text
    groups: list[dict[str, Any]] = reply.json()["groups"]
    return groups


def ids(group: dict[str, Any]) -> list[str]:
    return sorted(member["image_id"] for member in group["members"])


def decide(client: TestClient, run: dict[str, Any], group_id: int, **decision: Any) -> list[dict[str, Any]]:
    reply = client.post(f"/v1/duplicates/{run['run_id']}/groups/{group_id}/decisions", json=decision)
    assert reply.status_code == 200, reply.text
    groups: list[dict[str, Any]] = reply.json()["groups"]
    return groups


def test_a_run_groups_photos_by_their_copy_codes_and_articles_by_the_encoders(client: TestClient) -> None:
    run = finished(client)
    assert (run["state"], run["encoder"], run["images"], run["pairs"]) == ("done", COPY_ENCODER_ID, 6, 4)
    assert [ids(group) for group in groups_of(client, run)] == [["a", "b", "c"], ["d", "e"]]
    run = finished(client, same="article")
    assert run["encoder"] == ENCODER.encoder_id
    assert [ids(group) for group in groups_of(client, run)] == [["a", "b", "c"], ["d", "f"]]
    assert sorted(one["same"] for one in client.get("/v1/duplicates").json()["runs"]) == ["article", "photo"]
    assert finished(client, radius=None)["radius"] == 31
    assert finished(client, same="article", radius=None)["radius"] == 32


def test_groups_come_a_page_at_a_time_and_one_by_its_number(client: TestClient) -> None:
    run = finished(client)
    first = client.get(f"/v1/duplicates/{run['run_id']}/groups", params={"limit": 1}).json()
    rest = client.get(f"/v1/duplicates/{run['run_id']}/groups", params={"after": first["after"]}).json()
    assert [ids(group) for group in (*first["groups"], *rest["groups"])] == [["a", "b", "c"], ["d", "e"]]
    assert rest["after"] is None
    group_id = first["groups"][0]["group_id"]
    assert client.get(f"/v1/duplicates/{run['run_id']}/groups/{group_id}").json() == first["groups"][0]
    assert client.get(f"/v1/duplicates/{run['run_id']}/groups/12345").json()["reason"] == "run_missing"
    assert client.get("/v1/duplicates/unknown").status_code == 404


def test_groups_are_kept_split_merged_and_dismissed_and_each_step_is_written_down(client: TestClient) -> None:
    run = finished(client)
    first, second = (group["group_id"] for group in groups_of(client, run))
    assert decide(client, run, first, action="keep", image_ids=["a"])[0]["kept"] == "a"
    split = decide(client, run, first, action="split", image_ids=["c"])
    assert [ids(group) for group in split] == [["a", "b"], ["c"]]
    merged = decide(client, run, second, action="merge", groups=[split[1]["group_id"]])
    assert ids(merged[0]) == ["c", "d", "e"]
    assert merged[0]["loose"]
    decide(client, run, second, action="dismiss")
    assert ids(groups_of(client, run, state="dismissed")[0]) == ["c", "d", "e"]
    decide(client, run, second, action="reopen")
    path = f"/v1/duplicates/{run['run_id']}"
    entries = client.get(f"{path}/decisions").json()["decisions"]
    assert [(entry["action"], entry["who"]) for entry in entries] == [
        (action, "local") for action in ("keep", "split", "merge", "dismiss", "reopen")
    ]
    wrong = client.post(f"{path}/groups/{first}/decisions", json={"action": "keep", "image_ids": ["e"]})
    assert (wrong.status_code, wrong.json()["reason"]) == (422, "query_invalid")
    assert len(client.get(f"{path}/decisions").json()["decisions"]) == 5


def test_what_was_decided_is_exported_and_no_cell_is_a_formula(client: TestClient) -> None:
    client.app.state.services.backend.store.write(  # type: ignore[attr-defined]
        [photo("=evil()", 4)],
        client.app.state.services.now(),  # type: ignore[attr-defined]
    )
    run = finished(client)
    group = groups_of(client, run)[0]
    decide(client, run, group["group_id"], action="keep", image_ids=["a"])
    text = client.get(f"/v1/duplicates/{run['run_id']}/export").text
    rows = list(csv.DictReader(io.StringIO(text)))
    verdicts = {row["image_id"]: row["verdict"] for row in rows}
    assert verdicts == {"a": "keep", "b": "duplicate", "c": "duplicate", "'=evil()": "duplicate", "d": "", "e": ""}
    document = client.get(f"/v1/duplicates/{run['run_id']}/export", params={"format": "json"}).json()
    assert document["run"]["run_id"] == run["run_id"]
    assert [one["state"] for one in document["groups"]] == ["kept", "open"]


def test_a_run_that_fails_tells_why(client: TestClient, made: FakeSearcher) -> None:
    made.store.feed_away = True
    run = finished(client)
    assert (run["state"], run["detail"]) == ("failed", "the store is away")
    made.store.feed_away = False
    made.put(*(image(one.image_id, version=2) for one in PHOTOS))
    run = finished(client)
    assert run["state"] == "failed"
    assert "CATALOGUE_COPY_CODES" in run["detail"]


def test_the_page_does_it_all_by_forms_and_shows_hostile_titles_as_text(client: TestClient) -> None:
    assert "Nobody has looked" in client.get("/duplicates").text
    begun = client.post("/duplicates", data={"same": "photo", "by": "image", "radius": "10", "match": "", "differ": ""})
    assert begun.status_code == 200
    client.app.state.services.duplicates.wait()  # type: ignore[attr-defined]
    page = client.get(begun.url.path).text
    assert page.count('class="card') == 5
    assert HOSTILE not in page
    run = {"run_id": begun.url.path.rpartition("/")[2]}
    first, second = (group["group_id"] for group in groups_of(client, run))
    where = {"state": "open", "after": "0"}
    form = f"{begun.url.path}/groups"
    split = client.post(form, data={**where, "group": str(first), "action": "split", "images": ["b", "c"]})
    assert [ids(group) for group in groups_of(client, run)] == [["a"], ["d", "e"], ["b", "c"]]
    third = groups_of(client, run)[2]["group_id"]
    client.post(form, data={**where, "action": "merge", "groups": [str(first), str(third)]})
    assert [ids(group) for group in groups_of(client, run)] == [["a", "b", "c"], ["d", "e"]]
    client.post(form, data={**where, "group": str(first), "action": "keep", "keep": "b"})
    client.post(form, data={**where, "group": str(second), "action": "dismiss"})
    assert "No group is left" in client.get(begun.url.path).text
    assert "duplicate</p>" in client.get(begun.url.path, params={"state": "kept"}).text
    assert split.status_code == 200
    assert "/duplicates/" in client.get("/duplicates").text
    for wrong in ({"action": "keep"}, {"action": "burn", "group": str(first)}, {}, {"action": "merge"}):
        assert client.post(form, data={**where, **wrong}).status_code in (404, 422)
    assert client.post("/duplicates", data={"same": "mood"}).status_code == 422


def test_the_command_finds_writes_and_tells_of_earlier_runs(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(tmp_path / "store.sqlite")
    store.activate_encoder(StoredEncoder(ENCODER.encoder_id, 256, b"blob"))
    monkeypatch.setattr("searcher.duplicates.command._now", lambda: NOW)
    store.write(PHOTOS, NOW)
    store.close()
    common = ["--store-url", f"sqlite://{tmp_path}/store.sqlite", "--workbench-url", url]
    assert main(["duplicates", "--radius", "10", "--output", str(tmp_path / "groups.csv"), "--json", *common]) == 0
    run, *groups = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [ids(group) for group in groups] == [["a", "b", "c"], ["d", "e"]]
    assert (tmp_path / "groups.csv").read_text().count("\n") == 6
    assert main(["duplicates", "--run", run["run_id"], "--output", str(tmp_path / "groups.json"), *common]) == 0
    assert "2 groups with 5 of 6 images" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "groups.json").read_text())["groups"]) == 2
    for wrong in (["--run", "0"], ["--radius", "-1"], ["--output", "/nowhere/x.csv"]):
        assert main(["duplicates", *wrong, *common]) == EXIT_CONFIGURATION
