"""The HTTP API and the page, without a network: contract, errors, guards, and hostile content."""

import base64
import csv
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from rich.console import Console
from starlette.testclient import TestClient

from searcher.cursors import encode_cursor
from searcher.querying import build_request, print_reply
from shared.errors import QueryInvalidError
from shared.store import PageCursor
from tests.described import described_client
from tests.searchers import ENCODER, NOW, FakeSearcher, code_near, code_of, fake_searcher, image

BASE = "http://127.0.0.1:8080"
CODE = bytes(range(32))
HUGE_CURSOR = encode_cursor(PageCursor(10**30, "a"))
BY_CODE: dict[str, Any] = {"seeds": [{"code": CODE.hex()}]}


@contextmanager
def client_of(made: FakeSearcher) -> Iterator[TestClient]:
    with described_client(made.app(), BASE) as client:
        yield client


@pytest.fixture
def made() -> Iterator[FakeSearcher]:
    with fake_searcher() as ready:
        yield ready


@pytest.fixture
def client(made: FakeSearcher) -> Iterator[TestClient]:
    with client_of(made) as ready:
        yield ready


def assert_problem(reply: Any, status: int, reason: str) -> None:
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    problem = reply.json()
    assert (problem["status"], problem["reason"]) == (status, reason)
    assert set(problem) - {"fields"} == {"type", "title", "status", "detail", "reason"}


# Searches -------------------------------------------------------------------------------------------------------------


def test_a_search_answers_as_the_contract_says(made: FakeSearcher, client: TestClient) -> None:
    made.put(
        image("a/1", CODE, item_id="a", image_url="https://host/a.jpg", attributes={"title": "Mug", "price": 9.99}),
        image("b", code_near(CODE, 64)),
    )
    reply = client.post("/v1/search", json={"seeds": [{"image_id": "a/1"}], "k": 5, "radius": None, "since": None})
    assert reply.status_code == 200
    body = reply.json()
    assert body.pop("took_ms").keys() == {"seed", "nearest", "total"}
    assert body == {
        "encoder": ENCODER.encoder_id,
        "bits": 256,
        "seeds": [{"code": CODE.hex(), "encoder": ENCODER.encoder_id, "weight": 1}],
        "hits": [
            {
                "image_id": "a/1",
                "item_id": "a",
                "distance": 0,
                "similarity": 1.0,
                "folded": [],
                "event_time": "2026-11-20T11:00:00.000Z",
                "image_url": "https://host/a.jpg",
                "attributes": {"title": "Mug", "price": 9.99},
            },
            {
                "image_id": "b",
                "item_id": "b",
                "distance": 64,
                "similarity": 0.75,
                "folded": [],
                "event_time": "2026-11-20T11:00:00.000Z",
                "image_url": None,
                "attributes": {},
            },
        ],
        "strategy": "flat",
        "exact": True,
        "exact_up_to": 256,
        "candidates": 2,
        "as_of": "2026-11-20T12:00:00.000Z",
        "complete": True,
        "cursor": None,
    }


def test_an_incomplete_reply_says_why(made: FakeSearcher, client: TestClient) -> None:
    made.store.incomplete = "a shard is away"
    body = client.post("/v1/search", json=BY_CODE).json()
    assert (body["complete"], body["reason"]) == (False, "a shard is away")


def test_an_upload_asks_the_same_as_base64_with_the_same_fields(made: FakeSearcher, client: TestClient) -> None:
    made.put(*(image(f"{n}", code_near(code_of(b"mug"), n), attributes={"n": n % 2}) for n in range(9)))
    fields = {"k": 3, "radius": 7, "filter": {"n": [1]}, "since": "2026-11-01", "group_by_item": True}
    whole = {"seeds": [{"image": base64.b64encode(b"mug").decode()}], **fields}
    form = {
        "k": "3",
        "radius": "7",
        "filter": '{"n": [1]}',
        "since": "2026-11-01",
        "until": "",
        "group_by_item": "true",
    }
    files = {"image": ("mug.jpg", b"mug", "image/jpeg")}
    expected = client.post("/v1/search", json=whole).json()
    assert [hit["image_id"] for hit in expected["hits"]] == ["1", "3", "5"]
    assert client.post("/v1/search/image", data=form, files=files).json()["hits"] == expected["hits"]
    cropped = client.post("/v1/search/image", data=form | {"crop": "[0, 0, 0.5, 1]"}, files=files).json()
    assert cropped["seeds"] != expected["seeds"]


@pytest.mark.parametrize(
    ("form", "detail"),
    [
        ({"filter": "{"}, "Filter is not JSON"),
        ({"filter": "[" * 100_000}, "Filter is not JSON"),
        ({"crop": "[0, 0]"}, "seeds.0.crop"),
        ({"k": "many"}, "k: "),
        ({"since": "yesterday"}, "since: "),
    ],
)
def test_a_wrong_field_of_an_upload_is_named(client: TestClient, form: dict[str, str], detail: str) -> None:
    reply = client.post("/v1/search/image", data=form, files={"image": ("mug.jpg", b"mug", "image/jpeg")})
    assert_problem(reply, 422, "query_invalid")
    assert detail.lower() in reply.json()["detail"].lower()


@pytest.mark.parametrize(
    ("seed", "status", "reason"),
    [
        ({"image_id": "unknown"}, 404, "image_not_visible"),
        ({"code": "00"}, 422, "query_invalid"),
        ({"image_id": "a", "url": "b"}, 422, "query_invalid"),
        ({"url": "https://host/nothing"}, 422, "image_not_found"),
        ({"image": base64.b64encode(b"broken").decode()}, 422, "image_undecodable"),
    ],
)
def test_a_seed_that_can_not_be_used_is_a_problem_document(
    client: TestClient, seed: dict[str, str], status: int, reason: str
) -> None:
    assert_problem(client.post("/v1/search", json={"seeds": [seed]}), status, reason)


def test_the_wrong_fields_of_a_query_are_named_and_their_values_are_not_repeated(client: TestClient) -> None:
    reply = client.post("/v1/search", json=BY_CODE | {"k": "<script>", "radus": "secret"})
    assert_problem(reply, 422, "query_invalid")
    assert [field["field"] for field in reply.json()["fields"]] == ["k", "radus"]
    assert "script" not in reply.text
    assert "secret" not in reply.text


@pytest.mark.parametrize("body", [b"{", b"", b"[" * 1_000_000, b'{"seeds": "\xff"}', b"null", b"[]"])
def test_a_body_that_is_not_the_right_json_is_refused(client: TestClient, body: bytes) -> None:
    reply = client.post("/v1/search", content=body, headers={"Content-Type": "application/json"})
    assert reply.status_code in (400, 422)
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_body_must_say_that_it_is_json(client: TestClient) -> None:
    # Browsers send text/plain across sites without asking first.
    reply = client.post("/v1/search", content=json.dumps(BY_CODE), headers={"Content-Type": "text/plain"})
    assert_problem(reply, 422, "query_invalid")


# Images ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_id", ["plain", "with/slash", "a b?c#d&e%", "ünï/çode", "x/thumbnail", "thumbnail", "/"])
def test_every_image_id_can_be_asked_for(made: FakeSearcher, client: TestClient, image_id: str) -> None:
    made.put(image(image_id, CODE, version=7))
    path = f"/v1/images/{quote(image_id, safe='')}"
    document = client.get(path).json()
    assert (document["image_id"], document["version"]) == (image_id, 7)
    assert (document["encoder"], document["code"]) == (ENCODER.encoder_id, CODE.hex())
    thumbnail = client.get(f"{path}/thumbnail")
    assert (thumbnail.headers["content-type"], thumbnail.content) == ("image/webp", b"webp of " + image_id.encode())


def test_a_plain_slash_in_an_id_works_too(made: FakeSearcher, client: TestClient) -> None:
    made.put(image("a/b/c", CODE))
    assert client.get("/v1/images/a/b/c").json()["image_id"] == "a/b/c"
    assert client.get("/v1/images/a/b/c/thumbnail").content == b"webp of a/b/c"


def test_an_image_out_of_the_window_is_not_there(made: FakeSearcher, client: TestClient) -> None:
    made.put(image("old", age=timedelta(days=100)))
    assert_problem(client.get("/v1/images/old"), 404, "image_not_visible")
    assert_problem(client.get("/v1/images/old/thumbnail"), 404, "image_not_visible")


def test_a_thumbnail_that_is_not_kept_is_made_from_the_url(made: FakeSearcher, client: TestClient) -> None:
    made.fetcher.pictures["https://host/mug.jpg"] = b"mug"
    made.put(
        image("mug", thumbnail=None, image_url="https://host/mug.jpg"),
        image("gone", thumbnail=None, image_url="https://host/gone.jpg"),
        image("inline", thumbnail=None),
    )
    assert client.get("/v1/images/mug/thumbnail").content == b"thumbnail of mug"
    assert_problem(client.get("/v1/images/gone/thumbnail"), 404, "thumbnail_missing")
    assert_problem(client.get("/v1/images/inline/thumbnail"), 404, "thumbnail_missing")


def test_a_picture_is_shown_from_its_url_only_while_it_is_the_one_that_was_indexed(
    made: FakeSearcher, client: TestClient
) -> None:
    jpeg, other = b"\xff\xd8\xff mug", b"\xff\xd8\xff another"
    made.fetcher.pictures |= {"https://host/mug.jpg": jpeg, "https://host/broken.jpg": b"broken"}
    made.put(
        image("a/mug", thumbnail=jpeg, image_url="https://host/mug.jpg"),
        image("no thumbnail", thumbnail=None, image_url="https://host/mug.jpg"),
        image("changed", thumbnail=other, image_url="https://host/mug.jpg"),
        image("broken", image_url="https://host/broken.jpg"),
        image("gone", image_url="https://host/gone.jpg"),
        image("inline"),
        image("old", image_url="https://host/mug.jpg", age=timedelta(days=100)),
    )
    for image_id in ("a/mug", "no thumbnail"):
        reply = client.get("/picture", params={"image_id": image_id})
        assert (reply.status_code, reply.content, reply.headers["content-type"]) == (200, jpeg, "image/jpeg")
        assert reply.headers["x-content-type-options"] == "nosniff"
    for image_id in ("changed", "broken", "gone", "inline"):
        assert_problem(client.get("/picture", params={"image_id": image_id}), 404, "picture_missing")
    assert_problem(client.get("/picture", params={"image_id": "old"}), 404, "image_not_visible")


def test_a_thumbnail_that_a_browser_has_is_not_sent_again(made: FakeSearcher, client: TestClient) -> None:
    made.put(image("mug"))
    first = client.get("/v1/images/mug/thumbnail")
    assert "private" in first.headers["cache-control"]
    again = client.get("/v1/images/mug/thumbnail", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_pages_of_images_are_newest_first_and_neither_repeat_nor_miss(made: FakeSearcher, client: TestClient) -> None:
    made.put(*(image(f"{n:02}", age=timedelta(minutes=n // 3)) for n in range(25)))
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/v1/images", params={"limit": 4} | ({"cursor": cursor} if cursor else {})).json()
        found += [entry["image_id"] for entry in page["images"]]
        cursor = page["cursor"]
    assert found == [f"{n:02}" for n in range(25)]


def test_images_are_found_by_the_beginnings_of_words(made: FakeSearcher, client: TestClient) -> None:
    made.put(image("a", attributes={"title": "Blue mug"}), image("b", attributes={"title": "Blue mat"}))
    assert [entry["image_id"] for entry in client.get("/v1/images?q=BLU mu").json()["images"]] == ["a"]
    assert client.get("/v1/images?q=%26%26").json() == {"images": [], "cursor": None}


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "cursor=nonsense", "cursor=W10", "cursor=WzEsMl0", f"cursor={HUGE_CURSOR}"]
)
def test_a_wrong_page_is_refused(client: TestClient, query: str) -> None:
    assert_problem(client.get(f"/v1/images?{query}"), 422, "query_invalid")


# What is not there ----------------------------------------------------------------------------------------------------


def test_a_store_that_is_away_is_a_503_with_a_time_to_try_again(made: FakeSearcher, client: TestClient) -> None:
    made.store.away = True
    for reply in (client.post("/v1/search", json=BY_CODE), client.get("/v1/images"), client.get("/readyz")):
        assert_problem(reply, 503, "store_unavailable")
        assert reply.headers["retry-after"] == "5"
    assert client.get("/livez").status_code == 200


def test_a_store_that_is_too_slow_is_a_504() -> None:
    with fake_searcher(search_seconds=0.05) as made, client_of(made) as client:
        made.store.held = threading.Event()
        assert_problem(client.post("/v1/search", json=BY_CODE), 504, "timeout")


def test_before_there_is_an_encoder_searches_wait_and_the_rest_works(made: FakeSearcher, client: TestClient) -> None:
    made.put(image("a"))
    made.backend.encoder = None
    assert_problem(client.post("/v1/search", json=BY_CODE), 503, "encoder_missing")
    assert_problem(client.get("/readyz"), 503, "encoder_missing")
    assert client.get("/version").json()["encoder"] is None
    assert client.get("/v1/images/a").json()["code"] is None
    assert client.get("/livez").status_code == client.get("/metrics").status_code == 200
    page = client.get("/")
    assert page.status_code == 200
    assert "indexer fit" in page.text
    assert 'http-equiv="refresh"' in page.text


def test_readiness_names_the_encoder(client: TestClient) -> None:
    assert client.get("/readyz").json() == {"status": "ok", "encoder": ENCODER.encoder_id}


def test_a_bug_says_nothing_of_itself(made: FakeSearcher, client: TestClient) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("secret words")

    made.store.newest = break_down  # type: ignore[assignment,method-assign]
    with structlog.testing.capture_logs() as logs:
        reply = client.get("/v1/images")
    assert [entry["event"] for entry in logs] == ["request_failed"]
    assert_problem(reply, 500, "internal_error")
    assert "secret" not in reply.text
    assert "content-security-policy" in reply.headers


def test_what_does_not_exist_is_a_problem_document_too(client: TestClient) -> None:
    assert_problem(client.get("/nothing"), 404, "not_found")
    assert_problem(client.get("/assets/0/page.html"), 404, "not_found")
    assert_problem(client.delete("/v1/search"), 405, "method_not_allowed")


# Guards ---------------------------------------------------------------------------------------------------------------


def test_a_body_over_the_limit_is_refused_by_its_length_and_while_it_comes() -> None:
    with fake_searcher(upload_bytes_max=2000) as made, client_of(made) as client:
        whole = json.dumps({"seeds": [{"image": "A" * 4000}]}).encode()
        headers = {"Content-Type": "application/json"}
        assert_problem(client.post("/v1/search", content=whole, headers=headers), 413, "body_too_large")
        pieces = (whole[at : at + 500] for at in range(0, len(whole), 500))
        assert_problem(client.post("/v1/search", content=pieces, headers=headers), 413, "body_too_large")
        upload = {"image": ("big.jpg", b"x" * 4000, "image/jpeg")}
        assert_problem(client.post("/v1/search/image", files=upload), 413, "body_too_large")
        assert client.post("/v1/search", json=BY_CODE).status_code == 200


def test_too_many_requests_at_once_are_refused_but_supervisors_are_answered() -> None:
    with fake_searcher(http_requests_max=1) as made, client_of(made) as client:
        made.store.held = threading.Event()
        busy = threading.Thread(target=client.post, args=["/v1/search"], kwargs={"json": BY_CODE})
        busy.start()
        assert made.store.waiting.wait(30)
        assert_problem(client.get("/v1/images"), 503, "overloaded")
        assert client.get("/livez").status_code == 200
        made.store.held.set()
        busy.join()
        assert client.get("/v1/images").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
    ],
)
def test_posts_from_pages_of_other_sites_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    for path in ("/v1/search", "/v1/search/image", "/", "/export"):
        assert_problem(client.post(path, headers=headers), 403, "cross_site")


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": BASE}])
def test_posts_of_programs_and_of_our_own_page_are_answered(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/v1/search", json=BY_CODE, headers=headers).status_code == 200


def test_other_sites_may_link_to_the_page_but_not_embed_it(made: FakeSearcher, client: TestClient) -> None:
    made.put(image("mug"))
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=linked).status_code == 200
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert_problem(client.get("/v1/images/mug/thumbnail", headers=embedded), 403, "cross_site")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1", "", "[::1"]
)
def test_a_loopback_searcher_answers_only_to_its_own_names(client: TestClient, host: str) -> None:
    assert_problem(client.get("/v1/images", headers={"Host": host}), 421, "wrong_host")


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST"])
def test_loopback_has_several_names(client: TestClient, host: str) -> None:
    assert client.get("/livez", headers={"Host": host}).status_code == 200


def test_a_searcher_that_listens_to_the_network_has_any_name() -> None:
    with fake_searcher(http_host="0.0.0.0") as made, client_of(made) as client:
        assert client.get("/livez", headers={"Host": "catalogue.example"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/v1/images", "/nothing", "/metrics", "/v1/images/none"]
)
def test_every_reply_carries_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"


def test_requests_are_counted_by_the_template_of_their_route(made: FakeSearcher, client: TestClient) -> None:
    made.put(image("a/b"))
    client.get("/v1/images/a/b")
    client.get("/v1/images/unknown")
    client.get("/nothing")
    client.post("/v1/search", json=BY_CODE)
    counted: Callable[..., float] = made.metric
    name = "catalogue_searcher_requests_total"
    assert counted(name, route="/v1/images/{image_id:path}", status="200") == 1
    assert counted(name, route="/v1/images/{image_id:path}", status="404") == 1
    assert counted(name, route="none", status="404") == 1
    assert counted(name, route="/v1/search", status="200") == 1
    assert counted("catalogue_searcher_request_seconds_count", route="/v1/search") == 1
    assert b"catalogue_searcher_requests_total" in client.get("/metrics").content


# The page -------------------------------------------------------------------------------------------------------------

HOSTILE = """"><script>alert(1)</script><img src=x onerror='alert(2)'>{{ 7 * 7 }}"""


def test_hostile_titles_ids_and_urls_stay_text(made: FakeSearcher, client: TestClient) -> None:
    made.put(
        image(
            HOSTILE, CODE, image_url="javascript:alert(3)", attributes={"title": HOSTILE, HOSTILE[:20]: HOSTILE[:60]}
        ),
        image("fine", CODE, image_url="https://host/?a=1&b=<i>"),
    )
    for path in (
        "/",
        f"/?image_id={quote(HOSTILE)}",
        f"/?q={quote(HOSTILE)}",
        f"/?code={CODE.hex()}&filter={quote(HOSTILE)}%3D1",
    ):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "{{ 7 * 7 }}" in text
        assert not re.search(r"""(href|src)=["']?\s*javascript:""", text)
    shown = client.get("/").text
    assert 'href="https://host/?a=1&amp;b=&lt;i&gt;" rel="noreferrer noopener"' in shown


def test_the_page_loads_nothing_from_elsewhere(made: FakeSearcher, client: TestClient) -> None:
    made.put(image("mug", CODE, image_url="https://host/mug.jpg"))
    for path in ("/", f"/?code={CODE.hex()}", "/docs"):
        text = client.get(path).text
        loaded = re.findall(r"<(?:script|img|link|iframe|source|form)\b[^>]*?(?:src|href|action)=\"([^\"]*)\"", text)
        assert loaded
        assert [address for address in loaded if not address.startswith("/") or address.startswith("//")] == []
        assert not re.search(r"\son[a-z]+=|<style|\sstyle=", text)
    for name in re.findall(r'"(/assets/[^"]+)"', client.get("/").text):
        asset = client.get(name)
        assert (asset.status_code, "immutable" in asset.headers["cache-control"]) == (200, True)
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", asset.text)


def test_the_page_lists_recent_images_and_goes_on_to_older_ones(made: FakeSearcher, client: TestClient) -> None:
    made.put(*(image(f"{n:03}", age=timedelta(minutes=n)) for n in range(70)))
    first = client.get("/").text
    assert ids_on(first) == [f"{n:03}" for n in range(60)]
    older = re.search(r'class="button go" href="([^"]+)"', first)
    assert older
    assert ids_on(client.get(older[1].replace("&amp;", "&")).text) == [f"{n:03}" for n in range(60, 70)]


def ids_on(page: str) -> list[str]:
    return re.findall(r'data-id="([^"]*)"', page)


def test_what_is_typed_is_an_id_a_url_or_words(made: FakeSearcher, client: TestClient) -> None:
    made.fetcher.pictures["https://host/mug.jpg"] = b"mug"
    made.put(
        image("mug", CODE, attributes={"title": "A cup"}),
        image("cup", code_of(b"mug"), attributes={"title": "A mug"}),
        image("hat", code_near(CODE, 3)),
    )
    assert ids_on(client.get("/?find=mug").text) == ["mug", "hat", "cup"]
    assert ids_on(client.get("/?find=a m").text) == ["cup"]
    assert ids_on(client.get("/?find=https://host/mug.jpg&k=1").text) == ["cup"]
    assert ids_on(client.get("/?q=mug").text) == ["cup"]


def test_a_link_reopens_the_same_search(made: FakeSearcher, client: TestClient) -> None:
    made.put(*(image(f"{n}", code_near(code_of(b"mug"), n), attributes={"odd": n % 2}) for n in range(12)))
    form = {"k": "4", "radius": "9", "filter": "odd=1", "since": "2026-11-01", "group": "1"}
    posted = client.post("/", data=form, files={"image": ("mug.jpg", b"mug", "image/jpeg")}).text
    assert ids_on(posted) == ["1", "3", "5", "7"]
    assert "data:image/webp;base64," + base64.b64encode(b"thumbnail of mug").decode() in posted
    link = re.search(r'data-link="([^"]+)"', posted)
    assert link
    assert ids_on(client.get(link[1].replace("&amp;", "&")).text) == ["1", "3", "5", "7"]


def test_a_part_of_an_indexed_image_is_cut_from_its_thumbnail(made: FakeSearcher, client: TestClient) -> None:
    made.put(image("mug", CODE, thumbnail=b"small mug"), image("part", code_of(b"small mug(0.1, 0.2, 0.6, 0.7)")))
    assert ids_on(client.get("/?image_id=mug&crop=0.1,0.2,0.6,0.7&k=1").text) == ["part"]


def test_a_form_without_a_picture_goes_back_to_the_page(client: TestClient) -> None:
    reply = client.post("/", data={"k": "5"}, files={"image": ("", b"", "application/octet-stream")})
    assert (reply.status_code, reply.headers["location"]) == (303, "/?k=5")


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/?image_id=unknown", 404, "No visible image has this id."),
        ("/?code=00", 422, "A hash code here has 256 bits"),
        ("/?image_id=mug&k=many", 422, "K: Input should be a valid integer"),
        ("/?image_id=mug&filter=mug", 422, "A filter is written attribute=value."),
        ("/?url=https://host/gone.jpg", 422, "There is no picture behind this URL."),
        ("/?cursor=nonsense", 422, "The cursor is not one"),
        ("/?image_id=mug&radius=0&filter=a=b", 200, "No image within 0 bits with these filters."),
        ("/?q=nothing", 200, "No visible image has all of these words"),
    ],
)
def test_every_failed_and_empty_state_says_what_it_is(
    made: FakeSearcher, client: TestClient, path: str, status: int, text: str
) -> None:
    made.put(image("mug", CODE))
    page = client.get(path)
    assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert text in page.text


def test_an_empty_catalogue_says_how_to_fill_it(client: TestClient) -> None:
    assert "indexer produce" in client.get("/").text


def test_the_page_says_that_the_store_is_away_and_looks_again(made: FakeSearcher, client: TestClient) -> None:
    made.store.away = True
    page = client.get("/?image_id=mug")
    assert page.status_code == 503
    assert "The store or the decoder is away." in page.text
    assert 'http-equiv="refresh"' in page.text


def test_the_page_says_when_hits_are_not_complete(made: FakeSearcher, client: TestClient) -> None:
    made.put(image("mug", CODE))
    made.store.incomplete = "a shard is <away>"
    shown = " ".join(client.get("/?image_id=mug").text.split())
    assert "These hits are not complete: a shard is &lt;away&gt;." in shown


def test_an_export_is_safe_to_open_in_a_spreadsheet(made: FakeSearcher, client: TestClient) -> None:
    made.put(
        image(
            "=1+1",
            CODE,
            attributes={"title": '=HYPERLINK("http://evil")', "price": -3.5, "tags": ["a", "b"], "new": True},
        ),
        image("@b", code_near(CODE, 2), attributes={"note": " +1", "title": 'two "quoted"\nlines'}),
    )
    ticked = re.findall(r'name="ticked" value="([^"]*)"', client.get(f"/?code={CODE.hex()}").text)
    texts = [
        text.replace("&#34;", '"').replace("&#39;", "'").replace("&lt;", "<").replace("&amp;", "&") for text in ticked
    ]
    reply = client.post("/export", data={"ticked": texts, "format": "csv"})
    assert reply.headers["content-disposition"] == 'attachment; filename="images.csv"'
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert [(row["image_id"], row["distance"], row["similarity"]) for row in rows] == [
        ("'=1+1", "0", "1.0"),
        ("'@b", "2", "0.9921875"),
    ]
    assert rows[0]["attribute.title"] == '\'=HYPERLINK("http://evil")'
    assert (rows[0]["attribute.price"], rows[0]["attribute.tags"], rows[0]["attribute.new"]) == ("-3.5", "a; b", "true")
    assert (rows[1]["attribute.note"], rows[1]["attribute.title"]) == ("' +1", 'two "quoted"\nlines')
    exported = client.post("/export", data={"ticked": texts, "format": "json"}).json()
    assert [(entry["image_id"], entry["distance"]) for entry in exported] == [("=1+1", 0), ("@b", 2)]


def test_a_thousand_ticked_images_are_exported(client: TestClient) -> None:
    entry: dict[str, Any] = {
        "image_id": "a",
        "item_id": "a",
        "event_time": "2026-11-20T11:00:00.000Z",
        "image_url": None,
        "attributes": {},
    }
    reply = client.post("/export", data={"ticked": [json.dumps(entry)] * 1001, "format": "csv"})
    assert len(reply.text.splitlines()) == 1002


def test_an_export_of_nonsense_is_refused(client: TestClient) -> None:
    assert_problem(client.post("/export", data={"ticked": ["{"], "format": "csv"}), 400, "body_not_json")


def test_the_docs_describe_every_route(client: TestClient) -> None:
    text = client.get("/docs").text
    described = client.get("/openapi.json").json()
    for path in described["paths"]:
        assert path in text
    assert "SearchRequest" in text
    # The framework's own description of errors is not what is answered here.
    assert "HTTPValidationError" not in json.dumps(described["paths"])


# The command line -----------------------------------------------------------------------------------------------------


def test_a_command_line_asks_for_the_same_search(tmp_path: Path) -> None:
    (tmp_path / "mug.jpg").write_bytes(b"mug")
    request = build_request(image=tmp_path / "mug.jpg", k=3, radius=9, filters=["a=1", "a=2", "b=x=y"])
    assert request.seeds[0].image == b"mug"
    assert (request.k, request.radius, request.filter) == (3, 9, {"a": ["1", "2"], "b": ["x=y"]})


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"image_id": "a", "filters": ["mug"]}, "name=value"),
        ({"image": Path("/no/such/file")}, "No such file"),
        ({"image_id": "a", "k": 0}, "K: Input should be greater"),
        ({}, "exactly one of"),
    ],
)
def test_a_wrong_command_line_is_refused(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(QueryInvalidError, match=problem):
        build_request(**arguments)


async def test_a_hostile_title_sends_the_terminal_no_commands(made: FakeSearcher) -> None:
    made.put(image("a\x1b]0;owned\x07", CODE, attributes={"title": "\x1b[31m[bold]red[/bold]\x9b2J"}))
    reply = await made.searcher.search(build_request(code=CODE.hex()))
    target = io.StringIO()
    print_reply(reply, Console(file=target, width=200))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", target.getvalue())
    assert "[bold]red[/bold]" in target.getvalue()
    assert NOW.date().isoformat() in target.getvalue()
