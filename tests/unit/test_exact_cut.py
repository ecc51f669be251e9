"""The cut by (distance, id) over shards that each keep only their nearest, any of those that tie."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.document import Document, Kind
from shared.store import NEIGHBOURS_MAX, Neighbour, exact_cut
from shared.store.exact_cut import Answer, Question


def neighbour(distance: int, image_id: str, version: int = 1) -> Neighbour:
    return Neighbour(distance, Document(image_id, Kind.IMAGE, version, True, 0))


def ranking(neighbours: Sequence[Neighbour]) -> list[tuple[int, str]]:
    return [(one.distance, one.document.image_id) for one in neighbours]


@dataclass
class Shards:
    """Shards that keep their `question.shard_size` nearest, ties in an order of their own; with `cutting` off they
    give all that match, as some versions of the server do."""

    shards: Sequence[Sequence[Neighbour]]
    cutting: bool = True
    asked: int = 0
    failure: str | None = None

    def __call__(self, question: Question) -> Answer:
        self.asked += 1
        matched = [one for shard in self.shards for one in self._of_shard(shard, question)]
        sign = -1 if question.farthest_first else 1
        matched.sort(key=lambda one: (sign * one.distance, one.document.image_id))
        return Answer(matched[: question.size], len(matched), len(self.shards), self.failure)

    def _of_shard(self, shard: Sequence[Neighbour], question: Question) -> list[Neighbour]:
        found = [
            one
            for one in shard
            if (question.radius is None or one.distance <= question.radius)
            and (question.id_at_most is None or one.document.image_id <= question.id_at_most)
        ]
        return sorted(found, key=lambda one: one.distance)[: question.shard_size] if self.cutting else found


@st.composite
def sharded(draw: st.DrawFn) -> Shards:
    """Images at few distances, in any order, on one to four shards."""
    distances = draw(st.lists(st.integers(0, 4), max_size=150))
    images = draw(st.permutations([neighbour(distance, f"{number:03}") for number, distance in enumerate(distances)]))
    parts = draw(st.integers(1, 4))
    return Shards([images[part::parts] for part in range(parts)], cutting=draw(st.booleans()))


@settings(deadline=None)
@given(shards=sharded(), count=st.integers(1, 60), radius=st.none() | st.integers(0, 4))
def test_the_answer_is_the_sorted_truth_whatever_the_shards_keep(
    shards: Shards, count: int, radius: int | None
) -> None:
    images = [one for shard in shards.shards for one in shard]
    found = exact_cut.nearest(shards, count, radius)
    truth = sorted(ranking([one for one in images if radius is None or one.distance <= radius]))[:count]
    assert (ranking(found.neighbours), found.complete) == (truth, True)


@pytest.mark.parametrize("order", [list, lambda ids: ids[::-1], lambda ids: random.Random(3).sample(ids, len(ids))])
@pytest.mark.parametrize("count", [1, 20, 1000])
def test_more_ties_than_a_shard_can_give_are_cut_by_id_all_the_same(
    order: Callable[[list[str]], list[str]], count: int
) -> None:
    closer = [neighbour(0, f"closer-{number:04}") for number in range(count // 2)]
    ties = [neighbour(1, image_id) for image_id in order([f"{number:05}" for number in range(3 * NEIGHBOURS_MAX)])]
    found = exact_cut.nearest(Shards([closer + ties, ties[:0]]), count, None)
    assert found.complete
    assert ranking(found.neighbours) == [*ranking(closer), *((1, f"{number:05}") for number in range(count))][:count]


def test_where_the_limit_of_the_server_leaves_doubt_the_answer_says_so() -> None:
    ties = [neighbour(1, f"{number:05}") for number in range(3 * NEIGHBOURS_MAX)]
    found = exact_cut.nearest(Shards([ties]), NEIGHBOURS_MAX, None)
    assert not found.complete
    assert found.reason == "more than 10000 images lie at the same distance"


def test_one_question_is_enough_where_the_server_leaves_nothing_out() -> None:
    shards = Shards([[neighbour(1, f"{number:03}") for number in range(500)]], cutting=False)
    assert len(exact_cut.nearest(shards, 100, None).neighbours) == 100
    assert shards.asked == 1


def test_an_image_met_twice_counts_once_with_its_highest_version_and_the_answer_is_refilled() -> None:
    older = [neighbour(1, f"{number:02}", version=1) for number in range(40)]
    newer = [neighbour(2, f"{number:02}", version=2) for number in range(40)]
    found = exact_cut.nearest(Shards([older, [*newer, neighbour(3, "other")]]), 41, None)
    assert ranking(found.neighbours) == [*((2, f"{number:02}") for number in range(40)), (3, "other")]
    assert found.complete


def test_an_index_that_changes_between_two_questions_is_asked_again() -> None:
    images = [neighbour(1, f"{number:03}") for number in range(100)]
    shards = Shards([images, []])

    def ask(question: Question) -> Answer:
        answer = shards(question)
        if shards.asked == 1:
            # What tied at the cut is gone, and the truth is now further away.
            shards.shards = [[neighbour(2, one.document.image_id) for one in images], []]
        return answer

    found = exact_cut.nearest(ask, 5, None)
    assert (ranking(found.neighbours), found.complete) == ([(2, f"{number:03}") for number in range(5)], True)


def test_an_index_that_never_rests_is_answered_as_incomplete() -> None:
    shards = Shards([])

    def ask(question: Question) -> Answer:
        distance = 100 - shards.asked
        shards.shards = [[neighbour(distance, f"{number:03}") for number in range(100)], []]
        return shards(question)

    # The distance of the first question is never met again by the second: it has moved on.
    found = exact_cut.nearest(ask, 5, None)
    assert not found.complete
    assert found.reason == "the index changed while it was asked"


def test_a_failed_shard_makes_the_answer_incomplete() -> None:
    found = exact_cut.nearest(Shards([[neighbour(1, "a")]], failure="1 of 2 shards failed"), 5, None)
    assert (ranking(found.neighbours), found.complete, found.reason) == ([(1, "a")], False, "1 of 2 shards failed")
