"""What a searcher answers from memory: the same as the store, and what only memory can: several seeds, histograms."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from searcher.strategies import StrategyName
from searcher.wire import SearchReply, SearchRequest
from shared.document import Document, Kind
from shared.hash_code import hamming_distances
from shared.rolling_window import to_milliseconds
from tests.described import described_client
from tests.searchers import ENCODER, NOW, FakeSearcher, code_near, fake_searcher, image

SEED = bytes(range(32))
GENERATOR = np.random.default_rng(11)
CODES = {f"image-{number:03}": GENERATOR.bytes(32) for number in range(200)}


@pytest.fixture
def made() -> Iterator[FakeSearcher]:
    with fake_searcher() as ready:
        ready.put(*(image(image_id, code, attributes={"of": image_id}) for image_id, code in CODES.items()))
        ready.keep_in_memory()
        yield ready


@pytest.fixture
def without_documents(made: FakeSearcher) -> FakeSearcher:
    """Only codes are in memory."""
    made.keep_in_memory(documents_bytes=0)
    return made


@pytest.fixture
def client(made: FakeSearcher) -> Iterator[TestClient]:
    with described_client(made.app(), "http://127.0.0.1:8000") as ready:
        yield ready


async def ask(made: FakeSearcher, **query: Any) -> SearchReply:
    return await made.searcher.search(SearchRequest.model_validate({"seeds": [{"code": SEED.hex()}], **query}))


def ids(reply: SearchReply) -> list[str]:
    return [hit.image_id for hit in reply.hits]


def ranked(distances: dict[str, int]) -> list[str]:
    return sorted(distances, key=lambda image_id: (distances[image_id], image_id))


async def test_auto_answers_from_memory_just_what_the_store_answers(made: FakeSearcher) -> None:
    for query in ({"k": 7}, {"k": 300}, {"radius": 120, "k": 50}):
        memory, store = await ask(made, **query), await ask(made, strategy="flat", **query)
        assert (memory.strategy, store.strategy) == (StrategyName.RESIDENT, StrategyName.FLAT)
        assert memory.hits == store.hits
        assert (memory.exact, memory.exact_up_to, memory.candidates) == (True, store.exact_up_to, store.candidates)


async def test_attributes_of_any_size_and_script_are_answered_as_they_are(
    made: FakeSearcher, client: TestClient
) -> None:
    attributes = {"number": 10**30, "size": 0.1, "mug": "Tasse ☕", "on": [True, -1]}
    made.put(image("as-it-is", SEED, attributes=attributes))
    made.follow()
    hits = client.post("/v1/search", json={"seeds": [{"image_id": "as-it-is"}], "k": 2}).json()["hits"]
    assert hits[0]["attributes"] == attributes
    assert hits[1]["attributes"] == {"of": hits[1]["image_id"]}


async def test_an_outage_of_the_store_is_survived_with_what_is_in_memory(made: FakeSearcher) -> None:
    before = await ask(made, k=5)
    made.store.away = True
    during = await ask(made, k=5)
    assert during.hits == before.hits
    assert (during.complete, during.exact, during.reason) == (True, True, None)
    assert during.as_of <= before.as_of
    assert ids(await ask(made, k=5, fold_radius=3)) == ids(before)
    assert ids(await ask(made, k=5, group_by_item=True)) == ids(before)


async def test_where_documents_are_not_in_memory_an_outage_is_told(without_documents: FakeSearcher) -> None:
    before = await ask(without_documents, k=5)
    assert (before.complete, before.hits[0].attributes) == (True, {"of": ids(before)[0]})
    without_documents.store.away = True
    during = await ask(without_documents, k=5)
    assert ids(during) == ids(before)
    assert (during.complete, during.exact, during.hits[0].attributes) == (False, False, {})
    assert "without attributes" in (during.reason or "")
    assert during.as_of <= before.as_of


async def test_only_documents_that_did_not_fit_are_asked_of_the_store(made: FakeSearcher) -> None:
    made.store.step_changes = 20
    made.keep_in_memory(documents_bytes=4096)
    hits = (await ask(made, k=200)).hits
    assert [hit.attributes for hit in hits] == [{"of": hit.image_id} for hit in hits]
    made.store.away = True
    during = await ask(made, k=200)
    kept = [hit for hit in during.hits if hit.attributes]
    assert (during.complete, 20 < len(kept) < 200) == (False, True)
    assert all(hit in hits for hit in kept)


async def test_what_the_store_knows_better_by_now_is_taken_over(without_documents: FakeSearcher) -> None:
    made = without_documents
    nearest, second, *_ = ids(await ask(made, k=3))
    # Written and not followed yet.
    far = bytes(255 - byte for byte in SEED)
    made.store.write(
        [
            Document(nearest, Kind.DELETED, 2, True, to_milliseconds(NOW)),
            image(second, far, version=2),
        ],
        made.now,
    )
    reply = await ask(made, k=200)
    assert nearest not in ids(reply)
    assert (ids(reply)[-1], reply.hits[-1].distance) == (second, 256)


async def test_codes_that_are_not_in_memory_yet_are_no_answer(made: FakeSearcher, client: TestClient) -> None:
    made.backend.resident = None
    assert (await ask(made)).strategy is StrategyName.FLAT
    body = {"seeds": [{"code": SEED.hex()}], "strategy": "resident"}
    refused = client.post("/v1/search", json=body)
    assert (refused.status_code, refused.json()["reason"]) == (503, "not_resident")


# Several seeds --------------------------------------------------------------------------------------------------------


async def test_several_seeds_are_weighed(made: FakeSearcher) -> None:
    seeds = [("image-003", 2), ("image-017", 1), ("image-020", -1)]
    reply = await ask(made, seeds=[{"image_id": name, "weight": weight} for name, weight in seeds], k=200)
    codes = np.array([list(code) for code in CODES.values()], dtype=np.uint8)
    sums = sum(weight * hamming_distances(CODES[name], codes) for name, weight in seeds)
    expected = dict(zip(CODES, np.asarray(sums).tolist(), strict=True))
    assert ids(reply) == ranked(expected)
    assert [hit.distance for hit in reply.hits] == sorted(expected.values())
    assert [one.weight for one in reply.seeds] == [2, 1, -1]
    assert all(0 <= hit.similarity <= 1 for hit in reply.hits)


async def test_bits_are_weighed_by_what_tells_wanted_from_unwanted(made: FakeSearcher) -> None:
    alike = [image(f"alike-{n}", code_near(SEED, n)) for n in range(1, 9)]
    made.put(*alike)
    wanted = [{"image_id": f"alike-{n}"} for n in range(1, 5)]
    unwanted = [{"image_id": f"image-{n:03}", "weight": -1} for n in range(4)]
    reply = await ask(made, seeds=[*wanted, *unwanted], combine="bits", k=8)
    assert set(ids(reply)) == {one.image_id for one in alike}


def test_several_seeds_need_the_codes_in_memory(made: FakeSearcher, client: TestClient) -> None:
    body: dict[str, Any] = {"seeds": [{"image_id": "image-001"}, {"image_id": "image-002"}]}
    assert client.post("/v1/search", json=body).status_code == 200
    refused = client.post("/v1/search", json=body | {"strategy": "flat"})
    assert (refused.status_code, refused.json()["reason"]) == (422, "query_invalid")
    made.backend.resident = None
    assert client.post("/v1/search", json=body).json()["reason"] == "not_resident"


# Pages and streams ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["resident", "flat", "subcode"])
@pytest.mark.parametrize("group_by_item", [False, True])
async def test_pages_neither_repeat_nor_miss_while_the_index_changes(
    made: FakeSearcher, strategy: str, *, group_by_item: bool
) -> None:
    made.put(*(image(f"tie-{n:02}", code_near(SEED, 20), item_id=f"item-{n // 3}") for n in range(40)))
    query = {"strategy": strategy, "k": 17, "group_by_item": group_by_item}
    whole = ids(await ask(made, **query | {"k": 1000}))
    seen: list[str] = []
    cursor, pages = None, 0
    while True:
        reply = await ask(made, **query, cursor=cursor)
        seen += ids(reply)
        pages += 1
        if reply.cursor is None:
            break
        cursor = reply.cursor
        # What comes before the page is not shown, and shifts nothing.
        made.put(image(f"new-{pages}", code_near(SEED, 1)))
        made.put(Document(seen[0], Kind.DELETED, pages + 10, True, to_milliseconds(NOW)))
    assert pages > 3
    assert seen == whole


def test_a_cursor_of_something_else_is_refused(client: TestClient) -> None:
    refused = client.post("/v1/search", json={"seeds": [{"code": SEED.hex()}], "cursor": "bm9uc2Vuc2U"})
    assert (refused.status_code, refused.json()["detail"]) == (422, "The cursor is not one of a reply.")


async def test_documents_are_read_of_the_hits_of_a_page_alone(
    without_documents: FakeSearcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = without_documents
    asked: list[int] = []
    at_versions = made.store.documents_at

    def counted(versions: Mapping[str, int]) -> Mapping[str, Document]:
        asked.append(len(versions))
        return at_versions(versions)

    monkeypatch.setattr(made.store, "documents_at", counted)
    cursor = (await ask(made, k=50)).cursor
    assert len((await ask(made, k=50, cursor=cursor)).hits) == 50
    assert asked == [50, 50]


def test_a_radius_alone_streams_all_within_it(made: FakeSearcher, client: TestClient) -> None:
    made.put(*(image(f"near-{n:04}", code_near(SEED, n % 30)) for n in range(2500)))
    reply = client.post("/v1/search", json={"seeds": [{"code": SEED.hex()}], "radius": 25})
    assert reply.headers["content-type"] == "application/x-ndjson"
    *hits, worth = [json.loads(line) for line in reply.text.splitlines()]
    expected = sorted((n % 30, f"near-{n:04}") for n in range(2500) if n % 30 <= 25)
    assert [(hit["distance"], hit["image_id"]) for hit in hits] == expected
    assert (worth["complete"], worth["exact"], worth["exact_up_to"], "hits" in worth) == (True, True, 25, False)
    missing = client.post("/v1/search", json={"seeds": [{"image_id": "nothing"}], "radius": 25})
    assert missing.status_code == 404


@pytest.mark.parametrize("strategy", ["resident", "flat"])
async def test_near_duplicates_are_folded_into_the_best_of_them(made: FakeSearcher, strategy: str) -> None:
    groups = {4: "a", 12: "b", 20: "c", 28: "d"}
    made.put(*(image(f"{name}-{n}", code_near(SEED, d + n)) for d, name in groups.items() for n in range(3)))
    query = {"strategy": strategy, "fold_radius": 2, "k": 2}
    first = await ask(made, **query)
    assert [(hit.image_id, hit.folded) for hit in first.hits] == [("a-0", ["a-1", "a-2"]), ("b-0", ["b-1", "b-2"])]
    second = await ask(made, **query, cursor=first.cursor)
    assert [(hit.image_id, hit.folded) for hit in second.hits] == [("c-0", ["c-1", "c-2"]), ("d-0", ["d-1", "d-2"])]
    # A hit stands for those near itself, not for those near these.
    assert ids(await ask(made, **query | {"fold_radius": 1})) == ["a-0", "a-2"]


# Batches --------------------------------------------------------------------------------------------------------------


def test_a_batch_answers_each_query_as_alone(made: FakeSearcher, client: TestClient) -> None:
    seeds = [{"image_id": f"image-{n:03}"} for n in range(20)]
    queries = [
        *({"seeds": [seed], "k": 9} for seed in seeds),
        {"seeds": [{"image_id": "unknown"}], "k": 9},
        {"seeds": seeds[:3], "k": 4},
        {"seeds": seeds[:1], "k": 4, "strategy": "flat"},
        {"seeds": seeds[:1], "radius": 9},
    ]
    replies = client.post("/v1/search/batch", json={"queries": queries}).json()["replies"]
    assert len(replies) == len(queries)
    for query, reply in zip(queries[:20] + queries[21:23], replies[:20] + replies[21:23], strict=True):
        alone = client.post("/v1/search", json=query).json()
        assert reply["hits"] == alone["hits"]
        assert {name: reply[name] for name in reply if name != "took_ms"} == {
            name: alone[name] for name in alone if name != "took_ms"
        }
        assert set(reply["took_ms"]) == set(alone["took_ms"])
    assert replies[20] == client.post("/v1/search", json=queries[20]).json()
    assert (replies[23]["status"], replies[23]["reason"]) == (422, "query_invalid")


# Explanations ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [True, False])
def test_a_search_explains_where_an_image_stands(made: FakeSearcher, client: TestClient, *, memory: bool) -> None:
    made.put(
        image("seed", SEED),
        image("near", code_near(SEED, 3), attributes={"colour": "blue"}),
        Document("deleted", Kind.DELETED, 1, True, to_milliseconds(NOW)),
        Document("old", Kind.EXPIRED, 1, True, 0),
        replace(image("other"), codes={"other": SEED}),
    )
    if not memory:
        made.backend.resident = None

    def explain(image_id: str, **query: Any) -> dict[str, Any]:
        reply = client.get("/v1/explain", params={"seed": "seed", "image_id": image_id, **query})
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    shown = explain("near")
    assert (shown["verdict"], shown["distance"], shown["rank"]) == ("shown", 3, 2)
    # The first subcode differs.
    assert (shown["equal_subcodes"], shown["subcodes"]) == (list(range(1, 16)), 16)
    assert explain("near", k=1)["verdict"] == "cut_by_k"
    assert explain("near", radius=2, k=10)["verdict"] == "beyond_radius"
    assert explain("near", radius=2)["verdict"] == "beyond_radius"
    assert explain("near", radius=3)["verdict"] == "shown"
    assert explain("near", filter='{"colour": ["red"]}')["verdict"] == "filtered"
    assert explain("near", until="2026-01-01")["verdict"] == "filtered"
    for image_id, verdict in (
        ("deleted", "deleted"),
        ("old", "expired"),
        ("other", "other_encoder"),
        ("never", "not_indexed"),
    ):
        told = explain(image_id)
        assert (told["verdict"], told["distance"], told["rank"]) == (verdict, None, None)
        assert told["detail"]


def test_the_histogram_counts_the_whole_window(made: FakeSearcher, client: TestClient) -> None:
    reply = client.post("/v1/histogram", json={"seeds": [{"code": SEED.hex()}]}).json()
    codes = np.array([list(code) for code in CODES.values()], dtype=np.uint8)
    counts = np.bincount(hamming_distances(SEED, codes), minlength=257)
    assert (reply["bits"], reply["counts"]) == (ENCODER.bits, counts.tolist())
    made.backend.resident = None
    assert client.post("/v1/histogram", json={"seeds": [{"code": SEED.hex()}]}).status_code == 503
