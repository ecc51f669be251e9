"""What the page says of an answer, as it is written by the server."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape

import pytest
from starlette.testclient import TestClient

from searcher.page.guarantee import guarantee_of
from searcher.page.query import PageQuery
from searcher.page.verdict import verdict_of
from searcher.strategies import StrategyName
from searcher.wire import ExplainReply, SearchReply
from shared.document import Document, Kind
from shared.rolling_window import to_milliseconds
from shared.store import Neighbours, Restriction
from tests.fake_store import FakeStore
from tests.searchers import ENCODER, NOW, FakeSearcher, code_near, fake_searcher, image

BASE = "http://127.0.0.1:8080"
CODE = bytes(range(32))
FAR = timedelta(days=200)
HOSTILE = """"><script>alert(1)</script>{{ 7 * 7 }}"""


@pytest.fixture
def made() -> Iterator[FakeSearcher]:
    """Twelve images at 0 to 11 bits, the codes in memory and the parity beside them; two that are visible no more."""
    with fake_searcher() as ready:
        ready.put(image("old", CODE, age=FAR), Document("gone", Kind.DELETED, 2, True, to_milliseconds(NOW)))
        ready.put(
            *(image(f"{n:02}", code_near(CODE, n), attributes={"odd": n % 2}, item_id=f"{n // 2}") for n in range(12))
        )
        ready.keep_in_memory("odd")
        yield ready


@pytest.fixture
def client(made: FakeSearcher) -> Iterator[TestClient]:
    with TestClient(made.app(), base_url=BASE, follow_redirects=False) as ready:
        yield ready


def words(page: str) -> str:
    """The text of a page, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


def ids_on(page: str) -> list[str]:
    return re.findall(r'data-id="([^"]*)"', page)


def link_of(page: str, label: str) -> str:
    """Where the link with this text leads."""
    found = re.search(rf'href="([^"]+)">{label}</a>', page)
    assert found, label
    return unescape(found[1])


def reply(**changes: object) -> SearchReply:
    fields: dict[str, object] = {
        "encoder": ENCODER.encoder_id,
        "bits": 256,
        "seeds": [],
        "hits": [],
        "strategy": StrategyName.RESIDENT,
        "exact": True,
        "exact_up_to": 256,
        "candidates": 1_000_000,
        "as_of": "2026-11-20T12:00:00.000Z",
        "complete": True,
        "took_ms": {"total": 1.0},
    }
    return SearchReply.model_validate(fields | changes)


# What it is worth -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "worth", "notice"),
    [
        ({}, "exact at any distance", None),
        ({"exact_up_to": 31}, "exact, complete up to 31 bits", None),
        (
            {"exact": False, "exact_up_to": None, "strategy": "hnsw"},
            "approximate",
            "These hits are approximate: images that are as near may be missing.",
        ),
        (
            {"exact": False, "complete": False, "reason": "no time"},
            "not complete",
            "These hits are not complete: no time.",
        ),
    ],
)
def test_an_answer_that_is_not_exact_is_a_notice(changes: dict[str, object], worth: str, notice: str | None) -> None:
    said = guarantee_of(reply(**changes), NOW)
    assert (said.worth, list(said.notices)) == (worth, [] if notice is None else [notice])


@pytest.mark.parametrize(
    ("seconds", "age", "notices"),
    [(-5, "now", 0), (0.4, "0.4 s ago", 0), (42, "42 s ago", 0), (600, "10 min ago", 1), (9000, "2 h ago", 1)],
)
def test_an_answer_says_how_old_it_is(seconds: float, age: str, notices: int) -> None:
    said = guarantee_of(reply(), NOW + timedelta(seconds=seconds))
    assert (said.age, len(said.notices)) == (age, notices)


class StoreWithGraph(FakeStore):
    """A store whose graph happens to miss nothing."""

    def approximately_nearest(
        self, encoder_id: str, code: bytes, count: int, radius: int | None, restriction: Restriction
    ) -> Neighbours:
        return self.nearest(encoder_id, code, count, radius, restriction)


def test_an_approximate_answer_offers_an_exact_one(made: FakeSearcher, client: TestClient) -> None:
    made.backend.store = graph = StoreWithGraph()
    graph.write(list(made.store.documents([f"{n:02}" for n in range(12)]).values()), NOW)
    page = client.get(f"/?code={CODE.hex()}&k=3&strategy=hnsw").text
    assert "These hits are approximate" in words(page)
    exact = client.get(link_of(page, "Search exactly")).text
    assert "exact at any distance · 12 codes compared in memory" in words(exact)
    assert ids_on(exact) == ["00", "01", "02"]


def test_during_an_outage_the_hits_are_still_shown_with_a_notice(made: FakeSearcher, client: TestClient) -> None:
    made.store.away = True
    made.now = NOW + timedelta(minutes=5)
    page = client.get("/?image_id=03&k=2&explain=11")
    said = words(page.text)
    assert (page.status_code, ids_on(page.text)[0]) == (200, "03")
    assert "not complete" not in said
    assert "These hits are as of 5 min ago" in said
    assert "It can't be told now" in said
    assert 'id="histogram-says"' in page.text


# The histogram --------------------------------------------------------------------------------------------------------


def test_a_bar_is_a_link_to_the_same_search_within_its_distance(client: TestClient) -> None:
    page = client.get(f"/?code={CODE.hex()}&k=4&group=1").text
    assert "12 of 12 images" not in words(page)
    bars = re.findall(r'<a class="go" tabindex="-1" href="([^"]+)">\s*<title>(\d+) at (\d+)', page)
    assert [(count, at) for _, count, at in bars] == [("1", str(n)) for n in range(12)]
    assert ids_on(client.get(unescape(bars[2][0])).text) == ["00", "02"]


def test_what_can_not_be_counted_in_memory_has_no_histogram(made: FakeSearcher, client: TestClient) -> None:
    shown = 'id="histogram-says"'
    assert shown in client.get("/?image_id=00&filter=odd=1").text
    assert shown not in client.get("/?image_id=00&filter=unknown=1").text
    assert shown not in client.get("/").text
    made.backend.resident = None
    page = client.get("/?image_id=00&filter=odd=1")
    assert (page.status_code, len(ids_on(page.text)), shown in page.text) == (200, 6, False)


# Why is it missing? ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "headline", "facts", "way"),
    [
        ("image_id=00&k=3&explain=02", "Among the hits", "2 of 256 bits differ · place 3 by distance", None),
        ("image_id=00&k=3&explain=07", "Cut off", "7 of 256 bits differ · place 8 by distance", "The nearest 8"),
        ("image_id=00&k=3&explain=11", "Cut off", "place 12 by distance · 15 of 16 subcodes equal", "The nearest 12"),
        ("image_id=00&radius=3&explain=07", "Beyond the radius", "7 of 256 bits differ", "Within 7 bits"),
        ("image_id=00&k=3&radius=3&explain=07", "Beyond the radius", "7 of 256 bits differ", "Within 7 bits"),
        ("image_id=00&filter=odd=0&explain=07", "Left out by filters", "7 of 256 bits differ", "Without filters"),
        ("image_id=00&group=1&k=9&explain=03", "Behind another picture", "place 4", "All pictures of each item"),
        ("image_id=00&explain=none", "Not indexed", "", None),
        ("image_id=00&explain=old", "Out of the window", "", None),
        ("image_id=00&explain=gone", "Deleted", "", None),
    ],
)
def test_why_an_image_is_missing_is_told_with_what_brings_it_in(
    client: TestClient, address: str, headline: str, facts: str, way: str | None
) -> None:
    page = client.get(f"/?{address}").text
    said = words(page)
    assert headline in said
    assert facts in said
    missing = address.rpartition("=")[2]
    assert (missing in ids_on(page)) is (headline == "Among the hits")
    ways = re.findall(r'<a class="button go" href="([^"]+)">([^<]+)</a>', page)
    offered = [label for _, label in ways if label not in ("More hits", "Go to it")]
    assert offered == ([] if way is None else [way])
    if way is not None:
        brought = client.get(link_of(page, way)).text
        assert missing in ids_on(brought)
        assert "Among the hits" in words(brought)


def test_an_image_of_an_earlier_page_is_not_told_to_be_missing(client: TestClient) -> None:
    page = client.get(link_of(client.get("/?image_id=00&k=4").text, "More hits") + "&explain=02").text
    assert ids_on(page) == ["04", "05", "06", "07"]
    assert "On an earlier page" in words(page)
    assert ids_on(client.get(link_of(page, "From the nearest on")).text) == ["00", "01", "02", "03"]
    # Later than the k nearest, and on this page nevertheless.
    here = client.get(link_of(client.get("/?image_id=00&k=4").text, "More hits") + "&explain=06").text
    assert "Among the hits : it is on this page" in words(here)


def test_an_image_too_far_off_to_be_shown_at_once_is_told_to_be() -> None:
    far = ExplainReply(image_id="far", verdict="cut_by_k", detail="cut", distance=90, rank=1001, subcodes=16)
    for verdict in ("cut_by_k", "beyond_radius"):
        told = verdict_of(far.model_copy(update={"verdict": verdict}), PageQuery(image_id="00"), [], 40, 1000)
        assert (told.facts[-1], told.ways) == ("at most 1,000 are shown at once", [])


def test_a_verdict_that_the_page_does_not_know_is_told_as_it_is() -> None:
    explained = ExplainReply(image_id="hub", verdict="held_back", detail="the image is held back")
    told = verdict_of(explained, PageQuery(image_id="00"), [], 40, 1000)
    assert (told.headline, told.detail, told.ways) == ("Held back", "the image is held back", [])


def test_a_hostile_id_that_is_asked_about_stays_text(made: FakeSearcher, client: TestClient) -> None:
    made.put(image(HOSTILE, code_near(CODE, 200)))
    for parameters in ({"image_id": "00", "k": "2"}, {"code": CODE.hex(), "radius": "250"}):
        page = client.get("/", params=parameters | {"explain": HOSTILE}).text
        assert "<script>alert" not in page
        assert "{{ 7 * 7 }}" in page
        assert not re.search(r"\sstyle=|\son[a-z]+=", page)


# Addresses ------------------------------------------------------------------------------------------------------------


def test_an_address_keeps_what_is_asked_about_until_another_seed_is_searched(client: TestClient) -> None:
    page = client.get("/?image_id=00&k=4&explain=07").text
    permalink = unescape(re.findall(r'data-link="([^"]+)"', page)[0])
    assert "explain=07" in permalink
    others = re.findall(r'<a class="go" href="([^"]+)"><img', page)
    assert len(others) == 4
    assert not any("explain" in link for link in others)
    assert "explain" not in link_of(page, "More hits")


def test_further_hits_of_an_upload_are_found_by_its_code(made: FakeSearcher, client: TestClient) -> None:
    form = {"k": "5"}
    page = client.post("/", data=form, files={"image": ("mug.jpg", b"mug", "image/jpeg")}).text
    further = client.get(link_of(page, "More hits")).text
    assert re.search(r"Images 6 to\s+10 by similarity", words(further))
    assert set(ids_on(page)).isdisjoint(ids_on(further))
    assert link_of(further, "More hits") != link_of(page, "More hits")
    last = client.get(link_of(further, "More hits")).text
    assert len(ids_on(last)) == 2
    assert "More hits" not in last


def test_refining_begins_with_the_nearest_again(client: TestClient) -> None:
    further = client.get(link_of(client.get("/?image_id=00&k=4&filter=odd=0").text, "More hits")).text
    assert ids_on(further) == ["08", "10"]
    removed = re.search(r'href="([^"]+)"\s+aria-label="Remove the filter', further)
    assert removed
    assert ids_on(client.get(unescape(removed[1])).text) == ["00", "01", "02", "03"]
    assert 'name="cursor"' not in further


def test_a_cursor_of_something_else_is_refused(client: TestClient) -> None:
    page = client.get("/?image_id=00&cursor=nonsense")
    assert page.status_code == 422
    assert "The cursor is not one of a reply." in page.text
