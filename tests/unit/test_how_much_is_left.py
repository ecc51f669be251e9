"""Samples that tell how much is left: the arithmetic, and the HTTP API."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from searcher.workbench.estimating import Limits, Stratum, draw_sample, limits
from searcher.workbench.sampling import confidence_of
from shared.document import Document, Kind
from tests.described import described_client
from tests.searchers import FakeSearcher, code_near, fake_searcher, image

NOTHING = Stratum(0, 0, 0)


@pytest.mark.parametrize(
    ("near", "rest"),
    [((0, 250), (0, 900)), ((12, 250), (0, 900)), ((12, 250), (9, 900)), ((0, 250), (40, 900)), ((60, 100), (30, 300))],
)
def test_the_limits_hold_at_least_as_often_as_they_say(near: tuple[int, int], rest: tuple[int, int]) -> None:
    strata = [Stratum(near[1], 25, 40), Stratum(rest[1], 40, 90)]
    truth = near[0] + rest[0]
    random = np.random.default_rng(1)
    parts = list(zip((near, rest), strata, strict=True))
    draws = np.stack(
        [random.hypergeometric(good, size - good, one.drawn, 4000) for (good, size), one in parts],
        axis=1,
    )
    found, times = np.unique(draws, axis=0, return_counts=True)
    told = [limits(strata, pair, [0, 0], 0.95) for pair in found.tolist()]
    covered = sum(count for one, count in zip(told, times.tolist(), strict=True) if one.low <= truth <= one.high)
    assert covered / 4000 >= 0.94
    mean = sum(one.estimate * count for one, count in zip(told, times.tolist(), strict=True)) / 4000
    assert mean == pytest.approx(truth, rel=0.1, abs=0.5)


def test_limits_meet_where_everything_was_drawn() -> None:
    assert limits([Stratum(40, 40, 9), NOTHING], [7, 0], [0, 0], 0.95) == Limits(7.0, 7, 7)
    assert limits([NOTHING, NOTHING], [0, 0], [0, 0], 0.95) == Limits(0.0, 0, 0)


def test_who_is_unsure_widens_the_limits() -> None:
    strata = [Stratum(400, 40, 50), Stratum(10_000, 60, 128)]
    sure, unsure = limits(strata, [3, 0], [0, 0], 0.95), limits(strata, [3, 0], [0, 2], 0.95)
    assert (unsure.estimate, unsure.low) == (sure.estimate, sure.low) == (30.0, 5)
    assert unsure.high > sure.high > 400
    assert limits(strata, [3, 0], [0, 0], 0.99).high > sure.high


def test_who_draws_until_a_sample_pleases_is_wrong_in_one_of_ten_cases_at_most() -> None:
    assert [confidence_of(drawn_before) for drawn_before in range(3)] == [0.95, 0.975, 0.9875]
    assert sum(1 - confidence_of(drawn_before) for drawn_before in range(1000)) == pytest.approx(0.1, rel=0.001)
    # An analyst who draws forty times from a thousand images, of which 75 are relevant: simulated, 2,000 times. Only a
    # sample without any of them can have limits that are wrong.
    stratum, truth = Stratum(1000, 50, 90), 75
    found = np.random.default_rng(3).hypergeometric(truth, 1000 - truth, 50, (2000, 40))

    def wrong(drawn_before: int) -> bool:
        return limits([stratum, NOTHING], [0, 0], [0, 0], confidence_of(drawn_before)).high < truth

    assert limits([stratum, NOTHING], [1, 0], [0, 0], 0.95).high > truth
    shown = (found == 0) & [wrong(drawn_before) for drawn_before in range(40)]
    assert shown.any(axis=1).mean() <= 0.1
    alike = (found == 0) & wrong(0)
    assert alike.any(axis=1).mean() > 0.3, "with the same risk each time one of them misleads him far too often"


def test_a_sample_is_drawn_from_near_and_far_and_its_order_tells_nothing() -> None:
    distances = np.random.default_rng(0).integers(0, 200, 5000).astype(np.int32)
    drawn = draw_sample(distances, 100, np.random.default_rng(5))
    again = draw_sample(distances, 100, np.random.default_rng(5))
    assert drawn.places.tolist() == again.places.tolist()
    assert len(set(drawn.places.tolist())) == 100
    near, rest = drawn.strata
    assert (near.images, near.drawn, rest.images, rest.drawn) == (400, 40, 4600, 60)
    assert distances[drawn.places[drawn.of == 0]].max() <= near.up_to <= distances[drawn.places[drawn.of == 1]].min()
    assert 10 < drawn.of[:50].sum() < 50, "both strata come mixed"


@pytest.mark.parametrize(("images", "size"), [(0, 10), (7, 10), (10, 10), (30, 10), (41, 10)])
def test_no_more_is_drawn_than_there_is(images: int, size: int) -> None:
    drawn = draw_sample(np.arange(images, dtype=np.int32), size, np.random.default_rng(0))
    assert len(set(drawn.places.tolist())) == len(drawn.of) == min(images, size)
    assert sum(stratum.images for stratum in drawn.strata) == images
    assert [stratum.drawn for stratum in drawn.strata] == np.bincount(drawn.of, minlength=2).tolist()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[FakeSearcher]:
    """Sixty mugs near the seed, and sixty other images far from it."""
    with fake_searcher(workbench_url=f"sqlite://{tmp_path}/workbench.db") as found:
        found.keep_in_memory("category")
        far = bytes([255] * 32)
        found.put(image("seed", bytes(32)))
        found.put(*(image(f"mug-{n}", code_near(bytes(32), n), attributes={"category": "mug"}) for n in range(1, 61)))
        found.put(*(image(f"cup-{n}", code_near(far, n), attributes={"category": "cup"}) for n in range(60)))
        yield found


@pytest.fixture
def client(made: FakeSearcher) -> Iterator[TestClient]:
    app = made.app()
    with described_client(app, "http://127.0.0.1:8080") as client:
        yield client
    app.state.services.casework.desk.close()


@pytest.fixture
def case_id(client: TestClient) -> str:
    reply = client.post("/v1/cases", json={"name": "Mugs", "seeds": [{"image_id": "seed"}]})
    opened: str = reply.json()["case_id"]
    return opened


def drawn_by(client: TestClient, case_id: str, **fields: Any) -> dict[str, Any]:
    reply = client.post(f"/v1/cases/{case_id}/samples", json=fields)
    assert reply.status_code == 201, reply.text
    sample: dict[str, Any] = reply.json()
    return sample


def judge(client: TestClient, case_id: str, sample: dict[str, Any], image_ids: list[str]) -> None:
    said = [
        {"image_id": image_id, "verdict": "relevant" if image_id.startswith("mug") else "not_relevant"}
        for image_id in image_ids
    ]
    reply = client.post(f"/v1/cases/{case_id}/judgements", json={"judgements": said, "sample": sample["sample_id"]})
    assert reply.status_code == 200, reply.text


def estimated(client: TestClient, case_id: str) -> dict[str, Any]:
    reply = client.get(f"/v1/cases/{case_id}/estimate")
    assert reply.status_code == 200, reply.text
    estimate: dict[str, Any] = reply.json()
    return estimate


def test_a_sample_that_is_judged_tells_how_much_is_left(client: TestClient, case_id: str) -> None:
    sample = drawn_by(client, case_id, size=20)
    assert (sample["images"], len(sample["image_ids"]), sample["drawn_before"]) == (120, 20, 0)
    assert "seed" not in sample["image_ids"]
    judge(client, case_id, sample, sample["image_ids"][:15])
    waiting = estimated(client, case_id)
    assert (waiting["judged"], waiting["left"], waiting["recall_low"], waiting["strata"]) == (15, None, None, None)
    assert waiting["words"][0].startswith("15 of 20 are judged.")
    judge(client, case_id, sample, sample["image_ids"][15:])
    told = estimated(client, case_id)
    left = 60 - told["relevant"]
    assert told["left"]["low"] <= left <= told["left"]["high"]
    assert told["left"]["estimate"] == pytest.approx(left, abs=20)
    assert 0 < told["recall_low"] == told["found"] / (told["found"] + told["left"]["high"])
    assert sum(stratum["relevant"] for stratum in told["strata"]) == told["relevant"] == told["found"]
    (entry, *_) = client.get(f"/v1/cases/{case_id}/judgements").json()["judgements"]
    assert entry["search"] == {"sample": sample["sample_id"]}


def test_what_is_found_after_the_sample_is_no_longer_left(made: FakeSearcher, client: TestClient, case_id: str) -> None:
    sample = drawn_by(client, case_id, size=20)
    judge(client, case_id, sample, sample["image_ids"])
    before = estimated(client, case_id)
    others = [f"mug-{n}" for n in range(1, 61) if f"mug-{n}" not in sample["image_ids"]]
    # This one came later, so the sample could not speak of it.
    made.now += timedelta(hours=2)
    made.put(image("mug-new", code_near(bytes(32), 3), age=-timedelta(hours=2)))
    judge(client, case_id, sample, [*others[:30], "mug-new"])
    after = estimated(client, case_id)
    assert after["left"]["high"] == before["left"]["high"] - 30
    assert after["left"]["estimate"] == pytest.approx(max(0, before["left"]["estimate"] - 30))
    assert after["found"] == before["found"] + 31


def test_images_that_are_deleted_before_they_are_judged_are_told(
    made: FakeSearcher, client: TestClient, case_id: str
) -> None:
    sample = drawn_by(client, case_id, size=20)
    gone, *rest = sample["image_ids"]
    made.put(Document(gone, Kind.DELETED, 2, True, 0))
    judge(client, case_id, sample, rest)
    told = estimated(client, case_id)
    assert (told["judged"], told["gone"]) == (19, 1)
    assert told["left"] is not None
    assert any("1 of the drawn pictures were deleted" in words for words in told["words"])


def test_a_sample_can_be_of_what_is_near_or_passes_a_filter(client: TestClient, case_id: str) -> None:
    near = drawn_by(client, case_id, size=10, radius=30)
    assert (near["images"], {one.partition("-")[0] for one in near["image_ids"]}) == (30, {"mug"})
    cups = drawn_by(client, case_id, size=10, filter={"category": ["cup"]})
    assert (cups["images"], cups["drawn_before"]) == (60, 1)
    judge(client, case_id, cups, cups["image_ids"])
    told = estimated(client, case_id)
    assert (told["left"]["estimate"], told["left"]["low"]) == (0, 0)
    assert told["confidence"] == 0.975
    assert told["words"][0].startswith("About 0 relevant pictures are left; with 97.5 % confidence")
    assert any("sample 2 of the case" in words for words in told["words"])


def test_without_a_sample_or_without_anything_to_draw_it_is_told(client: TestClient, case_id: str) -> None:
    missing = client.get(f"/v1/cases/{case_id}/estimate")
    assert (missing.status_code, missing.json()["reason"]) == (404, "sample_missing")
    assert client.get("/v1/cases/0/estimate").json()["reason"] == "case_missing"
    nothing = client.post(f"/v1/cases/{case_id}/samples", json={"filter": {"category": ["plate"]}})
    assert (nothing.status_code, nothing.json()["reason"]) == (422, "query_invalid")
    assert client.post(f"/v1/cases/{case_id}/samples", json={"size": 1}).status_code == 422


def test_a_sample_is_judged_and_counted_while_the_store_is_away(
    made: FakeSearcher, client: TestClient, case_id: str
) -> None:
    made.store.away = True
    sample = drawn_by(client, case_id, size=20)
    judge(client, case_id, sample, sample["image_ids"])
    assert estimated(client, case_id)["left"] is not None
