"""Queries: seeds become codes, hits come in Hamming order from what is visible now, and a short answer says so."""

import base64
import hashlib
import itertools
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import structlog
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from searcher.backend import Attendant, Backend, EncoderMissingError, QueryTimeoutError
from searcher.cursors import decode_cursor, encode_cursor
from searcher.wire import SearchReply, SearchRequest
from shared.document import Document, Kind
from shared.errors import (
    ConfigurationError,
    ImageNotVisibleError,
    QueryInvalidError,
    RejectedError,
    RejectionReason,
    StoreUnavailableError,
)
from shared.metrics import SearcherMetrics
from shared.rolling_window import to_milliseconds
from shared.store import NEIGHBOURS_MAX, PageCursor, StoredEncoder
from tests.fake_store import FakeStore
from tests.fakes import FakeEncoder
from tests.searchers import ENCODER, NOW, FakeSearcher, code_near, code_of, fake_searcher, image

SEED_CODE = bytes(range(32))


@pytest.fixture
def made() -> Iterator[FakeSearcher]:
    with fake_searcher() as ready:
        yield ready


async def ask(made: FakeSearcher, seed: dict[str, Any] | None = None, **query: Any) -> SearchReply:
    seeds = [seed or {"code": SEED_CODE.hex()}]
    return await made.searcher.search(SearchRequest.model_validate({"seeds": seeds, **query}))


def ids(reply: SearchReply) -> list[str]:
    return [hit.image_id for hit in reply.hits]


# Order and cut --------------------------------------------------------------------------------------------------------


async def test_hits_equal_brute_force_with_neighbours_planted_around_the_radius(made: FakeSearcher) -> None:
    radius = 20
    planted = {f"planted-{distance}": distance for distance in (0, 1, radius - 1, radius, radius + 1)}
    made.put(*(image(name, code_near(SEED_CODE, distance)) for name, distance in planted.items()))
    noise = np.random.default_rng(0).integers(0, 256, (500, 32), dtype=np.uint8)
    made.put(*(image(f"noise-{n}", code.tobytes()) for n, code in enumerate(noise)))
    within = await ask(made, radius=radius, k=100)
    assert [(hit.image_id, hit.distance) for hit in within.hits] == [
        (name, distance) for name, distance in planted.items() if distance <= radius
    ]
    every = await ask(made, k=1000)
    query = np.frombuffer(SEED_CODE, dtype=np.uint8)
    expected = sorted(
        [(distance, name) for name, distance in planted.items()]
        + [(int(np.bitwise_count(code ^ query).sum()), f"noise-{n}") for n, code in enumerate(noise)]
    )
    assert [(hit.distance, hit.image_id) for hit in every.hits] == expected


async def test_equal_distances_are_ordered_and_cut_by_image_id(made: FakeSearcher) -> None:
    made.put(*(image(name, code_near(SEED_CODE, 7)) for name in ("d", "b", "e", "a", "c")))
    assert ids(await ask(made, k=3)) == ["a", "b", "c"]


async def test_the_seeds_own_image_is_among_the_hits(made: FakeSearcher) -> None:
    made.put(image("mine", SEED_CODE), image("near", code_near(SEED_CODE, 3)))
    reply = await ask(made, {"image_id": "mine"})
    assert [(hit.image_id, hit.distance, hit.similarity) for hit in reply.hits] == [
        ("mine", 0, 1.0),
        ("near", 3, 1 - 3 / 256),
    ]


# What is visible ------------------------------------------------------------------------------------------------------


async def test_the_window_is_taken_from_the_clock_at_each_query(made: FakeSearcher) -> None:
    made.put(image("old", SEED_CODE, age=timedelta(days=80)), image("new", SEED_CODE))
    assert ids(await ask(made)) == ["new", "old"]
    made.now = NOW + timedelta(days=20)
    assert ids(await ask(made)) == ["new"]
    with pytest.raises(ImageNotVisibleError):
        await ask(made, {"image_id": "old"})


@pytest.mark.parametrize("image_id", ["unknown", "deleted", "x" * 600, "ä" * 300])
async def test_a_seed_that_is_not_visible_is_refused(made: FakeSearcher, image_id: str) -> None:
    made.put(image("deleted", SEED_CODE))
    made.put(Document("deleted", Kind.DELETED, 2, True, to_milliseconds(NOW)))
    with pytest.raises(ImageNotVisibleError):
        await ask(made, {"image_id": image_id})


async def test_filters_need_one_value_of_each_attribute(made: FakeSearcher) -> None:
    made.put(
        image("red-mug", attributes={"category": "mug", "colour": ["red", "white"]}),
        image("blue-mug", attributes={"category": "mug", "colour": "blue"}),
        image("red-hat", attributes={"category": "hat", "colour": "red"}),
        image("priced", attributes={"price": 9.99, "new": True}),
    )
    code = {"code": bytes(32).hex()}
    assert ids(await ask(made, code, filter={"category": ["mug"]})) == ["blue-mug", "red-mug"]
    assert ids(await ask(made, code, filter={"category": ["mug", "hat"], "colour": ["red"]})) == ["red-hat", "red-mug"]
    assert ids(await ask(made, code, filter={"price": [9.99], "new": [True]})) == ["priced"]
    assert ids(await ask(made, code, filter={"price": ["9.99"]})) == ["priced"]


async def test_since_is_inclusive_and_until_is_not(made: FakeSearcher) -> None:
    made.put(*(image(f"{hours}h", age=timedelta(hours=hours)) for hours in (1, 2, 3)))
    code = {"code": bytes(32).hex()}
    assert ids(await ask(made, code, since="2026-11-20T10:00:00Z", until="2026-11-20T11:00:00Z")) == ["2h"]
    assert ids(await ask(made, code, since="2026-11-20T09:00:00Z", until="2026-11-20T12:00:00+01:00")) == ["2h", "3h"]
    assert ids(await ask(made, code, since="2026-11-20T10:00:00")) == ["1h", "2h"]
    assert ids(await ask(made, code, until="2026-11-20")) == []


# Items ----------------------------------------------------------------------------------------------------------------


async def test_grouped_by_item_the_best_picture_of_each_counts(made: FakeSearcher) -> None:
    made.put(
        image("a-far", code_near(SEED_CODE, 9), item_id="a"),
        image("a-near", code_near(SEED_CODE, 2), item_id="a"),
        image("b", code_near(SEED_CODE, 5), item_id="b"),
        image("c", code_near(SEED_CODE, 8), item_id="c"),
    )
    reply = await ask(made, group_by_item=True, k=2)
    assert [(hit.image_id, hit.item_id) for hit in reply.hits] == [("a-near", "a"), ("b", "b")]
    assert reply.complete


async def test_grouped_by_item_it_asks_for_more_until_there_are_k_items(made: FakeSearcher) -> None:
    made.put(*(image(f"many-{n:03}", SEED_CODE, item_id="many") for n in range(300)))
    made.put(*(image(f"other-{n}", code_near(SEED_CODE, 10 + n)) for n in range(4)))
    reply = await ask(made, group_by_item=True, k=5)
    assert ids(reply) == ["many-000", "other-0", "other-1", "other-2", "other-3"]
    assert reply.complete
    assert made.store.asked == [20, 80, 320]


async def test_fewer_items_than_asked_for_are_complete_where_there_are_no_more(made: FakeSearcher) -> None:
    made.put(*(image(f"many-{n}", SEED_CODE, item_id="many") for n in range(3)))
    reply = await ask(made, group_by_item=True, k=5)
    assert (ids(reply), reply.complete, reply.reason) == (["many-0"], True, None)


async def test_a_group_that_fills_every_neighbour_a_store_gives_is_told_as_incomplete(made: FakeSearcher) -> None:
    made.put(*(image(f"{n:05}", SEED_CODE, item_id="many") for n in range(NEIGHBOURS_MAX)))
    made.put(image("other", code_near(SEED_CODE, 100)))
    reply = await ask(made, group_by_item=True, k=2)
    assert not reply.complete
    assert reply.reason == "the store gives the nearest 10000 pictures only"
    assert made.metric("catalogue_searcher_incomplete_replies_total") == 1


async def test_what_a_store_could_not_look_at_is_told(made: FakeSearcher) -> None:
    made.put(image("a", SEED_CODE))
    made.store.incomplete = "1 of 3 shards did not answer"
    reply = await ask(made)
    assert (ids(reply), reply.complete, reply.reason) == (["a"], False, "1 of 3 shards did not answer")


# Seeds ----------------------------------------------------------------------------------------------------------------


async def test_a_picture_and_its_url_and_its_code_find_the_same(made: FakeSearcher) -> None:
    made.fetcher.pictures["https://host/mug.jpg"] = b"mug"
    made.put(image("mug", code_of(b"mug")), image("near", code_near(code_of(b"mug"), 4)))
    seeds: list[dict[str, Any]] = [
        {"image": base64.b64encode(b"mug").decode()},
        {"image": b"mug"},
        {"url": "https://host/mug.jpg"},
        {"code": code_of(b"mug").hex()},
        {"code": code_of(b"mug").hex().upper(), "encoder": ENCODER.encoder_id},
        {"image_id": "mug"},
    ]
    replies = [await ask(made, seed) for seed in seeds]
    assert {tuple(ids(reply)) for reply in replies} == {("mug", "near")}
    assert {reply.seeds[0].code for reply in replies} == {code_of(b"mug").hex()}


async def test_a_reply_names_its_seed_so_that_it_can_be_asked_for_again(made: FakeSearcher) -> None:
    made.put(*(image(f"{n}", code_near(code_of(b"mug"), n)) for n in range(5)))
    first = await ask(made, {"image": b"mug"}, k=3)
    assert (await ask(made, first.seeds[0].model_dump(), k=3)).hits == first.hits


async def test_a_crop_changes_the_query(made: FakeSearcher) -> None:
    whole = await ask(made, {"image": b"mug"})
    part = await ask(made, {"image": b"mug", "crop": [0, 0, 0.5, 0.5]})
    assert whole.seeds != part.seeds


async def test_a_code_of_another_encoder_is_refused(made: FakeSearcher) -> None:
    with pytest.raises(QueryInvalidError, match="another encoder"):
        await ask(made, {"code": SEED_CODE.hex(), "encoder": "older"})


@pytest.mark.parametrize("code", ["00", "zz" * 32, "0" * 63])
async def test_a_code_that_is_not_a_code_is_refused(made: FakeSearcher, code: str) -> None:
    with pytest.raises(QueryInvalidError, match="hash code"):
        await ask(made, {"code": code})


async def test_an_image_without_a_code_of_the_active_encoder_is_no_seed(made: FakeSearcher) -> None:
    made.put(image("a", SEED_CODE))
    made.backend.encoder = FakeEncoder(encoder_id="newer")
    with pytest.raises(QueryInvalidError, match="no code of the active encoder"):
        await ask(made, {"image_id": "a"})


async def test_an_embedding_that_is_not_finite_is_refused(made: FakeSearcher) -> None:
    made.backend.encoder = FakeEncoder(poison=hashlib.sha256(b"mug").digest())
    with pytest.raises(RejectedError) as refused:
        await ask(made, {"image": b"mug"})
    assert refused.value.reason is RejectionReason.EMBEDDING_NOT_FINITE


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"seeds": []}, "at least 1 item"),
        ({"seeds": [{}]}, "exactly one of"),
        ({"seeds": [{"image_id": "a", "code": "00"}]}, "exactly one of"),
        ({"seeds": [{"image_id": "a"}] * 257}, "at most 256 items"),
        ({"seeds": [{"image_id": "a", "weight": 0}]}, "weight 0 says nothing"),
        ({"seeds": [{"image_id": "a", "weight": -1}]}, "at least one seed has a positive weight"),
        ({"seeds": [{"image": "not base64!"}]}, "base64"),
        ({"seeds": [{"image": ""}]}, "at least 1 item"),
        ({"seeds": [{"image_id": "a", "crop": [0, 0, 1, 1]}]}, "goes with a picture"),
        ({"seeds": [{"url": "https://host/a", "crop": [0.5, 0, 0.5, 1]}]}, "left < right"),
        ({"seeds": [{"url": "https://host/a", "crop": [0, 0, 1.1, 1]}]}, "from 0 to 1"),
        ({"seeds": [{"url": "https://host/a", "crop": [0, 0, 1]}]}, "crop"),
        ({"seeds": [{"image_id": "a", "encoder": "x"}]}, "goes with a code"),
        ({"k": 0}, "greater than or equal to 1"),
        ({"k": 10_001}, "less than or equal to 10000"),
        ({"radius": -1}, "greater than or equal to 0"),
        ({"filter": {"category": []}}, "at least 1 item"),
        ({"filter": {"price": [float("nan")]}}, "finite"),
        ({"since": 1763700000}, "written as text"),
        ({"since": "yesterday"}, "valid datetime"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "within the years"),
        ({"radus": 3}, "not permitted"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_with_what_is_wrong(query: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        SearchRequest.model_validate({"seeds": [{"image_id": "a"}], **query})


async def test_k_is_at_most_what_the_setting_allows() -> None:
    with fake_searcher(neighbours_max=50) as made:
        assert (await ask(made, k=50)).complete
        with pytest.raises(QueryInvalidError, match="at most 50"):
            await ask(made, k=51)


def test_a_cursor_survives_the_way_through_a_url() -> None:
    cursor = PageCursor(1_763_700_000_123, "a/ü?&=+")
    assert decode_cursor(encode_cursor(cursor)) == cursor


# Time and failure -----------------------------------------------------------------------------------------------------


async def test_the_stages_of_a_query_are_timed(made: FakeSearcher) -> None:
    made.put(image("a", SEED_CODE))
    assert set((await ask(made, {"image_id": "a"})).took_ms) == {"seed", "nearest", "total"}
    reply = await ask(made, {"image": b"mug"})
    assert set(reply.took_ms) == {"seed", "decode", "embed", "nearest", "total"}
    assert reply.took_ms["total"] >= max(reply.took_ms.values())
    assert made.metric("catalogue_searcher_query_seconds_count", stage="embed") == 1
    assert made.metric("catalogue_searcher_query_seconds_count", stage="total") == 2


async def test_a_store_that_takes_too_long_is_given_up_on() -> None:
    with fake_searcher(search_seconds=0.05) as made:
        made.store.held = threading.Event()
        with pytest.raises(QueryTimeoutError):
            await ask(made)


async def test_without_an_encoder_there_is_no_search(made: FakeSearcher) -> None:
    made.backend.encoder = None
    for seed in ({"code": SEED_CODE.hex()}, {"image_id": "a"}, {"image": b"mug"}, {"url": "https://host/a"}):
        with pytest.raises(EncoderMissingError):
            await ask(made, seed)
    assert made.fetcher.fetched == []


# Waiting for the store and the encoder --------------------------------------------------------------------------------


class StopLookingError(Exception):
    """Ends an attendant's loop."""


def attendant_of(made: FakeSearcher, store: FakeStore, pauses: list[float], looks: int) -> tuple[Backend, Attendant]:
    """A backend with nothing yet, and an attendant that looks so often; the store comes back at its third look."""
    backend = made.new_backend()
    counted = itertools.count(1)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        match next(counted):
            case 2:
                store.away = False
            case 3:
                store.activate_encoder(StoredEncoder("fake-256", 256, b""))
        if len(pauses) == looks:
            raise StopLookingError

    return backend, Attendant(
        backend,
        lambda: store,
        lambda _: FakeEncoder(),
        metrics=SearcherMetrics(CollectorRegistry()),
        now=lambda: NOW,
        window_months=3,
        sleep=sleep,
    )


async def test_the_searcher_becomes_ready_by_itself_and_says_each_state_once(made: FakeSearcher) -> None:
    store, pauses = FakeStore(away=True), list[float]()
    backend, attendant = attendant_of(made, store, pauses, looks=6)
    with structlog.testing.capture_logs() as logs, pytest.raises(StopLookingError):
        await attendant.attend()
    assert [entry["event"] for entry in logs] == ["dependency_away", "waiting_for_encoder", "ready"]
    assert pauses == [1, 1, 1, 15, 15, 15]
    assert backend.encoder is not None
    assert backend.visible_images == 0


async def test_an_encoder_that_can_not_be_loaded_ends_the_searcher(made: FakeSearcher) -> None:
    store = FakeStore()
    store.activate_encoder(StoredEncoder("fake-256", 256, b""))

    def refuse(_: StoredEncoder) -> FakeEncoder:
        raise ConfigurationError("other weights")

    attendant = Attendant(
        made.new_backend(),
        lambda: store,
        refuse,
        metrics=SearcherMetrics(CollectorRegistry()),
        now=lambda: NOW,
        window_months=3,
    )
    with pytest.raises(ConfigurationError, match="other weights"):
        await attendant.attend()


async def test_before_the_store_is_open_it_counts_as_away(made: FakeSearcher) -> None:
    made.backend.store = None
    with pytest.raises(StoreUnavailableError):
        await ask(made)
