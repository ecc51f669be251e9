"""Cases and judgements over HTTP and on the command line."""

import asyncio
import base64
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from searcher.__main__ import main
from searcher.workbench.case_codes import codes_of
from searcher.workbench.workbench import Workbench
from shared.document import Document, Kind
from tests.described import described_client
from tests.searchers import ENCODER, FakeSearcher, code_near, code_of, fake_searcher, image, no_keys

PICTURE = b"\xff\xd8\xff picture of a mug"
BASE = "http://127.0.0.1:8080"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path}/workbench.db"


@pytest.fixture
def made(url: str) -> Iterator[FakeSearcher]:
    with fake_searcher(workbench_url=url) as found:
        yield found


@pytest.fixture
def client(made: FakeSearcher) -> Iterator[TestClient]:
    app = made.app()
    with described_client(app, BASE, follow_redirects=True) as client:
        yield client
    app.state.services.casework.desk.close()


def mug(image_id: str, **attributes: Any) -> Document:
    return image(image_id, attributes=attributes, thumbnail=f"thumbnail of {image_id}".encode(), item_id="mug")


def opened(client: TestClient, *seeds: dict[str, Any]) -> str:
    reply = client.post("/v1/cases", json={"name": "Mugs", "seeds": list(seeds)})
    assert reply.status_code == 201, reply.text
    case_id: str = reply.json()["case_id"]
    return case_id


def judge(client: TestClient, case_id: str, verdicts: dict[str, str], **fields: Any) -> dict[str, Any]:
    judgements = [
        {"image_id": image_id, "verdict": verdict, "rank": rank, "distance": 2 * rank}
        for rank, (image_id, verdict) in enumerate(verdicts.items(), start=1)
    ]
    reply = client.post(f"/v1/cases/{case_id}/judgements", json={"judgements": judgements, **fields})
    assert reply.status_code == 200, reply.text
    progress: dict[str, Any] = reply.json()
    return progress


def test_a_case_keeps_the_pictures_of_its_seeds(made: FakeSearcher, client: TestClient) -> None:
    made.put(mug("mug-1"))
    made.fetcher.pictures["https://example.com/a.jpg"] = PICTURE
    case_id = opened(
        client,
        {"image": base64.b64encode(PICTURE).decode()},
        {"url": "https://example.com/a.jpg", "weight": 3},
        {"image_id": "mug-1"},
        {"code": "00" * 32, "weight": -1},
    )
    made.store.away = True
    upload, by_url, indexed, code = client.get(f"/v1/cases/{case_id}").json()["seeds"]
    assert upload["code"] == by_url["code"] == code_of(PICTURE).hex()
    assert (by_url["url"], by_url["weight"]) == ("https://example.com/a.jpg", 3)
    assert upload["evidence"] == by_url["evidence"]
    kept = client.get(f"/v1/evidence/{upload['evidence']}")
    assert (kept.content, kept.headers["content-type"]) == (PICTURE, "image/jpeg")
    assert client.get(f"/v1/evidence/{indexed['evidence']}").content == b"thumbnail of mug-1"
    assert indexed["image_id"] == "mug-1"
    assert code == {"code": "00" * 32, "encoder": ENCODER.encoder_id, "weight": -1, "image_id": None, "url": None} | {
        "evidence": None
    }


def test_a_judged_image_leaves_its_facts_and_thumbnail_in_the_ledger(made: FakeSearcher, client: TestClient) -> None:
    made.put(mug("mug-1", title="Blue mug"))
    case_id = opened(client)
    search = {"seeds": [{"code": "00" * 32}], "k": 50}
    assert judge(client, case_id, {"mug-1": "relevant"}, search=search) == {
        "judged": 1,
        "relevant": 1,
        "not_relevant": 0,
        "unsure": 0,
    }
    made.store.away = True
    (entry,) = client.get(f"/v1/cases/{case_id}/judgements").json()["judgements"]
    assert entry["image"]["attributes"] == {"title": "Blue mug"}
    assert entry["search"] == search
    assert (entry["rank"], entry["distance"], entry["encoder"]) == (1, 2, ENCODER.encoder_id)
    assert client.get(f"/v1/evidence/{entry['evidence']}").content == b"thumbnail of mug-1"


def test_a_judgement_is_kept_while_the_store_is_away(made: FakeSearcher, client: TestClient) -> None:
    case_id = opened(client)
    made.store.away = True
    assert judge(client, case_id, {"mug-1": "unsure"})["unsure"] == 1
    (entry,) = client.get(f"/v1/cases/{case_id}/judgements").json()["judgements"]
    assert (entry["image"], entry["evidence"]) == (None, None)


def test_taking_back_is_another_entry(client: TestClient) -> None:
    case_id = opened(client)
    judge(client, case_id, {"a": "relevant", "b": "not_relevant"})
    assert judge(client, case_id, {"a": "withdrawn"})["judged"] == 1
    first = client.get(f"/v1/cases/{case_id}/judgements", params={"limit": 2}).json()
    rest = client.get(f"/v1/cases/{case_id}/judgements", params={"after": first["after"]}).json()
    verdicts = [entry["verdict"] for page in (first, rest) for entry in page["judgements"]]
    assert verdicts == ["relevant", "not_relevant", "withdrawn"]
    assert rest["after"] is None


def test_the_next_images_are_those_like_the_relevant_ones_that_nobody_judged(
    made: FakeSearcher, client: TestClient
) -> None:
    made.keep_in_memory()
    seed, far, other = bytes(32), bytes([255] * 32), code_near(bytes(32), 128)
    made.put(
        *(image(f"near-{n}", code_near(seed, n)) for n in range(1, 5)),
        *(image(f"far-{n}", code_near(far, n)) for n in range(1, 5)),
        image("other", other),
    )
    made.put(image("seed", seed))
    case_id = opened(client, {"image_id": "seed"})

    def next_ids(**fields: Any) -> list[str]:
        reply = client.post(f"/v1/cases/{case_id}/next", json={"k": 4, **fields})
        assert reply.status_code == 200, reply.text
        return [hit["image_id"] for hit in reply.json()["hits"]]

    assert set(next_ids()) == {"near-1", "near-2", "near-3", "near-4"}
    # A relevant image of another look brings its neighbours; what was judged does not come again.
    judge(client, case_id, {"far-1": "relevant", "near-1": "not_relevant", "near-4": "unsure"})
    following = next_ids()
    assert set(following[:3]) == {"far-2", "far-3", "far-4"}
    judge(client, case_id, dict.fromkeys((*following, "near-2", "near-3", "other"), "not_relevant"))
    assert next_ids() == []


def test_a_seed_that_is_judged_counts_once(made: FakeSearcher, client: TestClient) -> None:
    made.keep_in_memory()
    made.put(mug("seed"), mug("other"))
    case_id = opened(client, {"image_id": "seed"})
    judge(client, case_id, {"seed": "relevant", "other": "not_relevant"})
    with closing(Workbench.of(made.settings, lambda: made.now)) as bench:
        case, judged = bench.ledger.case(case_id), bench.ledger.verdicts(case_id)
    found = asyncio.run(codes_of(made.backend, case, judged))
    assert (len(found.relevant), len(found.not_relevant), found.left_out) == (1, 1, 0)


def test_the_next_images_are_shown_as_they_were_ranked_also_while_the_store_is_away(
    made: FakeSearcher, client: TestClient
) -> None:
    made.keep_in_memory()
    made.put(mug("mug-1", title="Blue mug"), mug("mug-2", title="Red mug"))
    case_id = opened(client, {"code": "00" * 32})
    # A newer version, and a deletion, that memory does not know of yet.
    made.store.write([replace(mug("mug-1", title="Green cup"), version=2)], made.now)
    made.store.write([Document("mug-2", Kind.DELETED, 2, True, 0)], made.now)
    before = client.post(f"/v1/cases/{case_id}/next", json={}).json()
    made.store.away = True
    during = client.post(f"/v1/cases/{case_id}/next", json={}).json()
    assert [hit["attributes"]["title"] for hit in before["hits"]] == ["Blue mug", "Red mug"]
    assert during == before


def test_the_next_images_can_be_filtered_and_need_a_start(made: FakeSearcher, client: TestClient) -> None:
    made.keep_in_memory("category")
    made.put(image("mug", attributes={"category": "mug"}), image("cup", attributes={"category": "cup"}))
    empty, case_id = opened(client), opened(client, {"code": "00" * 32})
    reply = client.post(f"/v1/cases/{case_id}/next", json={"filter": {"category": ["cup"]}}).json()
    assert [hit["image_id"] for hit in reply["hits"]] == ["cup"]
    assert (reply["encoder"], reply["left_out"]) == (ENCODER.encoder_id, 0)
    nothing = client.post(f"/v1/cases/{empty}/next", json={})
    assert (nothing.status_code, nothing.json()["reason"]) == (422, "query_invalid")


def test_without_codes_in_memory_the_next_images_have_to_wait(client: TestClient) -> None:
    case_id = opened(client, {"code": "00" * 32})
    reply = client.post(f"/v1/cases/{case_id}/next", json={})
    assert (reply.status_code, reply.json()["reason"]) == (503, "not_resident")


def test_a_case_is_changed_and_listed(client: TestClient) -> None:
    first, second = opened(client), opened(client)
    changed = client.patch(f"/v1/cases/{first}", json={"state": "closed", "seeds": [{"code": "01" * 32}]}).json()
    assert (changed["name"], changed["state"], len(changed["seeds"])) == ("Mugs", "closed", 1)
    page = client.get("/v1/cases", params={"limit": 1}).json()
    rest = client.get("/v1/cases", params={"cursor": page["cursor"]}).json()
    assert {case["case_id"] for case in page["cases"] + rest["cases"]} == {first, second}
    assert rest["cursor"] is None
    (closed,) = client.get("/v1/cases", params={"state": "closed"}).json()["cases"]
    assert closed["case_id"] == first


def test_what_is_not_there_is_told(client: TestClient) -> None:
    judgement = {"judgements": [{"image_id": "a", "verdict": "relevant"}]}
    for reply in (
        client.get("/v1/cases/0"),
        client.patch("/v1/cases/0", json={"name": "Cups"}),
        client.post("/v1/cases/0/judgements", json=judgement),
        client.get("/v1/cases/0/export"),
    ):
        assert (reply.status_code, reply.json()["reason"]) == (404, "case_missing")
    assert client.get("/v1/evidence/0").json()["reason"] == "evidence_missing"
    missing_seed = client.post("/v1/cases", json={"name": "Mugs", "seeds": [{"image_id": "nowhere"}]})
    assert missing_seed.json()["reason"] == "image_not_visible"
    assert client.get("/v1/cases").json()["cases"] == []


@pytest.mark.parametrize(
    "request_",
    [
        {"judgements": []},
        {"judgements": [{"image_id": "a", "verdict": "perhaps"}]},
        {"judgements": [{"image_id": "a", "verdict": "relevant", "rank": 0}]},
        {"judgements": [{"image_id": "a", "verdict": "relevant"}], "search": {"seeds": [{"image": "AAAA"}]}},
    ],
)
def test_a_judgement_that_makes_no_sense_is_refused(client: TestClient, request_: dict[str, Any]) -> None:
    case_id = opened(client)
    assert client.post(f"/v1/cases/{case_id}/judgements", json=request_).status_code == 422
    assert client.get(f"/v1/cases/{case_id}/judgements").json()["judgements"] == []


def test_searches_go_on_while_the_workbench_is_away() -> None:
    with fake_searcher(workbench_url="postgresql://nobody@127.0.0.1:1/none") as made:
        made.look = no_keys
        made.put(mug("mug-1"))
        with described_client(made.app(), BASE) as client:
            reply = client.get("/v1/cases")
            assert (reply.status_code, reply.json()["reason"]) == (503, "workbench_unavailable")
            assert reply.headers["retry-after"] == "5"
            assert client.post("/v1/search", json={"seeds": [{"image_id": "mug-1"}]}).status_code == 200


def test_an_export_for_people_has_no_formula(made: FakeSearcher, client: TestClient) -> None:
    made.put(mug("=1+1"))
    case_id = opened(client)
    judge(client, case_id, {"=1+1": "relevant"})
    reply = client.get(f"/v1/cases/{case_id}/export")
    heading, row = reply.text.splitlines()
    assert reply.headers["content-disposition"] == f'attachment; filename="case-{case_id}.csv"'
    assert heading == "case_id,image_id,verdict,who,at,rank,distance,encoder,item_id,image_url"
    assert row.startswith(f"{case_id},'=1+1,relevant,local,")
    assert row.endswith(f",1,2,{ENCODER.encoder_id},mug,")


def test_exports_for_tools_have_the_last_verdicts(client: TestClient) -> None:
    case_id = opened(client)
    judge(client, case_id, {"a b": "relevant", "c": "not_relevant", "d": "unsure", "e": "relevant", "f": "relevant"})
    judge(client, case_id, {"f": "withdrawn"})

    def lines(wanted: str) -> list[str]:
        return client.get(f"/v1/cases/{case_id}/export", params={"format": wanted}).text.splitlines()

    assert lines("qrels") == [f"{case_id} 0 a%20b 1", f"{case_id} 0 c 0", f"{case_id} 0 e 1"]
    assert lines("run") == [
        f"{case_id} Q0 {image_id} {rank} {5 - rank} judged"
        for rank, image_id in enumerate(["a%20b", "c", "d", "e"], start=1)
    ]
    assert sorted(map(json.loads, lines("triplets")), key=str) == [
        {"anchor": "a b", "positive": "e", "negative": "c"},
        {"anchor": "e", "positive": "a b", "negative": "c"},
    ]
    assert [entry["image_id"] for entry in json.loads("".join(lines("json")))] == ["a b", "c", "d", "e"]


def test_a_seed_that_is_indexed_anchors_triplets(made: FakeSearcher, client: TestClient) -> None:
    made.put(mug("seed"), mug("unlike"))
    case_id = opened(client, {"image_id": "seed"}, {"image_id": "unlike", "weight": -1})
    judge(client, case_id, {"a": "relevant", "b": "not_relevant"})
    text = client.get(f"/v1/cases/{case_id}/export", params={"format": "triplets"}).text
    assert json.loads(text) == {"anchor": "seed", "positive": "a", "negative": "b"}


def test_judgements_come_from_a_form_too(made: FakeSearcher, client: TestClient) -> None:
    made.put(mug("mug-1"))
    case_id = opened(client)
    form = {"verdict-1": "relevant", "image-1": '{"image_id": "mug-1", "rank": 4}', "image-2": '{"image_id": "b"}'}
    saved = client.post(f"/cases/{case_id}", data=form, follow_redirects=False)
    assert (saved.status_code, saved.headers["location"]) == (303, f"/cases/{case_id}")
    (entry,) = client.get(f"/v1/cases/{case_id}/judgements").json()["judgements"]
    assert (entry["image_id"], entry["verdict"], entry["rank"]) == ("mug-1", "relevant", 4)


def test_a_case_from_the_page_keeps_the_picture_of_its_seed(made: FakeSearcher, client: TestClient) -> None:
    made.fetcher.pictures["https://example.com/a.jpg"] = PICTURE
    code = {"name": "Mugs", "seed_code": "00" * 32, "seed_encoder": ENCODER.encoder_id}

    def seed_of(form: dict[str, str], **files: Any) -> dict[str, Any]:
        assert client.post("/cases", data=form, files=files, follow_redirects=False).status_code == 303
        (listed, *_) = client.get("/v1/cases").json()["cases"]
        made.now += timedelta(seconds=1)
        (seed,) = client.get(f"/v1/cases/{listed['case_id']}").json()["seeds"]
        shown: dict[str, Any] = seed
        return shown

    by_url = seed_of({**code, "seed_url": "https://example.com/a.jpg"})
    upload = seed_of(code, seed_picture=("mug.jpg", PICTURE, "image/jpeg"))
    assert by_url["evidence"] == upload["evidence"] is not None
    assert by_url["code"] == upload["code"] == code_of(PICTURE).hex()
    part = seed_of({**code, "seed_crop": "0,0,0.5,1"}, seed_picture=("mug.jpg", PICTURE, "image/jpeg"))
    assert (part["evidence"], part["code"] == upload["code"]) == (upload["evidence"], False)
    gone = seed_of({**code, "seed_url": "https://example.com/gone.jpg"})
    assert (gone["code"], gone["evidence"]) == ("00" * 32, None)


def test_ticked_hits_are_judged_with_the_search_that_showed_them(made: FakeSearcher, client: TestClient) -> None:
    made.put(mug("mug-1"))
    case_id = opened(client)
    ticked: dict[str, Any] = {
        "image_id": "mug-1",
        "item_id": "mug",
        "event_time": "",
        "image_url": None,
        "attributes": {},
        "distance": 3,
    }
    form = {"ticked": json.dumps(ticked), "verdict": "not_relevant", "back": f"/?image_id=mug-1&k=5&case={case_id}"}
    judged = client.post(f"/cases/{case_id}/ticked", data=form, follow_redirects=False)
    assert (judged.status_code, judged.headers["location"]) == (303, form["back"])
    (entry,) = client.get(f"/v1/cases/{case_id}/judgements").json()["judgements"]
    assert (entry["verdict"], entry["distance"]) == ("not_relevant", 3)
    assert entry["search"] == {"seeds": [{"image_id": "mug-1"}], "k": 5}
    elsewhere = client.post(
        f"/cases/{case_id}/ticked", data={**form, "back": "//example.com/?"}, follow_redirects=False
    )
    assert elsewhere.headers["location"] == f"/cases/{case_id}"
    wrong = client.post(f"/cases/{case_id}/ticked", data={**form, "verdict": "perhaps"})
    assert (wrong.status_code, "That did not work" in wrong.text) == (422, True)


@pytest.mark.parametrize("image_", ["", "no JSON", "[1]", '{"rank": 1}', '{"image_id": "a", "other": 1}'])
def test_a_form_that_was_tampered_with_is_refused(client: TestClient, image_: str) -> None:
    case_id = opened(client)
    reply = client.post(f"/cases/{case_id}", data={"verdict-1": "relevant", "image-1": image_})
    assert reply.status_code == 422
    assert "That did not work" in reply.text


def test_many_ticked_images_become_a_case(client: TestClient) -> None:
    ticked = [
        json.dumps({"image_id": f"mug-{n}", "item_id": "mug", "event_time": "", "image_url": None, "attributes": {}})
        for n in range(1001)
    ]
    form = {"name": "Mugs", "seed_code": "00" * 32, "ticked": ticked}
    assert client.post("/cases", data=form, follow_redirects=False).status_code == 303
    assert client.get("/v1/cases").json()["cases"][0]["progress"]["relevant"] == 1001


def test_the_command_line_lists_cases_and_writes_judgements(
    made: FakeSearcher, client: TestClient, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = opened(client), opened(client)
    judge(client, first, {"a": "relevant"})
    made.now += timedelta(minutes=1)
    judge(client, second, {"b": "not_relevant"})
    assert main(["cases", "--workbench-url", url]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["case", second, first]
    target = tmp_path / "qrels.txt"
    command = ["judgements", "export", "--format", "qrels", "--workbench-url", url]
    assert main([*command, "--out", str(target)]) == 0
    assert sorted(target.read_text().splitlines()) == sorted([f"{first} 0 a 1", f"{second} 0 b 0"])
    capsys.readouterr()
    assert main([*command, "--case", first]) == 0
    assert capsys.readouterr().out == f"{first} 0 a 1\n"
    assert main([*command, "--case", "nowhere"]) == 2
    assert "--case: there is no case nowhere" in capsys.readouterr().err
