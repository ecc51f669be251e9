"""The resident index against brute force: whatever was written, whatever is asked."""

import errno
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from structlog.testing import capture_logs

from searcher.resident import block_scan, measure, shown_column
from searcher.resident.hamming_sum import HammingSum, HammingTerm
from searcher.resident.index import IndexFullError, ResidentHits, ResidentIndex
from searcher.resident.shown_file import ShownFile
from shared.document import attribute_term
from shared.errors import QueryInvalidError
from shared.hash_code import hamming_distances
from shared.store import Change, Restriction

MEBIBYTE = 1 << 20
ALL = Restriction(visible_after_ms=0)
EVERY_BITS = (16, 48, 64, 256, 1008, 4096)


@dataclass
class Model:
    """The plain definition of what an index holds and answers."""

    images: dict[str, Change] = field(default_factory=dict)

    def apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            known = self.images.get(change.image_id)
            if known is not None and change.version <= known.version:
                continue
            if change.code is not None:
                self.images[change.image_id] = change
            elif known is not None:
                del self.images[change.image_id]

    def expire(self, visible_after_ms: int) -> None:
        self.images = {key: image for key, image in self.images.items() if image.event_time_ms > visible_after_ms}

    def visible(self, restriction: Restriction) -> list[Change]:
        return [image for image in self.images.values() if is_visible(image, restriction)]

    def ordered(self, distance: HammingSum, restriction: Restriction) -> list[tuple[int, str, int, int]]:
        """(distance, image id, version, event time) of all visible images, in the order of hits."""
        images = self.visible(restriction)
        if not images:
            return []
        distances = distance.of(np.array([np.frombuffer(image.code or b"", np.uint8) for image in images]))
        rows = zip(distances.tolist(), images, strict=True)
        return sorted((at, image.image_id, image.version, image.event_time_ms) for at, image in rows)

    def nearest(
        self, distance: HammingSum, count: int, radius: int | None, restriction: Restriction
    ) -> list[tuple[int, str, int, int]]:
        ordered = self.ordered(distance, restriction)
        return [hit for hit in ordered if radius is None or hit[0] <= radius][:count]


def is_visible(image: Change, restriction: Restriction) -> bool:
    time = image.event_time_ms
    return (
        time > restriction.visible_after_ms
        and (restriction.since_ms is None or time >= restriction.since_ms)
        and (restriction.until_ms is None or time < restriction.until_ms)
        and all(set(any_of) & set(image.terms) for any_of in restriction.terms)
    )


def told(hits: ResidentHits) -> list[tuple[int, str, int, int]]:
    return list(
        zip(
            hits.distances.tolist(),
            hits.image_ids,
            hits.versions.tolist(),
            hits.event_times_ms.tolist(),
            strict=True,
        )
    )


def plain(code: bytes) -> HammingSum:
    return HammingSum.plain(code)


def changes_of(codes: NDArray[np.uint8], prefix: str = "image") -> list[Change]:
    return [Change(f"{prefix}-{row:06}", 1, 1000, code.tobytes()) for row, code in enumerate(codes)]


def random_codes(count: int, bits: int, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, bits // 8), np.uint8)


def flipped(code: NDArray[np.uint8], bits: int, seed: int = 1) -> NDArray[np.uint8]:
    """`code` with so many bits turned over."""
    unpacked = np.unpackbits(code)
    unpacked[np.random.default_rng(seed).permutation(len(unpacked))[:bits]] ^= 1
    return np.packbits(unpacked)


@pytest.fixture(autouse=True)
def compacted_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files are compacted, too."""
    monkeypatch.setattr(shown_column, "_GARBAGE_MIN", 1 << 10)


@pytest.fixture
def index() -> Iterator[ResidentIndex]:
    made = ResidentIndex(64, MEBIBYTE, ("shop", "tag"), threads=2)
    yield made
    made.close()


@contextmanager
def small_blocks() -> Iterator[None]:
    """Slices, samples and blocks of some hundred rows, so that few rows make many of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_scan, "_SLICE_BYTES_MIN", 1 << 11)
        patch.setattr(block_scan, "_SAMPLE", 1 << 5)
        patch.setattr(block_scan, "_SAMPLE_PER_HIT", 2)
        patch.setattr(block_scan, "_ROWS_REDUCED", 1 << 9)
        patch.setattr(measure, "_DISTANCES", 1 << 7)
        patch.setattr(measure, "_ROWS_WITHOUT_WRITING", 1 << 8)
        yield


# Whatever is written ----------------------------------------------------------------------------------------------

FIELDS = ("shop", "tag")
TERMS = [attribute_term(name, value) for name in ("shop", "tag") for value in ("a", "b", "c")]
IDS = ["", "a", "b", "ab", "é", "\U0001f600", "￿", "\ud800", "z" * 600, *(f"id-{place}" for place in range(12))]


def written(bits: int) -> st.SearchStrategy[list[Change]]:
    """Changes of few ids, versions, times and codes, so that they meet."""
    code = st.builds(
        lambda base, flips: flipped(np.full(bits // 8, base, np.uint8), flips, seed=flips).tobytes(),
        st.sampled_from([0, 255]),
        st.integers(0, 6),
    )
    change = st.builds(
        Change,
        st.sampled_from(IDS),
        st.integers(0, 5),
        st.integers(1, 9),
        st.none() | code,
        st.lists(st.sampled_from([*TERMS, "other=a", "shop"]), max_size=3).map(tuple),
        st.none() | st.binary(max_size=40),
    )
    return st.lists(change, max_size=40)


def restrictions() -> st.SearchStrategy[Restriction]:
    return st.builds(
        Restriction,
        st.integers(0, 9),
        st.lists(st.lists(st.sampled_from(TERMS), max_size=3).map(tuple), max_size=2).map(tuple),
        st.none() | st.integers(0, 10),
        st.none() | st.integers(0, 10),
    )


@settings(max_examples=80, deadline=None)
@given(data=st.data(), bits=st.sampled_from(EVERY_BITS), hashes=st.sampled_from([8, 2**64]))
def test_any_sequence_of_changes_is_answered_as_brute_force_answers(
    data: st.DataObject, bits: int, hashes: int
) -> None:
    index = ResidentIndex(
        bits,
        MEBIBYTE,
        FIELDS,
        shown_file=partial(ShownFile, MEBIBYTE),
        threads=2,
        hash_of=lambda text: hash(text) % hashes - hashes // 2,
    )
    model = Model()
    try:
        for changes in data.draw(st.lists(written(bits), max_size=3)):
            index.apply(changes)
            model.apply(changes)
            if data.draw(st.booleans()):
                edge = data.draw(st.integers(0, 4))
                index.expire(edge)
                model.expire(edge)
            if data.draw(st.integers(0, 9)) == 0:
                index.clear()
                model = Model()
            check(data, index, model, bits)
    finally:
        index.close()


def check(data: st.DataObject, index: ResidentIndex, model: Model, bits: int) -> None:
    restriction, count = data.draw(restrictions()), data.draw(st.integers(1, 30))
    radius = data.draw(st.none() | st.sampled_from([0, 1, 5, bits]))
    distance = data.draw(sums(bits))
    assert len(index) == len(model.images)
    hits = index.nearest(distance, count, radius, restriction)
    assert told(hits) == model.nearest(distance, count, radius, restriction)
    held = [model.images[image_id] for image_id in hits.image_ids]
    assert hits.shown() == [image.shown for image in held]
    assert [code.tobytes() for code in hits.codes] == [image.code for image in held]
    ordered = model.ordered(distance, restriction)
    for rank, (at, image_id, _, _) in enumerate(ordered[:3]):
        assert index.count_closer(distance, at, image_id, restriction) == rank
    for image_id in IDS[:6]:
        known, found = model.images.get(image_id), index.image(image_id)
        assert (None if known is None else (known.code, known.version, known.event_time_ms)) == (
            None if found is None else (found.code, found.version, found.event_time_ms)
        )
    code = bytes(bits // 8)
    distances = [at for at, *_ in model.ordered(plain(code), restriction)]
    assert index.histogram(plain(code), restriction).tolist() == np.bincount(distances, minlength=bits + 1).tolist()


def sums(bits: int) -> st.SearchStrategy[HammingSum]:
    code = st.binary(min_size=bits // 8, max_size=bits // 8)
    term = st.builds(HammingTerm, st.integers(-3, 3), code, st.none() | code)
    return code.map(HammingSum.plain) | st.lists(term, min_size=1, max_size=3).map(
        lambda terms: HammingSum(tuple(terms))
    )


# Many rows: the fast scan, and where it is not enough --------------------------------------------------------------


@pytest.mark.parametrize("bits", EVERY_BITS)
@pytest.mark.parametrize("count", [1, 10, 200, 3000])
def test_many_random_codes_are_answered_as_brute_force_answers(bits: int, count: int) -> None:
    codes = random_codes(3000, bits)
    index = ResidentIndex(bits, 16 * MEBIBYTE, threads=3)
    model = Model()
    for one in (index, model):
        one.apply(changes_of(codes))
    queries = np.concatenate([random_codes(3, bits, seed=2), codes[:2]])
    expected = [model.nearest(plain(query.tobytes()), count, None, ALL) for query in queries]
    with small_blocks():
        assert [told(index.nearest(plain(query.tobytes()), count, None, ALL)) for query in queries] == expected
    assert [told(hits) for hits in index.nearest_of_many(np.repeat(queries, 4, axis=0), count, None, ALL)] == [
        hits for hits in expected for _ in range(4)
    ]
    index.close()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 99),
    count=st.integers(1, 300),
    radius=st.none() | st.integers(0, 16),
    expired=st.sampled_from([0, 0.01, 0.5, 0.99, 1]),
    restriction=restrictions(),
)
def test_codes_full_of_ties_and_expired_images_are_answered_as_brute_force_answers(
    seed: int, count: int, radius: int | None, expired: float, restriction: Restriction
) -> None:
    random = np.random.default_rng(seed)
    codes = random_codes(2500, 16, seed) & random.integers(0, 256, 2, np.uint8)
    times = np.where(random.random(len(codes)) < expired, 2, 8)
    changes = [
        Change(f"{random.integers(10**9)}", 1, int(time), code.tobytes(), (TERMS[int(place) % 7 % 6],))
        for place, (code, time) in enumerate(zip(codes, times, strict=True))
    ]
    index = ResidentIndex(16, MEBIBYTE, FIELDS, threads=2)
    model = Model()
    for one in (index, model):
        one.apply(changes)
    queries = codes[:3]
    far = HammingSum([HammingTerm(3, codes[0].tobytes(), b"\xf0\xff"), HammingTerm(-2, codes[1].tobytes())])
    with small_blocks():
        for asked in (Restriction(visible_after_ms=4), restriction):
            expected = [model.nearest(plain(query.tobytes()), count, radius, asked) for query in queries]
            assert [told(index.nearest(plain(query.tobytes()), count, radius, asked)) for query in queries] == expected
            assert [told(hits) for hits in index.nearest_of_many(queries, count, radius, asked)] == expected
            assert told(index.nearest(far, count, radius, asked)) == model.nearest(far, count, radius, asked)
            found = [at for at, *_ in model.ordered(plain(bytes(2)), asked)]
            assert index.histogram(plain(bytes(2)), asked).tolist() == np.bincount(found, minlength=17).tolist()
    index.close()


@pytest.mark.parametrize("bits", EVERY_BITS)
def test_planted_neighbours_are_found_up_to_the_radius(bits: int) -> None:
    seed, radius = random_codes(1, bits, seed=3)[0], 4
    planted = [flipped(seed, distance) for distance in (0, 1, radius - 1, radius, radius + 1)]
    index = ResidentIndex(bits, 16 * MEBIBYTE, threads=2)
    far = np.array([flipped(seed, bits // 2 + row % 5, row) for row in range(2000)])
    index.apply(changes_of(np.concatenate([far, planted])))
    hits = index.nearest(plain(seed.tobytes()), 100, radius, ALL)
    assert hits.distances.tolist() == [0, 1, radius - 1, radius]
    assert hits.image_ids == [f"image-{row:06}" for row in range(2000, 2004)]
    assert hits.compared == 2005
    index.close()


@pytest.mark.parametrize("count", [19, 20, 21])
def test_as_many_hits_as_images_and_one_more_or_less_can_be_asked_for(index: ResidentIndex, count: int) -> None:
    model = Model()
    for one in (index, model):
        one.apply(changes_of(np.array([flipped(np.zeros(8, np.uint8), ones) for ones in range(20)])))
    assert told(index.nearest(plain(bytes(8)), count, None, ALL)) == model.nearest(plain(bytes(8)), count, None, ALL)


def test_equal_distances_are_ordered_and_cut_by_the_code_points_of_ids(index: ResidentIndex) -> None:
    ids = ["b", "￿", "\U0001f600", "a", "é", "B"]
    index.apply([Change(image_id, 1, 1000, bytes(8)) for image_id in ids])
    assert index.nearest(plain(bytes(8)), 5, None, ALL).image_ids == sorted(ids)[:5]


def test_learned_bit_weights_are_one_term_for_each_binary_digit() -> None:
    weights = np.random.default_rng(4).integers(0, 8, 64)
    digits = [np.packbits(weights >> digit & 1).tobytes() for digit in range(3)]
    codes, seed = random_codes(50, 64), random_codes(1, 64, seed=5)[0]
    learned = HammingSum([HammingTerm(1 << digit, seed.tobytes(), mask) for digit, mask in enumerate(digits)])
    differing = np.unpackbits(codes ^ seed, axis=1).astype(np.int64)
    assert learned.of(codes).tolist() == (differing @ weights).tolist()
    assert not learned.is_plain


def test_a_plain_sum_is_the_hamming_distance() -> None:
    codes = random_codes(50, 256)
    assert plain(codes[0].tobytes()).of(codes).tolist() == hamming_distances(codes[0].tobytes(), codes).tolist()
    assert plain(codes[0].tobytes()).is_plain


def test_weights_of_any_size_are_summed(index: ResidentIndex) -> None:
    model = Model()
    for one in (index, model):
        one.apply(changes_of(random_codes(300, 64)))
    huge = HammingSum([HammingTerm(10**12, bytes(8)), HammingTerm(-(10**6), b"\xff" * 8, bytes(7) + b"\xff")])
    with small_blocks():
        assert told(index.nearest(huge, 20, None, ALL)) == model.nearest(huge, 20, None, ALL)


def test_an_answer_given_while_changes_come_in_is_of_one_moment_for_each_image() -> None:
    # The code of version v has v ones, so that a distance tells the version of the code that was compared.
    codes = [np.packbits(np.arange(64) < version).tobytes() for version in range(64)]
    ids = [f"image-{place}" for place in range(500)]
    index = ResidentIndex(64, MEBIBYTE, shown_file=partial(ShownFile, 32 * MEBIBYTE), threads=2)

    def of(image_id: str, version: int) -> Change:
        return Change(image_id, version, 1000, codes[version], shown=f"{image_id} at {version}".encode())

    index.apply([of(image_id, 0) for image_id in ids])

    def write() -> None:
        for version in range(1, 64):
            index.apply([of(image_id, version) for image_id in ids[version * 7 :]])
            index.apply([Change(image_id, version, 1000, None) for image_id in ids[:: version + 1]])

    writer = Thread(target=write)
    writer.start()
    answers = [index.nearest(plain(bytes(8)), 1000, None, ALL)]
    while writer.is_alive():
        answers.append(index.nearest(plain(bytes(8)), 1000, None, ALL))
    writer.join()
    for hits in answers:
        assert hits.distances.tolist() == hits.versions.tolist()
        assert hits.shown() == [
            f"{name} at {version}".encode() for name, version in zip(hits.image_ids, hits.versions, strict=True)
        ]
        assert len(set(hits.image_ids)) == len(hits.image_ids)
    index.close()


# What is shown --------------------------------------------------------------------------------------------------------


def shown_changes(version: int, count: int = 100) -> list[Change]:
    """Of some hundred bytes each."""
    piece = f"version {version}".encode() * 30
    return [Change(f"{number:03}", version, 1000, bytes(8), shown=piece + bytes([number])) for number in range(count)]


def shown_of(index: ResidentIndex) -> list[bytes | None]:
    return index.nearest(plain(bytes(8)), 1000, None, ALL).shown()


@pytest.fixture
def files() -> list[ShownFile]:
    """Those that were opened, by the next fixture."""
    return []


@pytest.fixture
def showing(files: list[ShownFile]) -> Iterator[ResidentIndex]:
    """An index with room for the pieces of three versions."""

    def opened() -> ShownFile:
        files.append(ShownFile(100_000))
        return files[-1]

    made = ResidentIndex(64, MEBIBYTE, shown_file=opened, threads=1)
    yield made
    made.close()


def test_more_garbage_than_pieces_is_left_behind_in_an_old_file(showing: ResidentIndex, files: list[ShownFile]) -> None:
    for version in range(1, 30):
        before = showing.nearest(plain(bytes(8)), 1000, None, ALL)
        showing.apply(shown_changes(version))
        assert shown_of(showing) == [change.shown for change in shown_changes(version)]
        # Who found the one before reads it still.
        assert before.shown() == [change.shown for change in shown_changes(version - 1)][: len(before.image_ids)]
    assert len(files) > 5
    showing.apply([change._replace(code=None) for change in shown_changes(30)[:99]])
    assert files[-1].nbytes < 1000
    showing.expire(1000)
    showing.apply(shown_changes(31))
    assert shown_of(showing) == [change.shown for change in shown_changes(31)]


def test_what_the_disk_has_no_room_for_is_left_out_and_said_once(
    showing: ResidentIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    showing.apply(shown_changes(1))
    write, full = os.pwrite, False

    def write_until_full(descriptor: int, content: memoryview, at: int) -> int:
        if full and len(content) < 1000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content[: len(content) // 2] if full else content, at)

    monkeypatch.setattr(os, "pwrite", write_until_full)
    full = True
    with capture_logs() as logs:
        for version in range(2, 9):
            showing.apply(shown_changes(version, 60))
    assert shown_of(showing) == [None] * 60 + [change.shown for change in shown_changes(1)[60:]]
    assert [log["log_level"] for log in logs] == ["warning"]
    assert "No space left" in str(logs[0]["why"])
    full = False
    showing.apply(shown_changes(9))
    assert shown_of(showing) == [change.shown for change in shown_changes(9)]


def test_without_a_file_nothing_is_shown() -> None:
    def refuse() -> ShownFile:
        raise OSError("read-only file system")

    index = ResidentIndex(64, MEBIBYTE, shown_file=refuse, threads=1)
    with capture_logs():
        index.clear()
    index.apply(shown_changes(1, 3))
    assert shown_of(index) == [None] * 3
    index.close()


# Bounds and edges ---------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused_with_the_setting_to_raise() -> None:
    index = ResidentIndex(64, 8192, threads=1)
    changes = changes_of(random_codes(500, 64))
    with pytest.raises(IndexFullError, match="CATALOGUE_RESIDENT_BYTES_MAX"):
        index.apply(changes)
    assert len(index) == 0
    index.apply(changes[:50])
    assert index.nbytes <= 8192
    assert len(index) == 50
    index.close()


def test_a_full_index_takes_other_images_in_once_some_have_gone() -> None:
    index = ResidentIndex(64, 16384, threads=1)
    for day in range(1, 50):
        index.apply([change._replace(event_time_ms=day) for change in changes_of(random_codes(40, 64), f"day-{day}")])
        assert index.expire(day - 1) == (40 if day > 1 else 0)
        assert index.nearest(plain(bytes(8)), 100, None, Restriction(day - 1)).image_ids[0].startswith(f"day-{day}-")
    assert len(index) == 40
    index.close()


def test_ten_thousand_images_come_and_go(index: ResidentIndex) -> None:
    codes = random_codes(6000, 64)
    index.apply(changes_of(codes))
    index.apply([change._replace(version=2, code=None) for change in changes_of(codes)[::3]])
    model = Model()
    model.apply([change for place, change in enumerate(changes_of(codes)) if place % 3])
    query = plain(codes[7].tobytes())
    assert told(index.nearest(query, 5000, None, ALL)) == model.nearest(query, 5000, None, ALL)
    index.clear()
    assert (len(index), index.nearest(query, 10, None, ALL).image_ids) == (0, [])
    index.apply(changes_of(codes[:10]))
    assert len(index) == 10


def test_an_image_costs_less_than_64_bytes_beyond_its_code() -> None:
    index = ResidentIndex(256, 64 * MEBIBYTE, ("shop",), shown_file=partial(ShownFile, MEBIBYTE), threads=1)
    changes = changes_of(random_codes(50_000, 256), prefix="sixteen-b")
    assert len(changes[0].image_id) == 16
    index.apply([change._replace(terms=(f"shop={place % 100}",)) for place, change in enumerate(changes)])
    assert index.nbytes / len(index) - 32 <= 64
    index.close()


def test_filters_of_declared_fields_alone_can_be_answered(index: ResidentIndex) -> None:
    long = attribute_term("shop", "x" * 1000)
    assert index.can_filter(Restriction(0, [["shop=a", "tag=b"], [long]]))
    assert not index.can_filter(Restriction(0, [["shop=a", "colour=b"]]))
    assert not index.can_filter(Restriction(0, subcodes=[1]))
    with pytest.raises(QueryInvalidError, match="does not keep"):
        index.nearest(plain(bytes(8)), 1, None, Restriction(0, [["colour=b"]]))


def test_a_long_term_is_found_by_its_cut_form(index: ResidentIndex) -> None:
    terms = [attribute_term("tag", "x" * 300 + end) for end in "ab"]
    index.apply([Change(term[-1], 1, 1000, bytes(8), [term]) for term in terms])
    assert index.nearest(plain(bytes(8)), 9, None, Restriction(0, [[terms[1]]])).image_ids == [terms[1][-1]]


@pytest.mark.parametrize("bits", [64, 1008])
def test_distances_to_the_nearest_of_several_codes_are_those_of_brute_force(bits: int) -> None:
    random = np.random.default_rng(3)
    codes = random.integers(0, 256, (700, bits // 8), np.uint8)
    anchors = random.integers(0, 256, (40, bits // 8), np.uint8)
    index = ResidentIndex(bits, MEBIBYTE, threads=2)
    index.apply([Change(f"image-{n}", 1, n, code.tobytes()) for n, code in enumerate(codes)])
    given: list[NDArray[np.signedinteger]] = []

    def choose(distances: NDArray[np.signedinteger]) -> NDArray[np.intp]:
        given.append(distances)
        return np.argsort(distances, kind="stable")[:5]

    drawn = index.draw(anchors, Restriction(visible_after_ms=99), {"image-600", "nowhere"}, choose)
    index.close()
    nearest = np.min([hamming_distances(anchor, codes) for anchor in anchors], axis=0)
    there = [n for n in range(100, 700) if n != 600]
    assert sorted(given[0].tolist()) == sorted(nearest[there].tolist())
    assert [nearest[int(image_id.partition("-")[2])] for image_id in drawn] == sorted(nearest[there].tolist())[:5]


def test_a_sample_is_of_one_moment_while_searches_and_changes_go_on(index: ResidentIndex) -> None:
    index.apply([Change(name, 1, 1000, bytes(8)) for name in "abc"])

    def choose(distances: NDArray[np.signedinteger]) -> NDArray[np.intp]:
        with ThreadPoolExecutor(1) as others:
            others.submit(index.apply, [Change("a", 2, 1000, None), Change("d", 1, 1000, bytes(8))]).result(10)
            assert others.submit(index.nearest, plain(bytes(8)), 9, None, ALL).result(10).image_ids == ["b", "c", "d"]
        return np.arange(len(distances))

    assert index.draw(np.zeros((1, 8), np.uint8), ALL, {"b"}, choose) == ["a", "c"]


def test_images_are_given_by_name_where_they_are_visible(index: ResidentIndex) -> None:
    index.apply([Change(name, 1, 10 * n, bytes([n] * (index.bits // 8))) for n, name in enumerate("abcd")])
    named = index.named(["d", "nowhere", "b", "a"], Restriction(visible_after_ms=5))
    assert (named.image_ids, named.event_times_ms.tolist()) == (["b", "d"], [10, 30])
    assert index.named([], ALL).image_ids == []


def test_a_histogram_is_of_one_code(index: ResidentIndex) -> None:
    with pytest.raises(QueryInvalidError):
        index.histogram(HammingSum([HammingTerm(2, bytes(8))]), ALL)


# Pairs ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "radius"), [(16, 0), (16, 3), (64, 12), (256, 90), (4096, 2000)])
def test_pairs_are_those_of_brute_force(bits: int, radius: int) -> None:
    codes = random_codes(600, bits)
    codes[300:] = [flipped(code, place % 8, place) for place, code in enumerate(codes[:300])]
    index = ResidentIndex(bits, MEBIBYTE, threads=1)
    changes = [change._replace(event_time_ms=5 + place % 10 // 9) for place, change in enumerate(changes_of(codes))]
    index.apply(changes)
    told_progress: list[tuple[int, int]] = []
    found = sorted(index.pairs(radius, 4, lambda done, total: told_progress.append((done, total))))
    distances = np.array([hamming_distances(code.tobytes(), codes) for code in codes])
    lefts, rights = np.nonzero(np.triu(distances <= radius, 1))
    assert found == sorted(
        (int(distances[left, right]), changes[left].image_id, changes[right].image_id)
        for left, right in zip(lefts, rights, strict=True)
    )
    assert told_progress[-1] == (600, 600)
    visible = {image for _, *pair in index.pairs(radius, 5) for image in pair}
    assert visible <= {change.image_id for change in changes if change.event_time_ms > 5}
    index.close()


def test_pairs_are_those_of_the_moment_of_the_first_step(index: ResidentIndex) -> None:
    index.apply([Change(name, 1, 1000, bytes(8)) for name in "abc"])
    pairs = index.pairs(0, 0)
    first = next(pairs)
    index.clear()
    index.apply([Change("d", 1, 1000, bytes(8))])
    assert sorted([first, *pairs]) == [(0, "a", "b"), (0, "a", "c"), (0, "b", "c")]
