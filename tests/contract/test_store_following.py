"""What a follower of any store holds: after each step that is caught up, exactly what a search would find."""

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.document import Attributes, Document, Kind, attribute_terms, unpack_shown
from shared.errors import CatalogueError
from shared.rolling_window import is_droppable, month_of
from shared.store import Change, ChangeFeed, Changes, Store
from shared.store.sqlite_changes import SqliteChangeFeed
from shared.store.sqlite_store import SqliteStore
from tests.fake_store import FakeStore
from tests.store_subject import ALL, ENCODER, LAST_MONTH, NOW, NOW_MS, Subject, deletion, image

SEPTEMBER = datetime(2026, 9, 1, tzinfo=UTC)
LONG_AGO = datetime(2026, 7, 3, tzinfo=UTC)
# "Some thousand" of the contract, and far more steps than any test here needs.
STEP_CHANGES_MAX = 10_000
STEPS_MAX = 10_000


@dataclass
class Follower:
    """Keeps of each image what the highest version left, as the contract tells a follower to."""

    feed: ChangeFeed
    held: dict[str, Change] = field(default_factory=dict)

    def step(self) -> Changes:
        """Take one step."""
        step = self.feed.read()
        assert len(step.changes) <= STEP_CHANGES_MAX
        if step.lost:
            self.held.clear()
        for change in step.changes:
            known = self.held.get(change.image_id)
            completed = known is not None and known.code is None and change.version == known.version
            if known is None or change.version > known.version or completed:
                self.held[change.image_id] = change._replace(terms=tuple(change.terms))
        return step

    def steps(self) -> Iterator[Changes]:
        """Steps up to the first that is caught up."""
        for _ in range(STEPS_MAX):
            step = self.step()
            yield step
            if step.caught_up:
                return
        raise AssertionError("the feed never caught up")

    def catch_up(self) -> "Follower":
        """Step until caught up."""
        for _ in self.steps():
            pass
        return self

    @property
    def codes(self) -> dict[str, bytes]:
        """The code of each image that is held, markers left out."""
        return {image_id: one.code for image_id, one in self.held.items() if one.code is not None}


def follow(store: Store, *, terms: bool = False, shown: bool = False) -> Follower:
    return Follower(store.follow(ENCODER, terms=terms, shown=shown))


def test_a_follower_of_an_empty_store_catches_up_and_follows_its_first_write(subject: Subject) -> None:
    follower = follow(subject.store).catch_up()
    assert follower.held == {}
    subject.write(image("a", 7, b"\x01\x02", event_time_ms=NOW_MS - 5, attributes={"colour": "red"}))
    assert list(follower.catch_up().held.values()) == [Change("a", 7, NOW_MS - 5, b"\x01\x02")]


def test_nothing_is_given_twice_while_nothing_is_written(subject: Subject) -> None:
    subject.write(image("a"), deletion("b", 1))
    subject.write(image("a", 2), now=LAST_MONTH)
    follower = follow(subject.store).catch_up()
    assert [len(step.changes) for step in follower.steps()][-1] == 0
    assert not any(step.lost for step in follower.steps())


def test_new_images_updates_deletes_and_expired_ones_are_followed(subject: Subject) -> None:
    subject.write(image("kept"), image("updated"), image("deleted"), image("expired"), image("moved"))
    follower = follow(subject.store).catch_up()
    assert set(follower.codes) == {"kept", "updated", "deleted", "expired", "moved"}
    subject.write(
        image("new", 1, b"\0\1"),
        image("updated", 2, b"\0\2"),
        deletion("deleted", 2),
        Document("expired", Kind.EXPIRED, 2, True, 5),
        deletion("never seen", 3),
    )
    subject.write(image("moved", 2, b"\0\3"), now=LAST_MONTH)
    follower.catch_up()
    assert follower.codes == {"kept": b"\0\0", "new": b"\0\1", "updated": b"\0\2", "moved": b"\0\3"}
    assert follower.held["deleted"] == Change("deleted", 2, NOW_MS, None)
    subject.write(image("deleted", 3, b"\0\4"), image("expired", 1))
    assert follower.catch_up().codes.keys() == {"kept", "new", "updated", "moved", "deleted"}
    assert set(follower.codes) == {image_id for _, image_id in subject.near(b"\0\0")}


def test_what_is_repeated_or_superseded_changes_nothing(subject: Subject) -> None:
    subject.write(image("a", 5, b"\0\5"), deletion("b", 5))
    follower = follow(subject.store).catch_up()
    for now in (NOW, LAST_MONTH):
        subject.write(image("a", 5, b"\1\1"), image("b", 4), now=now)
        subject.write(deletion("a", 4), image("b", 5), now=now)
        assert follower.catch_up().codes == {"a": b"\0\5"}


def test_all_that_was_acknowledged_before_is_there_once_caught_up(subject: Subject) -> None:
    """Also what no search has found yet."""
    follower = follow(subject.store)
    for version in range(1, 6):
        subject.store.write([image("a", version, bytes([0, version])), image(f"new-{version}")], NOW)
        subject.store.write([deletion(f"new-{version - 1}", 2)], NOW)
        assert follower.catch_up().codes == {"a": bytes([0, version]), f"new-{version}": b"\0\0"}


def test_thousands_of_documents_come_in_several_steps_while_more_are_written(subject: Subject) -> None:
    codes = {f"{number:05}": number.to_bytes(2, "big") for number in range(6000)}
    images = [image(image_id, 1, code) for image_id, code in codes.items()]
    for part, now in enumerate([NOW, LAST_MONTH, SEPTEMBER]):
        subject.store.write(images[part * 2000 : (part + 1) * 2000], now)
    subject.refresh()
    follower = follow(subject.store)
    assert not follower.step().caught_up
    # What was given already, and what was not; some of it to another month.
    changed = [f"{number:05}" for number in range(0, 6000, 50)]
    subject.write(*(image(image_id, 2, b"\xff\xff") for image_id in changed[::2]))
    subject.write(*(deletion(image_id, 2) for image_id in changed[1::2]))
    follower.catch_up()
    assert follower.codes.keys() >= codes.keys() - set(changed)
    expected = codes | dict.fromkeys(changed[::2], b"\xff\xff")
    for image_id in changed[1::2]:
        del expected[image_id]
    assert follower.catch_up().codes == expected
    assert follow(subject.store).catch_up().codes == expected


def test_an_image_that_moves_between_months_is_held_after_every_step(subject: Subject) -> None:
    subject.write(image("a", 1, b"\0\1"), now=LAST_MONTH)
    follower = follow(subject.store).catch_up()
    for version, now in enumerate([NOW, LAST_MONTH, SEPTEMBER, NOW, SEPTEMBER, LAST_MONTH], start=2):
        subject.write(image("a", version, bytes([0, version])), now=now)
        for _ in follower.steps():
            assert "a" in follower.codes
        assert follower.codes == {"a": bytes([0, version])}
        assert follow(subject.store).catch_up().codes == follower.codes


def test_an_image_is_held_after_every_step_while_another_thread_moves_it(subject: Subject) -> None:
    subject.write(image("a", 1, b"\0\1"), now=LAST_MONTH)
    follower = follow(subject.store).catch_up()
    failures: list[BaseException] = []

    def move() -> None:
        try:
            for version in range(2, 30):
                subject.store.write(
                    [image("a", version, bytes([0, version]))], (NOW, LAST_MONTH, SEPTEMBER)[version % 3]
                )
        except CatalogueError as error:
            failures.append(error)

    mover = threading.Thread(target=move)
    mover.start()
    while mover.is_alive():
        follower.step()
        assert "a" in follower.codes
    mover.join()
    assert failures == []
    # A step before the last move may have begun what this ends.
    assert follower.catch_up().catch_up().codes == {"a": b"\0\x1d"}


def test_terms_are_given_where_they_are_asked_for(subject: Subject) -> None:
    attributes: Attributes = {"colour": "red", "tags": ["b", "a"], "price": 9.5, "new": True, "long": "x" * 40_000}
    subject.write(image("a", attributes=attributes), image("plain"), deletion("gone", 1))
    subject.write(image("b", attributes={"colour": "blue"}), now=LAST_MONTH)
    with_terms, without = follow(subject.store, terms=True).catch_up(), follow(subject.store).catch_up()
    assert {image_id: sorted(one.terms) for image_id, one in with_terms.held.items()} == {
        "a": attribute_terms(attributes),
        "b": ["colour=blue"],
        "plain": [],
        "gone": [],
    }
    assert {tuple(one.terms) for one in without.held.values()} == {()}
    subject.write(image("a", 2, attributes={"colour": "green"}))
    assert list(with_terms.catch_up().held["a"].terms) == ["colour=green"]


def test_what_is_shown_is_given_where_it_is_asked_for(subject: Subject) -> None:
    attributes: Attributes = {"title": "blau \U0001f600", "tags": ["b", "a"], "price": 9.5, "long": "x" * 40_000}
    subject.write(image("a", attributes=attributes), replace(image("b"), item_id="item", image_url="https://b"))
    subject.write(deletion("gone", 1), image("theirs", codes={"another": b"\0\3"}))
    with_shown, without = follow(subject.store, shown=True).catch_up(), follow(subject.store).catch_up()
    packed = {image_id: one.shown for image_id, one in with_shown.held.items()}
    assert {image_id: unpack_shown(shown) for image_id, shown in packed.items() if shown is not None} == {
        "a": (image("a").item_id, None, attributes),
        "b": ("item", "https://b", {}),
    }
    assert {one.shown for one in without.held.values()} == {None}
    subject.write(image("a", 2, attributes={"title": "red"}))
    assert unpack_shown(with_shown.catch_up().held["a"].shown or b"")[2] == {"title": "red"}


def test_codes_of_another_encoder_are_not_given(subject: Subject) -> None:
    both = {ENCODER: b"\0\1", "another": b"\0\2"}
    theirs = {"another": b"\0\3"}
    follower = follow(subject.store)
    subject.write(image("theirs", codes=theirs))
    assert follower.catch_up().codes == {}
    subject.write(image("both", codes=both), image("ours"), image("none", codes={}))
    assert follower.catch_up().codes == {"both": b"\0\1", "ours": b"\0\0"}
    subject.write(image("both", 2, codes=theirs), image("ours", 2, codes={}), image("theirs", 2))
    assert follower.catch_up().codes == {"theirs": b"\0\0"}
    assert follow(subject.store).catch_up().codes == {"theirs": b"\0\0"}


def test_a_code_that_is_added_to_an_image_is_followed(subject: Subject) -> None:
    subject.write(image("a", 5, codes={"theirs": b"\0\0"}), now=LAST_MONTH)
    follower = Follower(subject.store.follow(ENCODER, terms=False)).catch_up()
    assert follower.held["a"].code is None
    subject.write(image("a", 5, codes={"theirs": b"\0\0", ENCODER: b"\0\x0f"}))
    assert follower.catch_up().held["a"] == Change("a", 5, NOW_MS, b"\0\x0f", ())


def test_every_feed_begins_with_all_that_is_there_and_disturbs_no_other(subject: Subject) -> None:
    subject.write(image("a"), image("b"))
    first = follow(subject.store).catch_up()
    subject.write(deletion("a", 2), image("c"))
    second = follow(subject.store).catch_up()
    assert set(second.codes) == {"b", "c"}
    assert set(first.codes) == {"a", "b"}
    assert first.catch_up().codes == second.codes


def test_a_version_that_comes_in_again_after_its_month_was_dropped_is_followed(subject: Subject) -> None:
    subject.write(image("old", event_time_ms=1), deletion("gone", 5), now=LONG_AGO)
    subject.write(image("kept", 3))
    follower = follow(subject.store).catch_up()
    assert subject.store.drop_expired(NOW, 3) == ["2026.07"]
    subject.write(image("gone", 4, b"\0\4"), image("new"))
    follower.catch_up()
    assert follower.codes == {"kept": b"\0\0", "gone": b"\0\4", "new": b"\0\0"}


# Any sequence of writes -----------------------------------------------------------------------------------------------

MONTHS = [LONG_AGO, SEPTEMBER, LAST_MONTH, NOW]


@dataclass
class Model:
    """The plain truth of what a store holds: by image id its document and its month."""

    documents: dict[str, tuple[Document, str]] = field(default_factory=dict)

    def write(self, documents: Sequence[Document], now: datetime) -> None:
        for document in documents:
            held, month = self.documents.get(document.image_id, (None, ""))
            if held is None or held.version < document.version:
                self.documents[document.image_id] = document, month_of(now)
            elif document.adds_codes_to(held):
                self.documents[document.image_id] = document, month

    def drop_expired(self) -> None:
        self.documents = {name: kept for name, kept in self.documents.items() if not is_droppable(kept[1], NOW, 3)}

    @property
    def codes(self) -> dict[str, bytes]:
        return {
            image_id: document.codes[ENCODER]
            for image_id, (document, _) in self.documents.items()
            if document.live and ENCODER in document.codes
        }


@st.composite
def documents_to_write(draw: st.DrawFn) -> Document:
    version = draw(st.integers(0, 6))
    document = image(draw(st.sampled_from("abcd")), version, bytes([draw(st.integers(0, 3)), version]))
    kind = draw(st.sampled_from([Kind.IMAGE, Kind.IMAGE, Kind.IMAGE, Kind.DELETED, Kind.EXPIRED]))
    if kind is not Kind.IMAGE or draw(st.integers(0, 4)) == 0:
        return replace(document, kind=kind, codes={})
    return document


batches = st.lists(documents_to_write(), min_size=1, max_size=4, unique_by=lambda document: document.image_id)
actions = st.lists(
    st.tuples(batches, st.sampled_from(MONTHS)) | st.sampled_from(["step", "catch up", "drop", "begin"]), max_size=20
)


@contextmanager
def in_sqlite() -> Iterator[tuple[Store, Callable[[], ChangeFeed]]]:
    with tempfile.TemporaryDirectory() as folder, closing(SqliteStore(Path(folder) / "catalogue.db")) as store:
        yield store, lambda: SqliteChangeFeed(store._database, ENCODER, terms=False, step_changes=3)


@contextmanager
def in_memory() -> Iterator[tuple[Store, Callable[[], ChangeFeed]]]:
    store = FakeStore(step_changes=3)
    yield store, lambda: store.follow(ENCODER, terms=False)


@pytest.mark.parametrize("opened", [in_memory, in_sqlite])
@settings(max_examples=100, derandomize=True)
@given(chosen=actions)
def test_after_any_writes_a_follower_that_caught_up_holds_what_is_visible(
    opened: Callable[[], AbstractContextManager[tuple[Store, Callable[[], ChangeFeed]]]],
    chosen: list[str | tuple[list[Document], datetime]],
) -> None:
    """With steps so small that most looks take several."""
    model = Model()
    with opened() as (store, feed):
        followers = [Follower(feed())]
        for action in [*chosen, "catch up"]:
            match action:
                case "step":
                    followers[-1].step()
                case "begin":
                    followers.append(Follower(feed()))
                case "drop":
                    store.drop_expired(NOW, 3)
                    model.drop_expired()
                case "catch up":
                    for follower in followers:
                        # What was begun before ends first.
                        assert follower.catch_up().catch_up().codes == model.codes
                    found = store.nearest(ENCODER, b"\0\0", 10, None, ALL).neighbours
                    assert {one.document.image_id for one in found} == model.codes.keys()
                case (documents, now):
                    store.write(documents, now)
                    model.write(documents, now)
