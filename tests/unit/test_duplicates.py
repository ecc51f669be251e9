"""Groups of duplicates: what hangs together, what is kept apart, and what is held back."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from searcher.duplicates import finding
from searcher.duplicates.finding import find_groups
from searcher.duplicates.records import By, Found, FoundGroup, Question, Same
from searcher.duplicates.window_codes import WindowCodes, read_codes
from shared.document import Document, Kind
from shared.encoding.copy_code import mirrored
from shared.errors import ConfigurationError, QueryInvalidError
from tests.fake_store import FakeStore
from tests.store_subject import NOW

BASE = np.random.default_rng(0).integers(0, 256, (8, 32), np.uint8)
ARTICLE = Question(Same.ARTICLE, 10)


def near(code: int, bits: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """A code so many bits from the base of this number, the first ones."""
    mask = np.zeros(256, np.uint8)
    mask[:bits] = 1
    return np.asarray(BASE[code] ^ np.packbits(mask))


def image(image_id: str, **facts: str) -> Document:
    item_id = facts.pop("item_id", image_id)
    return Document(image_id, Kind.IMAGE, 1, True, 1000, item_id=item_id, attributes=facts)


def found(
    codes: Mapping[str, np.ndarray[tuple[int], np.dtype[np.uint8]]],
    question: Question = ARTICLE,
    documents: Sequence[Document] = (),
) -> Found:
    known = {image_id: image(image_id) for image_id in codes} | {one.image_id: one for one in documents}
    window = WindowCodes(np.stack(list(codes.values())), list(codes), 32)
    return find_groups(window, question, lambda ids: {one: known[one] for one in ids}, lambda *_: None)


def ids(groups: Sequence[FoundGroup]) -> list[set[str]]:
    return [{member.image_id for member in group.members} for group in groups]


def test_images_that_are_near_each_other_are_a_group_with_the_middle_one_first() -> None:
    answer = found(
        {"a": near(0, 0), "b": near(0, 6), "c": near(0, 3), "d": near(1, 0), "e": near(1, 10), "f": near(2, 0)}
    )
    assert ids(answer.groups) == [{"a", "b", "c"}, {"d", "e"}]
    first = answer.groups[0]
    assert [(member.image_id, member.distance) for member in first.members] == [("c", 0), ("a", 3), ("b", 3)]
    assert first.diameter == 6
    assert (answer.images, answer.pairs, answer.held_back) == (6, 4, [])


def test_a_chain_is_one_group_whose_diameter_tells_that_its_ends_are_not_near() -> None:
    (group,) = found({"a": near(0, 0), "b": near(0, 9), "c": near(0, 18), "d": near(0, 27)}).groups
    assert len(group.members) == 4
    assert group.diameter == 27 > ARTICLE.radius


def test_a_mirrored_photo_is_the_same_photo_and_not_the_same_article() -> None:
    codes = {"a": near(0, 0), "b": mirrored(near(0, 4)), "c": near(0, 2)}
    (group,) = found(codes, Question(Same.PHOTO, 10)).groups
    assert len(group.members) == 3
    assert group.diameter == 4
    assert ids(found(codes).groups) == [{"a", "c"}]


def test_pairs_are_equal_in_what_must_match_and_differ_in_what_must_differ() -> None:
    codes = {"a": near(0, 0), "b": near(0, 0), "c": near(0, 3), "d": near(0, 5)}
    documents = [
        image("a", colour="blue", seller="x"),
        image("b", colour="blue", seller="x"),
        image("c", colour="blue", seller="y"),
        image("d", colour="red"),
    ]
    matching = Question(Same.ARTICLE, 10, match=["colour"])
    assert ids(found(codes, matching, documents).groups) == [{"a", "b", "c"}]
    same_seller = Question(Same.ARTICLE, 10, match=["seller"])
    assert ids(found(codes, same_seller, documents).groups) == [{"a", "b"}]
    differing = Question(Same.ARTICLE, 10, differ=["seller"])
    assert ids(found(codes, differing, documents).groups) == [{"a", "b", "c"}]
    assert found({one: codes[one] for one in "ab"}, differing, documents).groups == []


def test_items_hang_together_by_pictures_of_different_items_alone() -> None:
    codes = {"a1": near(0, 0), "a2": near(0, 0), "b1": near(1, 0), "b2": near(2, 0), "c1": near(1, 4), "d1": near(2, 4)}
    documents = [image(name, item_id=name[0]) for name in codes]
    by_item = Question(Same.ARTICLE, 10, by=By.ITEM)
    assert ids(found(codes, by_item, documents).groups) == [{"b1", "b2", "c1", "d1"}]
    assert len(found(codes, documents=documents).groups) == 3


def test_an_image_that_is_near_very_many_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "NEIGHBOURS_MAX", 3)
    codes = {f"white {n}": near(0, 0) for n in range(5)} | {"a": near(0, 8), "b": near(1, 0), "c": near(1, 2)}
    answer = found(codes)
    assert answer.held_back == ["a", *(f"white {n}" for n in range(5))]
    assert ids(answer.groups) == [{"b", "c"}]
    assert answer.pairs == 1


def test_too_many_pairs_are_a_radius_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "PAIRS_MAX", 2)
    with pytest.raises(QueryInvalidError, match="smaller"):
        found({str(n): near(0, n) for n in range(4)})


def test_an_image_that_is_gone_meanwhile_is_in_no_group() -> None:
    codes = np.stack([near(0, 0), near(0, 1), near(0, 2)])
    known = {"a": image("a"), "b": image("b")}
    answer = find_groups(
        WindowCodes(codes, ["a", "b", "gone"], 32),
        ARTICLE,
        lambda image_ids: {one: known[one] for one in image_ids if one in known},
        lambda *_: None,
    )
    assert ids(answer.groups) == [{"a", "b"}]


def test_the_windows_codes_are_read_of_one_encoder_and_of_visible_images() -> None:
    store = FakeStore()
    codes = {"photo": bytes(32), "article": b"\x01" * 8}
    new = Document("new", Kind.IMAGE, 1, True, 2000, codes=codes)
    old = Document("old", Kind.IMAGE, 1, True, 1000, codes=codes)
    plain = Document("plain", Kind.IMAGE, 1, True, 2000, codes={"article": b"\x02" * 8})
    store.write([new, old, plain], NOW)
    read: list[int] = []
    photos = read_codes(store, "photo", 256, 1000, bytes_max=2**20, advance=read.append)
    assert (photos.image_ids, photos.codes.tolist(), photos.code_bytes) == (["new"], [[0] * 32], 32)
    assert sum(read) == 2
    articles = read_codes(store, "article", 64, 0, bytes_max=2**20, advance=read.append)
    assert sorted(articles.image_ids) == ["new", "old", "plain"]
    assert read_codes(store, "other", 64, 0, bytes_max=2**20, advance=read.append).image_ids == []
    with pytest.raises(ConfigurationError):
        read_codes(store, "photo", 256, 0, bytes_max=1, advance=read.append)
