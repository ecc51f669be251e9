"""What is particular to the Elasticsearch store, on a real server: copies, failed shards, blocks, foreign indices,
graphs, and following several months."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from shared.document import Document, Kind
from shared.errors import CatalogueError, ConfigurationError, QueryInvalidError, StoreUnavailableError
from shared.store import Change, ChangeFeed, Changes, Restriction, WriteOutcome
from shared.store.elasticsearch import Connection
from shared.store.elasticsearch_documents import month_index
from shared.store.elasticsearch_indices import ElasticsearchIndices
from shared.store.elasticsearch_store import ElasticsearchStore
from shared.store.monthly_indices import MonthlyIndices, Put, PutOutcome
from tests.elasticsearch_server import ElasticsearchServer
from tests.memory_indices import MemoryIndices

pytestmark = pytest.mark.containers

NOW = datetime(2026, 11, 20, tzinfo=UTC)
LAST_MONTH = datetime(2026, 10, 20, tzinfo=UTC)
ALL = Restriction(visible_after_ms=0)


@pytest.fixture
def connection(elasticsearch_node: ElasticsearchServer) -> Iterator[Connection]:
    connection = Connection([elasticsearch_node.base], api_key=None, ca_file=None, seconds=30)
    _remove_indices(connection)
    yield connection
    # Closed, red and blocked indices are nobody else's trouble.
    _remove_indices(connection)
    connection.close()


def _remove_indices(connection: Connection) -> None:
    found = list(connection.ask(lambda client: client.indices.get(index="catalogue*", expand_wildcards="all")))
    if found:
        connection.ask(lambda client: client.indices.delete(index=found))


@pytest.fixture
def store(connection: Connection) -> ElasticsearchStore:
    return ElasticsearchStore(connection, pause=lambda _: None)


def refresh(connection: Connection) -> None:
    connection.ask(lambda client: client.indices.refresh(index="catalogue*"))


def image(image_id: str, version: int = 1, code: bytes = b"\0\0", **fields: Any) -> Document:
    return Document(image_id, Kind.IMAGE, version, True, fields.pop("event_time_ms", 1000), codes={"e": code}, **fields)


def moved(image_id: str, version: int) -> Document:
    return Document(image_id, Kind.MOVED, version, True, 1000)


# The primitives -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "elasticsearch"])
def indices(request: pytest.FixtureRequest) -> MonthlyIndices:
    """The fake that simulations use must behave as the server does."""
    if request.param == "memory":
        return MemoryIndices()
    return ElasticsearchIndices(request.getfixturevalue("connection"), "0-1", pause=lambda _: None)


def test_a_month_is_there_once_prepared_and_gone_once_dropped(indices: MonthlyIndices) -> None:
    assert list(indices.live()) == []
    assert list(indices.prepare("2026.11", {"e": 16})) == ["2026.11"]
    assert list(indices.prepare("2026.10", {})) == ["2026.10", "2026.11"]
    assert list(indices.prepare("2026.10", {"e": 16, "f.g": 32})) == ["2026.10", "2026.11"]
    assert indices.put([Put("2026.10", image("a"))]) == [PutOutcome.STORED]
    indices.drop("2026.11")
    indices.drop("2026.11")
    assert list(indices.live()) == ["2026.10"]
    assert indices.versions(["a"], ["2026.10", "2026.11"]) == {"a": {"2026.10": 1}}


def test_versions_are_conditional_within_a_month(indices: MonthlyIndices) -> None:
    indices.prepare("2026.10", {"e": 16})
    indices.prepare("2026.11", {"e": 16})
    tries = [(5, False), (5, False), (4, False), (5, True), (4, True), (6, False), (0, True)]
    outcomes = [indices.put([Put("2026.11", image("a", version), over)])[0] for version, over in tries]
    stored, conflict = PutOutcome.STORED, PutOutcome.CONFLICT
    assert outcomes == [stored, conflict, conflict, stored, conflict, stored, conflict]
    assert indices.put([Put("2026.10", image("a", 3)), Put("2026.10", image("b", 0))]) == [stored, stored]
    months = ["2026.10", "2026.11"]
    assert indices.versions(["a", "b", "c"], months) == {"a": {"2026.10": 3, "2026.11": 6}, "b": {"2026.10": 0}}
    assert indices.copies(["b", "a"], months) == {
        "a": {"2026.10": image("a", 3), "2026.11": image("a", 6)},
        "b": {"2026.10": image("b", 0)},
    }


def test_a_put_does_not_bring_a_missing_month_back(indices: MonthlyIndices) -> None:
    indices.prepare("2026.11", {"e": 16})
    indices.drop("2026.11")
    assert indices.put([Put("2026.11", image("a"))]) == [PutOutcome.MONTH_MISSING]
    assert list(indices.live()) == []
    indices.refresh(["2026.11"])


# Copies ---------------------------------------------------------------------------------------------------------------


def plant_doubles(store: ElasticsearchStore, count: int) -> None:
    """Live older copies of images 000, 001, … in October, near the zero code, and newer ones further away."""
    store.write([image(f"{number:03}", 1, b"\0\1") for number in range(count)], LAST_MONTH)
    store.indices.prepare("2026.11", {"e": 16})
    newer = [image(f"{number:03}", 2, b"\0\3", event_time_ms=2000 + number) for number in range(count)]
    store.indices.put([Put("2026.11", document) for document in newer])


def test_a_search_shows_the_highest_version_of_an_image_that_it_meets_twice_and_is_refilled(
    store: ElasticsearchStore, connection: Connection
) -> None:
    plant_doubles(store, 60)
    store.write([image("other", code=b"\xff\xff", event_time_ms=1)], NOW)
    refresh(connection)
    found = store.nearest("e", b"\0\0", 61, None, ALL)
    assert [(one.distance, one.document.version) for one in found.neighbours] == [*[(2, 2)] * 60, (16, 1)]
    assert found.complete
    newest = store.newest((), ALL, None, 61)
    assert [(one.image_id, one.version) for one in newest] == [
        *((f"{number:03}", 2) for number in reversed(range(60))),
        ("other", 1),
    ]


def test_settle_leaves_one_live_copy_and_a_marker_of_its_version(
    store: ElasticsearchStore, connection: Connection
) -> None:
    plant_doubles(store, 3)
    settled = store.settle(["000", "002", "none"])
    assert {image_id: one.version for image_id, one in settled.items()} == {"000": 2, "002": 2}
    copies = store.indices.copies(["000", "001", "002"], store.indices.live())
    assert {image_id: [one.kind for _, one in sorted(found.items())] for image_id, found in copies.items()} == {
        "000": [Kind.MOVED, Kind.IMAGE],
        "001": [Kind.IMAGE, Kind.IMAGE],
        "002": [Kind.MOVED, Kind.IMAGE],
    }
    assert copies["000"]["2026.10"] == Document("000", Kind.MOVED, 2, True, 2000)
    # The newer month was refreshed for the move; the older one is here.
    refresh(connection)
    assert store.visible_count(ALL) == 4


def test_a_thumbnail_is_that_of_the_highest_version(store: ElasticsearchStore) -> None:
    store.write([image("a", 1, thumbnail=b"old")], LAST_MONTH)
    store.indices.prepare("2026.11", {"e": 16})
    store.indices.put([Put("2026.11", image("a", 2, thumbnail=b"new"))])
    assert store.thumbnail("a") == b"new"
    store.settle(["a"])
    assert store.thumbnail("a") == b"new"
    store.indices.put([Put("2026.11", moved("a", 3)), Put("2026.10", image("a", 3, thumbnail=b"newest"))])
    assert store.thumbnail("a") == b"newest"


def test_more_ties_than_the_server_counts_are_cut_by_id(store: ElasticsearchStore, connection: Connection) -> None:
    store.indices.prepare("2026.11", {"e": 16})
    for start in range(0, 24_000, 8000):
        # Later documents have lower ids: the server's own order among ties is another.
        numbers = range(24_000 - start - 1, 24_000 - start - 8001, -1)
        store.indices.put([Put("2026.11", image(f"{number:05}", code=b"\0\1")) for number in numbers])
    store.indices.put([Put("2026.11", image("zzz"))])
    refresh(connection)
    found = store.nearest("e", b"\0\0", 50, None, ALL)
    assert [one.document.image_id for one in found.neighbours] == ["zzz", *(f"{number:05}" for number in range(49))]
    assert found.complete
    most = store.nearest("e", b"\0\0", 10_000, None, ALL)
    assert len(most.neighbours) == 10_000
    assert most.complete
    assert most.neighbours[-1].document.image_id == "09998"


# Months ---------------------------------------------------------------------------------------------------------------


def test_a_month_is_behind_the_alias_with_one_shard_and_a_strict_mapping(
    store: ElasticsearchStore, connection: Connection
) -> None:
    store.write([image("a")], NOW)
    described = connection.ask(lambda client: client.indices.get(index="catalogue"))["catalogue-2026.11"]
    assert described["aliases"] == {"catalogue": {}}
    assert described["mappings"]["dynamic"] == "strict"
    assert described["mappings"]["properties"]["codes"]["properties"]["e"]["index_options"] == {"type": "flat"}
    settings = described["settings"]["index"]
    assert (settings["number_of_shards"], settings["refresh_interval"]) == ("1", "500ms")
    assert settings["auto_expand_replicas"] == "0-1"


def test_replicas_may_be_a_count(connection: Connection) -> None:
    store = ElasticsearchStore(connection, replicas="0")
    store.write([image("a")], NOW)
    described = connection.ask(lambda client: client.indices.get_settings(index="catalogue"))["catalogue-2026.11"]
    assert described["settings"]["index"]["number_of_replicas"] == "0"


def test_a_month_made_without_the_alias_by_a_worker_that_died_is_taken_up(
    store: ElasticsearchStore, connection: Connection
) -> None:
    body = month_index({}, "0-1")
    connection.ask(lambda client: client.indices.create(index="catalogue-2026.11", **body))
    assert store.documents(["a"]) == {}
    assert store.write([image("a")], NOW) == [WriteOutcome.WRITTEN]
    assert set(store.documents(["a"])) == {"a"}


def test_an_index_of_another_making_behind_the_alias_is_refused_by_name(
    store: ElasticsearchStore, connection: Connection
) -> None:
    connection.ask(lambda client: client.indices.create(index="catalogue-other", aliases={"catalogue": {}}))
    with pytest.raises(ConfigurationError, match="the index catalogue-other behind the alias catalogue is of another"):
        store.write([image("a")], NOW)
    with pytest.raises(ConfigurationError, match="catalogue-other"):
        store.check()


def test_codes_of_another_length_do_not_fit_the_mapping(store: ElasticsearchStore) -> None:
    store.write([image("a")], NOW)
    with pytest.raises(ConfigurationError, match="dims"):
        store.write([image("b", code=b"\0" * 4)], NOW)


# Outages --------------------------------------------------------------------------------------------------------------


def make_month_without_a_node(connection: Connection, month: str) -> None:
    """A month whose only shard no node may hold."""
    body = month_index({"e": 16}, "0")
    body["settings"]["routing.allocation.require._name"] = "no-such-node"
    connection.ask(lambda client: client.indices.create(index=f"catalogue-{month}", wait_for_active_shards=0, **body))
    connection.ask(lambda client: client.indices.put_alias(index=f"catalogue-{month}", name="catalogue"))


def test_an_answer_without_a_shard_says_so_and_lists_stay_whole_or_fail(
    store: ElasticsearchStore, connection: Connection
) -> None:
    """F30, of the store alone."""
    store.write([image("a")], NOW)
    make_month_without_a_node(connection, "2026.10")
    refresh_one = connection.ask(lambda client: client.indices.refresh(index="catalogue-2026.11"))
    assert refresh_one["_shards"]["failed"] == 0
    found = store.nearest("e", b"\0\0", 5, None, ALL)
    assert [one.document.image_id for one in found.neighbours] == ["a"]
    assert not found.complete
    assert found.reason is not None
    assert "1 of 2 shards failed: catalogue-2026.10" in found.reason
    for ask in (
        store.check,
        lambda: store.newest((), ALL, None, 5),
        lambda: store.visible_count(ALL),
        lambda: store.documents(["a"]),
        lambda: store.settle(["a"]),
        lambda: store.thumbnail("a"),
        lambda: store.write([image("b")], NOW),
    ):
        with pytest.raises(StoreUnavailableError):
            ask()


def test_a_closed_month_is_an_outage_and_not_an_empty_one(store: ElasticsearchStore, connection: Connection) -> None:
    store.write([image("a", 5)], LAST_MONTH)
    store.write([image("b")], NOW)
    connection.ask(lambda client: client.indices.close(index="catalogue-2026.10"))
    for ask in (
        store.check,
        lambda: store.nearest("e", b"\0\0", 5, None, ALL),
        lambda: store.write([image("a", 4)], NOW),
        lambda: store.documents(["a"]),
    ):
        with pytest.raises(StoreUnavailableError):
            ask()
    connection.ask(lambda client: client.indices.open(index="catalogue-2026.10"))
    assert store.write([image("a", 4)], NOW) == [WriteOutcome.SUPERSEDED]


@pytest.mark.parametrize("block", ["read_only_allow_delete", "read_only", "write"])
def test_a_write_block_is_an_outage_that_ends_with_the_block(
    store: ElasticsearchStore, connection: Connection, block: str
) -> None:
    """F10, of the store alone."""
    store.write([image("a")], NOW)
    _set_block(connection, block, True)
    with pytest.raises(StoreUnavailableError, match="can't do it now"):
        store.write([image("b")], NOW)
    assert set(store.documents(["a", "b"])) == {"a"}
    _set_block(connection, block, None)
    assert store.write([image("b")], NOW) == [WriteOutcome.WRITTEN]


def _set_block(connection: Connection, block: str, value: bool | None) -> None:
    settings = {f"index.blocks.{block}": value}
    connection.ask(lambda client: client.indices.put_settings(index="catalogue-2026.11", settings=settings))


def test_a_document_that_the_server_refuses_is_answered_for_alone(store: ElasticsearchStore) -> None:
    first, refused, second = store.write([image("a"), image("x" * 600), image("b")], NOW)
    assert (first, second) == (WriteOutcome.WRITTEN, WriteOutcome.WRITTEN)
    assert "too long" in str(refused)
    assert set(store.documents(["a", "b", "x" * 600])) == {"a", "b"}


# Approximate searches -------------------------------------------------------------------------------------------------


@pytest.fixture
def graph_store(connection: Connection) -> ElasticsearchStore:
    return ElasticsearchStore(connection, pause=lambda _: None, hnsw=True)


def test_a_graph_finds_nearly_all_of_the_nearest_within_radius_and_filter(
    graph_store: ElasticsearchStore, connection: Connection
) -> None:
    generator = np.random.default_rng(3)
    assert list(graph_store.approximately_nearest("e", bytes(8), 10, None, ALL).neighbours) == []
    for now in (NOW, LAST_MONTH):
        codes = generator.integers(0, 256, (800, 8), dtype=np.uint8)
        graph_store.write(
            [
                image(f"{now.month}-{at}", code=code.tobytes(), attributes={"odd": at % 2})
                for at, code in enumerate(codes)
            ],
            now,
        )
    refresh(connection)
    odd = Restriction(0, terms=[["odd=1"]])
    found = wanted = 0
    for code in generator.integers(0, 256, (10, 8), dtype=np.uint8):
        exact = graph_store.nearest("e", code.tobytes(), 200, 24, odd)
        near = graph_store.approximately_nearest("e", code.tobytes(), 200, 24, odd)
        assert (near.complete, near.compared) == (True, 0)
        assert near.neighbours == [one for one in exact.neighbours if one in near.neighbours]
        found, wanted = found + len(near.neighbours), wanted + len(exact.neighbours)
    assert wanted > 100
    assert found >= 0.9 * wanted


def test_without_a_graph_in_each_month_an_approximate_search_is_refused(
    store: ElasticsearchStore, graph_store: ElasticsearchStore, connection: Connection
) -> None:
    with pytest.raises(QueryInvalidError, match="CATALOGUE_ELASTICSEARCH_HNSW=true"):
        store.approximately_nearest("e", b"\0\0", 5, None, ALL)
    graph_store.write([image("a")], NOW)
    # Whoever writes and searches: it is the month that keeps a graph or not, from its beginning on.
    store.write([image("b")], NOW)
    refresh(connection)
    found = store.approximately_nearest("e", b"\0\0", 5, None, ALL)
    assert [one.document.image_id for one in found.neighbours] == ["a", "b"]
    store.write([image("c")], LAST_MONTH)
    graph_store.write([image("d")], LAST_MONTH)
    with pytest.raises(QueryInvalidError, match="CATALOGUE_ELASTICSEARCH_HNSW=true"):
        graph_store.approximately_nearest("e", b"\0\0", 5, None, ALL)
    assert set(graph_store.documents(["a", "b", "c", "d"])) == {"a", "b", "c", "d"}


# Following ------------------------------------------------------------------------------------------------------------


def catch_up(feed: ChangeFeed, held: dict[str, Change]) -> list[Changes]:
    """Read until caught up, and keep in `held` what the highest version of each image left; gives the steps."""
    steps = [feed.read()]
    while not steps[-1].caught_up:
        steps.append(feed.read())
    for step in steps:
        if step.lost:
            held.clear()
        for change in step.changes:
            if change.image_id not in held or held[change.image_id].version < change.version:
                held[change.image_id] = change
    return steps


def test_a_month_that_is_dropped_or_made_anew_voids_what_was_followed(
    store: ElasticsearchStore, connection: Connection
) -> None:
    feed, held = store.follow("e", terms=False), dict[str, Change]()
    store.write([image("old")], LAST_MONTH)
    store.write([image("a", 5), image("b", 5)], NOW)
    assert not any(step.lost for step in catch_up(feed, held))
    store.indices.drop("2026.10")
    assert sum(step.lost for step in catch_up(feed, held)) == 1
    assert set(held) == {"a", "b"}
    store.indices.drop("2026.11")
    store.write([image("a", 3)], NOW)
    assert sum(step.lost for step in catch_up(feed, held)) == 1
    assert {image_id: one.version for image_id, one in held.items()} == {"a": 3}
    store.indices.drop("2026.11")
    assert sum(step.lost for step in catch_up(feed, held)) == 1
    assert held == {}


def test_following_waits_for_a_month_that_is_away_and_goes_on_from_where_it_was(
    store: ElasticsearchStore, connection: Connection
) -> None:
    feed, held = store.follow("e", terms=False), dict[str, Change]()
    store.write([image("a")], NOW)
    catch_up(feed, held)
    make_month_without_a_node(connection, "2026.10")
    with pytest.raises(StoreUnavailableError, match=r"can't read 2026\.10 now"):
        feed.read()
    settings = {"index.routing.allocation.require._name": None}
    connection.ask(lambda client: client.indices.put_settings(index="catalogue-2026.10", settings=settings))
    connection.ask(
        lambda client: client.cluster.health(index="catalogue-2026.10", wait_for_active_shards=1, timeout="10s")
    )
    store.write([image("b")], LAST_MONTH)
    steps = catch_up(feed, held)
    assert [change.image_id for step in steps for change in step.changes] == ["b"]


def test_what_was_acknowledged_before_a_round_is_held_after_it_while_images_change_and_move(
    store: ElasticsearchStore,
) -> None:
    feed, held = store.follow("e", terms=False), dict[str, Change]()
    acknowledged: dict[str, int] = {}
    failures: list[CatalogueError] = []

    def write(image_ids: list[str], seed: int) -> None:
        dice = np.random.default_rng(seed)
        months = [NOW, LAST_MONTH, datetime(2026, 9, 20, tzinfo=UTC)]
        try:
            for version in range(1, 15):
                changed = [image_id for image_id in image_ids if dice.random() < 0.7]
                store.write([image(name, version) for name in changed], months[dice.integers(3)])
                acknowledged.update(dict.fromkeys(changed, version))
        except CatalogueError as error:
            failures.append(error)

    writers = [threading.Thread(target=write, args=[[f"{seed}-{at}" for at in range(20)], seed]) for seed in range(2)]
    for writer in writers:
        writer.start()
    rounds = 0
    while any(writer.is_alive() for writer in writers):
        before = dict(acknowledged)
        catch_up(feed, held)
        rounds += 1
        behind = {name: version for name, version in before.items() if name not in held or held[name].version < version}
        assert behind == {}
    for writer in writers:
        writer.join()
    catch_up(feed, held)
    assert (failures, rounds > 0) == ([], True)
    assert {name: one.version for name, one in held.items()} == acknowledged
    assert all(one.code == b"\0\0" for one in held.values())
