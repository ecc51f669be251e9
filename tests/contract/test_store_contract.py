"""What every store does, run on SQLite and on a real Elasticsearch."""

import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from shared.document import Document, Kind, attribute_term
from shared.errors import CatalogueError, ConfigurationError, QueryInvalidError, RejectedError, RejectionReason
from shared.hash_code import hamming_distances, subcode_keys
from shared.rolling_window import to_milliseconds, window_start
from shared.store import PageCursor, Restriction, StoredCopy, StoredEncoder, WriteOutcome
from shared.watch import NO_WATCHES, WATCH_CODES_MAX, WATCHES_MAX, Watch, WatchList
from tests.store_subject import ALL, ENCODER, LAST_MONTH, NOW, NOW_MS, Subject, deletion, differing, flipped, image

# Encoders -------------------------------------------------------------------------------------------------------------


def test_a_new_store_has_no_active_encoder(subject: Subject) -> None:
    assert subject.store.active_encoder() is None


def test_the_active_encoder_comes_back_to_the_byte(subject: Subject) -> None:
    encoder = StoredEncoder(ENCODER, 16, np.random.default_rng(1).bytes(20_000_000))
    subject.store.activate_encoder(encoder)
    assert subject.store.active_encoder() == encoder


def test_an_encoder_may_be_activated_twice_but_not_replaced(subject: Subject) -> None:
    encoder = StoredEncoder(ENCODER, 16, b"blob")
    subject.store.activate_encoder(encoder)
    subject.store.activate_encoder(encoder)
    with pytest.raises(ConfigurationError, match="another encoder is active"):
        subject.store.activate_encoder(StoredEncoder("another", 16, b"other blob"))
    assert subject.store.active_encoder() == encoder


def test_of_two_fits_at_the_same_time_one_wins_whole(subject: Subject) -> None:
    start = threading.Barrier(2)
    refused: list[str] = []

    def fit(encoder_id: str) -> None:
        start.wait()
        try:
            subject.store.activate_encoder(StoredEncoder(encoder_id, 16, encoder_id.encode() * 1000))
        except ConfigurationError:
            refused.append(encoder_id)

    fits = [threading.Thread(target=fit, args=[encoder_id]) for encoder_id in ("one", "two")]
    for thread in fits:
        thread.start()
    for thread in fits:
        thread.join()
    (winner,) = {"one", "two"} - set(refused)
    assert subject.store.active_encoder() == StoredEncoder(winner, 16, winner.encode() * 1000)


# Watches --------------------------------------------------------------------------------------------------------------


def watched(revision: int, name: str = "w") -> WatchList:
    return WatchList(
        revision, [Watch(name, revision, ENCODER, [b"\x00\xff"], 3, [["colour=blue", "ü=\u2713"], ["a=b"]])]
    )


def test_a_new_store_has_no_watches(subject: Subject) -> None:
    assert subject.store.watches_revision() == 0
    assert subject.store.watches() == NO_WATCHES


def test_published_watches_are_there_at_once(subject: Subject) -> None:
    for revision in (1, 7, 8):
        subject.store.publish_watches(watched(revision))
        assert subject.store.watches_revision() == revision
        assert subject.store.watches() == watched(revision)
    subject.store.publish_watches(WatchList(9, []))
    assert (subject.store.watches_revision(), subject.store.watches()) == (9, WatchList(9, []))


def test_watches_of_an_equal_or_lower_revision_change_nothing(subject: Subject) -> None:
    subject.store.publish_watches(watched(7))
    for revision in (1, 6, 7):
        subject.store.publish_watches(watched(revision, "late"))
        assert (subject.store.watches_revision(), subject.store.watches()) == (7, watched(7))


def test_of_watches_published_at_the_same_time_the_highest_revision_stays(subject: Subject) -> None:
    # The watches' names tell whether the revision and the list are of one publication.
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: subject.store.publish_watches(watched(n, f"w{n}")), (3, 9, 1, 7, 12, 2, 11, 5)))
    assert (subject.store.watches_revision(), subject.store.watches()) == (12, watched(12, "w12"))


def test_the_largest_list_of_watches_can_be_published(subject: Subject) -> None:
    codes = np.random.default_rng(1).bytes(WATCHES_MAX * WATCH_CODES_MAX * 32)
    each = [codes[at : at + 32] for at in range(0, len(codes), 32)]
    many = WatchList(1, [Watch(f"watch-{n}", 1, ENCODER, each[n::WATCHES_MAX], 3, []) for n in range(WATCHES_MAX)])
    subject.store.publish_watches(many)
    assert subject.store.watches() == many


def test_images_are_not_disturbed_by_watches(subject: Subject) -> None:
    subject.write(image("a"))
    subject.store.publish_watches(watched(1))
    assert subject.write(image("b")) == [WriteOutcome.WRITTEN]
    assert subject.newest() == ["a", "b"]
    assert [one.image_id for one in subject.store.scan()] == ["a", "b"]


# Documents ------------------------------------------------------------------------------------------------------------


def test_documents_are_given_at_the_versions_that_are_asked_for_and_no_other(subject: Subject) -> None:
    subject.write(image("stays", 3), image("updated", 1), image("deleted", 1), now=LAST_MONTH)
    subject.write(image("updated", 2), deletion("deleted", 2))
    asked = {"stays": 3, "updated": 2, "deleted": 2, "unknown": 1}
    found = subject.store.documents_at(asked)
    assert found == {image_id: subject.store.documents([image_id])[image_id] for image_id in ("stays", "updated")}
    assert subject.store.documents_at({"stays": 2, "updated": 1, "deleted": 1}) == {}
    assert subject.store.documents_at({}) == {}


def test_a_document_comes_back_as_it_was_written_but_for_its_thumbnail(subject: Subject) -> None:
    document = Document(
        image_id="sku/17 front",
        kind=Kind.IMAGE,
        version=2**63 - 1,
        version_explicit=False,
        event_time_ms=NOW_MS + 1,
        indexed_at_ms=NOW_MS + 2,
        item_id="sku-17",
        image_url="https://shop.example/17.jpg",
        attributes={"title": "Blue mug", "price": 9.99, "tags": ["a", 1, 2.5, True], "": "", "a.b": 2**70, ".": -0.5},
        content_sha256="ab" * 32,
        codes={ENCODER: b"\x00\xff", "vgg16.fc7-itq%4096": bytes(range(256)) * 2},
        thumbnail=b"RIFF",
    )
    assert subject.write(document) == [WriteOutcome.WRITTEN]
    kept = replace(document, thumbnail=None)
    assert subject.store.documents(["sku/17 front"]) == {"sku/17 front": kept}
    assert subject.store.settle(["sku/17 front"]) == {"sku/17 front": kept}
    assert subject.store.thumbnail("sku/17 front") == b"RIFF"


def test_a_hit_is_the_document_without_codes_and_thumbnail(subject: Subject) -> None:
    document = image("a", attributes={"title": "mug"}, item_id="i", image_url="http://x/", thumbnail=b"RIFF")
    subject.write(document)
    hit = replace(document, codes={}, thumbnail=None)
    assert [one.document for one in subject.store.nearest(ENCODER, b"\0\0", 5, None, ALL).neighbours] == [hit]
    assert list(subject.store.newest((), ALL, None, 5)) == [hit]


def test_a_marker_comes_back_as_it_was_written(subject: Subject) -> None:
    markers = [deletion("a", 5), Document("b", Kind.EXPIRED, 6, False, 7)]
    assert subject.write(*markers) == [WriteOutcome.WRITTEN] * 2
    assert subject.store.documents(["a", "b"]) == {"a": markers[0], "b": markers[1]}


def test_unknown_images_are_left_out(subject: Subject) -> None:
    assert subject.store.documents(["a"]) == {}
    subject.write(image("a"))
    assert set(subject.store.documents(["a", "b", "c" * 2000])) == {"a"}
    assert subject.store.settle([]) == {}
    assert subject.store.thumbnail("b") is None


@pytest.mark.parametrize("image_id", ["a/b?c=d&e#f%20", "ключ", "✓ 👜", "x" * 512, " ", '"\\', "_a", "a\x00b", "*"])
def test_any_text_can_be_an_image_id(subject: Subject, image_id: str) -> None:
    assert subject.write(image(image_id)) == [WriteOutcome.WRITTEN]
    assert set(subject.store.documents([image_id])) == {image_id}
    assert subject.near(b"\0\0") == [(0, image_id)]


def test_a_document_that_can_not_be_kept_is_refused_and_its_neighbours_are_written(subject: Subject) -> None:
    no_number = image("no-number", attributes={"price": float("nan")})
    half_character = image("half-character", attributes={"title": "\ud83d"})
    first, second, third, fourth = subject.write(image("a"), no_number, half_character, image("b"))
    assert (first, fourth) == (WriteOutcome.WRITTEN, WriteOutcome.WRITTEN)
    for refusal in (second, third):
        assert isinstance(refusal, RejectedError)
        assert refusal.reason is RejectionReason.DOCUMENT_REFUSED
    assert set(subject.store.documents(["a", "no-number", "half-character", "b"])) == {"a", "b"}


def test_a_batch_larger_than_one_request_is_written_whole(subject: Subject) -> None:
    documents = [image(f"{number:03}", thumbnail=bytes([number]) * 150_000) for number in range(100)]
    assert subject.write(*documents) == [WriteOutcome.WRITTEN] * 100
    assert subject.store.thumbnail("099") == bytes([99]) * 150_000
    assert subject.store.visible_count(ALL) == 100


# Versions -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("later", [NOW, NOW + timedelta(days=40), LAST_MONTH])
def test_an_update_supersedes_a_lower_version_wherever_that_lies(subject: Subject, later: datetime) -> None:
    subject.write(image("a", 5, b"\0\0", attributes={"colour": "red"}, thumbnail=b"old"))
    update = image("a", 6, b"\xff\xff", attributes={"colour": "blue"}, thumbnail=b"new")
    assert subject.write(update, now=later) == [WriteOutcome.WRITTEN]
    assert subject.store.documents(["a"]) == {"a": replace(update, thumbnail=None)}
    assert subject.store.thumbnail("a") == b"new"
    assert subject.near(b"\0\0") == [(16, "a")]
    assert subject.newest("red") == []
    assert subject.newest("blue") == ["a"]
    assert subject.near(b"\0\0", terms=[["colour=red"]]) == []
    assert subject.store.visible_count(ALL) == 1


@pytest.mark.parametrize("later", [NOW, NOW + timedelta(days=40), LAST_MONTH])
@pytest.mark.parametrize(("version", "outcome"), [(4, WriteOutcome.SUPERSEDED), (5, WriteOutcome.REPEATED)])
def test_a_lower_version_is_superseded_and_an_equal_one_repeated_wherever_the_first_lies(
    subject: Subject, later: datetime, version: int, outcome: WriteOutcome
) -> None:
    kept = image("a", 5, attributes={"colour": "red"})
    subject.write(kept)
    assert subject.write(image("a", version, b"\xff\xff"), now=later) == [outcome]
    assert subject.write(deletion("a", version), now=later) == [outcome]
    assert subject.store.documents(["a"]) == {"a": kept}
    assert subject.near(b"\0\0") == [(0, "a")]


@pytest.mark.parametrize("later", [NOW, NOW + timedelta(days=40), LAST_MONTH])
def test_a_code_is_added_to_an_image_of_the_same_version_wherever_that_lies(subject: Subject, later: datetime) -> None:
    first = image("a", 5, codes={"theirs": b"\0\x0f"}, attributes={"colour": "red"}, thumbnail=b"old")
    subject.write(first)
    with_ours = replace(first, codes={"theirs": b"\0\x0f", ENCODER: b"\0\xff"}, thumbnail=b"new")
    assert subject.write(with_ours, now=later) == [WriteOutcome.WRITTEN]
    assert subject.store.documents(["a"]) == {"a": replace(with_ours, thumbnail=None)}
    assert subject.store.thumbnail("a") == b"new"
    assert subject.near(b"\0\0", terms=[["colour=red"]]) == [(8, "a")]
    assert subject.compared(b"\0\xff", subcodes=subcode_keys(b"\0\xff").tolist()) == 1
    assert subject.store.visible_count(ALL) == 1
    # It stays in its month, so it is kept no longer than it was.
    assert [(one.month, one.encoder_ids) for one in subject.store.copies(["a"])] == [
        ("2026.11", frozenset({"theirs", ENCODER}))
    ]
    # Done again, as after a lost reply, it changes nothing.
    assert subject.write(replace(with_ours, attributes={}), now=later) == [WriteOutcome.REPEATED]
    assert subject.store.documents(["a"]) == {"a": replace(with_ours, thumbnail=None)}


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(image("a", 5), id="it has the code"),
        pytest.param(image("a", 5, codes={"theirs": b"\0\0", ENCODER: b"\0\0"}), id="it has that code and another"),
        pytest.param(image("a", 5, codes={"theirs": b"\0\0"}), id="its own code would be lost"),
        pytest.param(deletion("a", 5), id="it is a delete"),
    ],
)
def test_an_equal_version_never_takes_the_place_of_what_has_the_code_or_would_lose_one(
    subject: Subject, held: Document
) -> None:
    subject.write(held)
    assert subject.write(image("a", 5, b"\xff\xff")) == [WriteOutcome.REPEATED]
    assert subject.store.documents(["a"]) == {"a": held}


def test_of_threads_that_add_the_same_code_one_document_is_left_with_all_codes(subject: Subject) -> None:
    names = [f"{number:02}" for number in range(20)]
    subject.write(*(image(name, 5, codes={"theirs": b"\0\0"}) for name in names))
    complete = [image(name, 5, codes={"theirs": b"\0\0", ENCODER: b"\0\xff"}) for name in names]
    with ThreadPoolExecutor(4) as threads:
        clocks = [NOW, LAST_MONTH, NOW, LAST_MONTH]
        outcomes = list(threads.map(lambda clock: subject.store.write(complete, clock), clocks))
    subject.refresh()
    assert {outcome for of_thread in outcomes for outcome in of_thread} <= {WriteOutcome.WRITTEN, WriteOutcome.REPEATED}
    assert subject.store.documents(names) == {one.image_id: one for one in complete}
    assert subject.near(b"\0\xff", count=30) == [(0, name) for name in names]
    assert len(subject.store.copies(names)) == len(names)


@pytest.mark.parametrize("later", [NOW, NOW + timedelta(days=40), LAST_MONTH])
def test_a_delete_hides_the_image_and_keeps_lower_versions_out(subject: Subject, later: datetime) -> None:
    subject.write(image("a", 5, thumbnail=b"old", attributes={"colour": "red"}))
    assert subject.write(deletion("a", 7), now=later) == [WriteOutcome.WRITTEN]
    assert subject.write(image("a", 6), now=NOW) == [WriteOutcome.SUPERSEDED]
    assert subject.store.documents(["a"]) == {"a": deletion("a", 7)}
    assert subject.near(b"\0\0") == []
    assert subject.newest() == []
    assert subject.newest("red") == []
    assert subject.store.thumbnail("a") is None
    assert subject.store.visible_count(ALL) == 0
    assert subject.write(image("a", 8), now=NOW) == [WriteOutcome.WRITTEN]
    assert subject.near(b"\0\0") == [(0, "a")]


def test_threads_that_write_the_same_image_leave_the_highest_version(subject: Subject) -> None:
    start = threading.Barrier(4)
    failures: list[BaseException] = []

    def write(versions: range) -> None:
        start.wait()
        try:
            for version in versions:
                clock = NOW if version % 2 else LAST_MONTH
                subject.store.write([image("a", version, version.to_bytes(2, "big"))], clock)
        except CatalogueError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=[range(first, 40, 4)]) for first in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    subject.refresh()
    assert failures == []
    assert subject.store.documents(["a"])["a"].version == 39
    assert subject.near((39).to_bytes(2, "big")) == [(0, "a")]
    assert subject.store.visible_count(ALL) == 1


# The window -----------------------------------------------------------------------------------------------------------


def test_the_windows_edge_is_exact_to_the_millisecond(subject: Subject) -> None:
    edge = to_milliseconds(window_start(NOW, 3))
    subject.write(*(image(name, event_time_ms=edge + off) for name, off in (("before", -1), ("at", 0), ("after", 1))))
    assert subject.near(b"\0\0", visible_after_ms=edge) == [(0, "after")]
    assert subject.newest(visible_after_ms=edge) == ["after"]
    assert subject.store.visible_count(Restriction(edge)) == 1
    assert set(subject.store.documents(["before", "at", "after"])) == {"before", "at", "after"}


def test_since_is_inclusive_and_until_exclusive(subject: Subject) -> None:
    subject.write(*(image(f"{off}", event_time_ms=NOW_MS + off) for off in range(5)))
    times: dict[str, Any] = {"since_ms": NOW_MS + 1, "until_ms": NOW_MS + 3}
    assert subject.near(b"\0\0", **times) == [(0, "1"), (0, "2")]
    assert subject.newest(**times) == ["2", "1"]
    assert subject.store.visible_count(replace(ALL, **times)) == 2


def test_whole_months_are_dropped_by_the_clock_they_were_written_at(subject: Subject) -> None:
    long_ago = datetime(2026, 7, 3, tzinfo=UTC)
    subject.write(image("old", thumbnail=b"x"), deletion("gone", 5), now=long_ago)
    subject.write(image("moved", 1), now=long_ago)
    subject.write(image("moved", 2), image("new"), now=datetime(2026, 8, 1, tzinfo=UTC))
    assert subject.store.drop_expired(datetime(2026, 11, 1, tzinfo=UTC), 3) == []
    assert subject.store.drop_expired(datetime(2026, 11, 20, tzinfo=UTC), 3) == ["2026.07"]
    assert subject.store.drop_expired(datetime(2026, 11, 20, tzinfo=UTC), 3) == []
    assert set(subject.store.documents(["old", "gone", "moved", "new"])) == {"moved", "new"}
    assert subject.newest() == ["moved", "new"]
    assert subject.store.thumbnail("old") is None
    # Nothing is retained of what was dropped: a lower version may come in again.
    assert subject.write(image("gone", 4)) == [WriteOutcome.WRITTEN]


# Nearest --------------------------------------------------------------------------------------------------------------


def test_planted_neighbours_are_found_up_to_the_radius_and_not_beyond(subject: Subject) -> None:
    subject.write(*(image(f"at-{bits}", code=differing(bits)) for bits in (0, 1, 6, 7, 8, 16)))
    assert subject.near(bytes(2), radius=7) == [(0, "at-0"), (1, "at-1"), (6, "at-6"), (7, "at-7")]
    assert subject.near(bytes(2), radius=0) == [(0, "at-0")]
    assert [distance for distance, _ in subject.near(bytes(2), radius=16)] == [0, 1, 6, 7, 8, 16]
    assert [distance for distance, _ in subject.near(bytes(2), radius=4096)] == [0, 1, 6, 7, 8, 16]
    assert subject.near(bytes(2), count=2, radius=7) == [(0, "at-0"), (1, "at-1")]


def test_ties_are_cut_by_image_id(subject: Subject) -> None:
    ids = [f"{number:03}" for number in np.random.default_rng(5).permutation(200)]
    subject.write(*(image(name, code=differing(1)) for name in ids[:100]))
    subject.write(*(image(name, code=differing(1)) for name in ids[100:]), now=LAST_MONTH)
    subject.write(image("zzz", code=differing(0)))
    for count in (1, 2, 11, 100, 201, 300):
        expected = [(0, "zzz"), *((1, f"{number:03}") for number in range(200))][:count]
        assert subject.near(bytes(2), count=count) == expected


def test_codes_of_another_encoder_are_never_compared(subject: Subject) -> None:
    subject.write(image("ours"), image("theirs", codes={"another": b"\0\0"}), image("none", codes={}))
    subject.write(image("both", codes={ENCODER: b"\xff\xff", "another": b"\0\0"}), now=LAST_MONTH)
    subject.write(image("older-theirs", codes={"another": b"\0\0"}), now=datetime(2026, 9, 1, tzinfo=UTC))
    assert subject.near(b"\0\0") == [(0, "ours"), (16, "both")]


def test_a_store_without_images_has_no_neighbours(subject: Subject) -> None:
    assert subject.near(b"\0\0") == []
    assert subject.newest() == []
    assert subject.store.visible_count(ALL) == 0
    subject.write(deletion("a", 1))
    assert subject.near(b"\0\0") == []


def test_a_code_of_another_length_is_refused(subject: Subject) -> None:
    subject.write(image("a"))
    with pytest.raises(CatalogueError, match=r"16|dimension"):
        subject.store.nearest(ENCODER, b"\0" * 4, 10, None, ALL)
    with pytest.raises(ConfigurationError, match=r"16|dims"):
        subject.store.write([image("b", code=b"\0" * 4)], NOW)


def test_filters_take_any_of_a_list_and_all_of_the_lists(subject: Subject) -> None:
    subject.write(
        image("mug", attributes={"category": "mug", "price": 9.5, "sizes": ["s", "m"]}),
        image("cup", attributes={"category": "cup", "price": 9.5, "new": True}),
        image("long", attributes={"category": "x" * 40_000}),
    )
    either = [attribute_term("category", "mug"), attribute_term("category", "cup")]
    assert subject.near(b"\0\0", terms=[either]) == [(0, "cup"), (0, "mug")]
    assert subject.near(b"\0\0", terms=[either, [attribute_term("new", True)]]) == [(0, "cup")]
    assert subject.newest(terms=[[attribute_term("sizes", "m")]]) == ["mug"]
    assert subject.newest(terms=[[attribute_term("price", 9.5)], [attribute_term("sizes", "l")]]) == []
    assert subject.newest(terms=[[attribute_term("category", "x" * 40_000)]]) == ["long"]
    assert subject.newest(terms=[[]]) == []
    assert subject.store.visible_count(Restriction(0, terms=[either])) == 2


def test_neighbours_are_counted_as_compared_whatever_the_radius_and_the_count_leave(subject: Subject) -> None:
    assert subject.compared() == 0
    subject.write(
        *(image(f"{bits:02}", code=differing(bits), event_time_ms=NOW_MS + bits) for bits in range(17)),
        image("theirs", codes={"another": b"\0\0"}),
        image("outside", event_time_ms=5),
        image("deleted"),
        deletion("gone", 1),
        Document("expired", Kind.EXPIRED, 1, True, NOW_MS),
    )
    subject.write(deletion("deleted", 2), image("16", 2, differing(16), attributes={"colour": "red"}), now=LAST_MONTH)
    inside: dict[str, Any] = {"visible_after_ms": 5}
    assert subject.compared(**inside) == 17
    assert subject.compared(count=3, **inside) == 17
    assert subject.compared(radius=4, **inside) == 17
    assert subject.compared(count=2, radius=0, **inside) == 17
    assert subject.compared() == 18
    assert subject.compared(since_ms=NOW_MS + 1, until_ms=NOW_MS + 4) == 3
    assert subject.compared(terms=[["colour=red", "colour=blue"]]) == 1
    assert subject.compared(terms=[[]]) == 0
    assert subject.compared(subcodes=subcode_keys(differing(3)).tolist(), **inside) == 1
    assert subject.compared(subcodes=subcode_keys(differing(0)).tolist()) == 2


@pytest.mark.parametrize("radius", [1, 7, 32])
def test_planted_neighbours_around_any_radius_are_found_among_random_codes(subject: Subject, radius: int) -> None:
    generator = np.random.default_rng(radius)
    code = generator.bytes(16)
    # Random codes of 128 bits lie 64 bits apart, give or take 30.
    subject.write(*(image(f"far-{number:03}", code=generator.bytes(16)) for number in range(100)))
    planted = sorted({0, 1, radius - 1, radius, radius + 1})
    subject.write(*(image(f"{bits}", code=flipped(code, bits, generator)) for bits in planted), now=LAST_MONTH)
    within = [(bits, f"{bits}") for bits in planted if bits <= radius]
    assert subject.near(code, count=50, radius=radius) == within
    assert subject.near(code, count=len(planted)) == [(bits, f"{bits}") for bits in planted]
    assert subject.near(code, count=50, radius=radius, since_ms=NOW_MS + 1) == []


def test_with_subcodes_exactly_the_images_that_have_one_of_them_are_found(subject: Subject) -> None:
    generator = np.random.default_rng(3)
    # Few values of each subcode, so that one key is many images' and many images have several keys.
    codes = generator.integers(0, 3, (300, 8), dtype=np.uint8)
    codes[:, ::2] = 0
    times, months = NOW_MS + generator.integers(0, 100, 300), [NOW, LAST_MONTH, datetime(2026, 9, 1, tzinfo=UTC)]
    documents = [
        image(f"{at:03}", code=codes[at].tobytes(), event_time_ms=int(times[at]), attributes={"odd": at % 2})
        for at in generator.permutation(300).tolist()
    ]
    for part, now in enumerate(months):
        subject.write(*documents[part::3], now=now)
    keys = [set(subcode_keys(code.tobytes()).tolist()) for code in codes]
    for query, radius, since, odd in itertools.product(range(0, 300, 100), (None, 3), (None, NOW_MS + 50), (None, 1)):
        code = codes[query].tobytes()
        asked = [int(key) for key in generator.choice(sorted(keys[query]), generator.integers(1, 4), replace=False)]
        passing = [
            at
            for at in range(300)
            if keys[at].intersection(asked) and (since is None or times[at] >= since) and (odd is None or at % 2 == odd)
        ]
        distances = hamming_distances(code, codes)
        expected = sorted((int(distances[at]), f"{at:03}") for at in passing if distances[at] <= (radius or 64))
        terms = [] if odd is None else [[attribute_term("odd", odd)]]
        restriction: dict[str, Any] = {"subcodes": [*asked, asked[0]], "since_ms": since, "terms": terms}
        assert subject.near(code, count=300, radius=radius, **restriction) == expected
        assert subject.near(code, count=7, radius=radius, **restriction) == expected[:7]
        assert subject.compared(code, **restriction) == len(passing)


def test_a_subcode_is_told_apart_by_its_place_and_by_its_encoder(subject: Subject) -> None:
    here, there = b"\0\1\0\2", b"\0\2\0\1"
    subject.write(image("here", code=here), image("there", code=there))
    subject.write(image("theirs", codes={ENCODER: b"\7\7\7\7", "another": here}), now=LAST_MONTH)
    first, second = subcode_keys(here).tolist()
    assert subject.near(here, subcodes=[first]) == [(0, "here")]
    assert subject.near(here, subcodes=[second]) == [(0, "here")]
    assert subject.near(here, subcodes=subcode_keys(there).tolist()) == [(4, "there")]
    assert subject.near(here, subcodes=[3, second + 2**16]) == []
    assert subject.near(here, subcodes=[]) == []
    assert subject.near(here, subcodes=list(range(2**16))) == [(0, "here"), (4, "there"), (10, "theirs")]


def test_subcodes_are_those_of_the_highest_version(subject: Subject) -> None:
    old, new = b"\0\1", b"\0\2"
    subject.write(image("updated", 1, old), image("moved", 1, old), image("deleted", 1, old), image("without", 1, old))
    subject.write(image("updated", 2, new), deletion("deleted", 2), image("without", 2, codes={}), image("updated", 1))
    subject.write(image("moved", 2, new), now=LAST_MONTH)
    assert subject.near(old, subcodes=subcode_keys(old).tolist()) == []
    assert subject.near(old, subcodes=subcode_keys(new).tolist()) == [(2, "moved"), (2, "updated")]


def test_an_approximate_search_is_refused_or_gives_a_part_of_the_truth_in_order(subject: Subject) -> None:
    codes = np.random.default_rng(6).integers(0, 256, (200, 4), dtype=np.uint8)
    subject.write(
        *(image(f"{at:03}", code=code.tobytes(), attributes={"odd": at % 2}) for at, code in enumerate(codes))
    )
    restriction = replace(ALL, terms=[[attribute_term("odd", 1)]])
    code = codes[0].tobytes()
    truth = subject.near(code, count=200, radius=16, terms=restriction.terms)
    try:
        answer = subject.store.approximately_nearest(ENCODER, code, 20, 16, restriction)
    except QueryInvalidError:
        assert subject.store.visible_count(ALL) == 200, "only the question is refused"
    else:
        found = [(one.distance, one.document.image_id) for one in answer.neighbours]
        assert found == sorted(found)
        assert 0 < len(found) <= 20
        assert set(found) <= set(truth)


@pytest.mark.parametrize("bits", [16, 64, 256])
def test_distances_and_order_equal_brute_force_on_random_documents(subject: Subject, bits: int) -> None:
    generator = np.random.default_rng(bits)
    codes = generator.integers(0, 256, (600, bits // 8), dtype=np.uint8)
    ids = [f"{number:x}" for number in generator.permutation(600)]
    months = [NOW, LAST_MONTH, datetime(2026, 9, 1, tzinfo=UTC)]
    times = NOW_MS + generator.integers(0, 1000, 600)
    for part, now in enumerate(months):
        chosen = range(part, 600, 3)
        subject.write(
            *(
                image(ids[at], code=codes[at].tobytes(), event_time_ms=int(times[at]), attributes={"odd": at % 2})
                for at in chosen
            ),
            now=now,
        )
    for query, count, odd in itertools.product(range(0, 600, 120), (1, 9, 50, 1000), (None, 1)):
        code, since = codes[query].tobytes(), NOW_MS + 100 * (query // 120)
        distances = hamming_distances(code, codes)
        asked = [at for at in range(600) if times[at] >= since and (odd is None or at % 2 == odd)]
        expected = sorted((int(distances[at]), ids[at]) for at in asked)[:count]
        terms = [] if odd is None else [[attribute_term("odd", odd)]]
        assert subject.near(code, count=count, since_ms=since, terms=terms) == expected


# Newest ---------------------------------------------------------------------------------------------------------------


def test_words_match_by_their_beginning_and_all_must(subject: Subject) -> None:
    subject.write(
        image("mug", event_time_ms=NOW_MS, attributes={"title": "Blue Mug", "seller": "s-9"}),
        image("cup", event_time_ms=NOW_MS + 1, attributes={"title": "BLUE cup", "tags": ["mug-like"]}),
        image("straße", event_time_ms=NOW_MS + 2, attributes={"title": "Straße_1 100%"}),
    )
    assert subject.newest("blue") == ["cup", "mug"]
    assert subject.newest("bl", "mu") == ["cup", "mug"]
    assert subject.newest("blue", "cup") == ["cup"]
    assert subject.newest("ue") == []
    assert subject.newest("strasse") == ["straße"]
    assert subject.newest("_") == []
    assert subject.newest("b", terms=[["seller=s-9"]]) == ["mug"]


def test_pages_of_images_neither_repeat_nor_miss(subject: Subject) -> None:
    ids = [f"{number:02}" for number in np.random.default_rng(2).permutation(50)]
    written = [image(name, event_time_ms=NOW_MS + int(name) // 7) for name in ids]
    subject.write(*written[:25])
    subject.write(*written[25:], now=LAST_MONTH)
    pages: list[Sequence[Document]] = []
    cursor = None
    while True:
        page = subject.store.newest((), ALL, cursor, 9)
        if not page:
            break
        pages.append(page)
        cursor = PageCursor(page[-1].event_time_ms, page[-1].image_id)
    assert [len(page) for page in pages] == [9, 9, 9, 9, 9, 5]
    seen = [(-one.event_time_ms, one.image_id) for page in pages for one in page]
    assert seen == sorted((-one.event_time_ms, one.image_id) for one in written)


# Walking the whole store ----------------------------------------------------------------------------------------------


def test_a_scan_gives_every_copy_by_image_id_over_several_pages(subject: Subject) -> None:
    # Shuffled, and with characters outside the plane of 16 bits, whose order differs between encodings.
    names = [f"{number:04}" for number in np.random.default_rng(4).permutation(4100)] + [
        "\uffee",
        "\U0001f5bc",
        "a b/%",
    ]
    subject.store.write([image(name) for name in names[::2]], LAST_MONTH)
    subject.store.write([image(name, 2**62 + 1, codes={}) for name in names[1::2]], NOW)
    subject.store.write([deletion("gone", 7)], NOW)
    ours, none = frozenset([ENCODER]), frozenset[str]()
    expected = [StoredCopy("2026.10", name, Kind.IMAGE, 1, NOW_MS, ours) for name in names[::2]]
    expected += [StoredCopy("2026.11", name, Kind.IMAGE, 2**62 + 1, NOW_MS, none) for name in names[1::2]]
    expected += [StoredCopy("2026.11", "gone", Kind.DELETED, 7, NOW_MS, none)]
    assert list(subject.store.scan()) == sorted(expected, key=lambda one: one.image_id)


def test_copies_are_given_in_real_time_and_as_a_scan_gives_them(subject: Subject) -> None:
    assert list(subject.store.scan()) == []
    subject.store.write([image("a"), deletion("b", 3)], NOW)
    found = subject.store.copies(["b", "unknown", "a"])
    assert sorted(found, key=lambda one: one.image_id) == list(subject.store.scan())
    assert {one.image_id for one in found} == {"a", "b"}


# State ----------------------------------------------------------------------------------------------------------------


def test_a_usable_store_passes_its_check_before_and_after_the_first_write(subject: Subject) -> None:
    subject.store.check()
    subject.write(image("a"))
    subject.store.check()


@pytest.mark.containers
def test_both_stores_give_the_same_hits_distances_and_order(sqlite: Subject, elasticsearch: Subject) -> None:
    generator = np.random.default_rng(11)
    # Few bits and few distinct ones: almost every query ties at the cut.
    codes = generator.integers(0, 256, (1500, 4), dtype=np.uint8) & 0x33
    documents = [image(f"{number:05x}", code=code.tobytes()) for number, code in enumerate(codes)]
    for subject in (sqlite, elasticsearch):
        subject.write(*documents[::2])
        subject.write(*documents[1::2], now=LAST_MONTH)
    for query in range(100):
        code, count = codes[query].tobytes(), int(generator.integers(1, 300))
        assert sqlite.near(code, count=count) == elasticsearch.near(code, count=count)
