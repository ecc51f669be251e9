"""The k nearest in the order (distance, image id), cut by that order, from a search that cuts ties as it likes.

Elasticsearch sorts what its shards give by distance and id, but each shard may first have kept only its `k` nearest,
any of those that tie at the end. So the order is trusted only where the numbers prove that no shard left anything out;
otherwise the images at the last distance are asked for again, by that distance as radius.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.store import NEIGHBOURS_MAX, Neighbour, Neighbours

# An image that is met twice (while it moves between months) counts once; so many are asked for beyond the count.
_SPARE = 16
_CHANGES_MAX = 3
_NARROWINGS_MAX = 64
_CHANGED = "the index changed while it was asked"
_TOO_MANY_TIES = f"more than {NEIGHBOURS_MAX} images lie at the same distance"
_TOO_MANY_COPIES = f"the limit of {NEIGHBOURS_MAX} was met by images that are moving between months"


@dataclass(frozen=True, slots=True)
class Question:
    """Ask for the first `size` images within `radius` (None: all), by (distance, id), or with `farthest_first` by
    (-distance, id). Each shard may keep its `shard_size` nearest only. `id_at_most` leaves out greater ids."""

    size: int
    shard_size: int
    radius: int | None
    farthest_first: bool = False
    id_at_most: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The images, in the asked order; how many matched in all, on how many shards; `failure` where a shard failed."""

    neighbours: Sequence[Neighbour]
    matched: int
    shards: int
    failure: str | None = None

    def proves(self, question: Question) -> bool:
        """Whether no shard can have left out an image that matched."""
        return self.matched < question.shard_size or self.matched > question.shard_size * self.shards


class Ask(Protocol):
    """One search."""

    def __call__(self, question: Question) -> Answer:
        """Answer it."""


def nearest(ask: Ask, count: int, radius: int | None) -> Neighbours:
    """The `count` nearest images within `radius`, an image of several copies once, with its highest version."""
    size = min(NEIGHBOURS_MAX, count + _SPARE)
    changes = 0
    while True:
        found, exhausted, failure = _first(ask, size, radius)
        neighbours = one_copy_each(found)[:count]
        if failure is _CHANGED and changes < _CHANGES_MAX:
            changes += 1
            continue
        if failure is not None:
            return Neighbours(neighbours, complete=False, reason=failure)
        if exhausted or len(neighbours) == count:
            return Neighbours(neighbours)
        if size == NEIGHBOURS_MAX:
            return Neighbours(neighbours, complete=False, reason=_TOO_MANY_COPIES)
        size = min(NEIGHBOURS_MAX, 2 * size)


def _first(ask: Ask, size: int, radius: int | None) -> tuple[Sequence[Neighbour], bool, str | None]:
    """The first `size` copies in order, whether there are no more, and why they are not to be trusted."""
    question = Question(size, size, radius)
    answer = ask(question)
    found = answer.neighbours
    exhausted = len(found) < size
    if answer.failure or exhausted or answer.proves(question):
        return found, exhausted, answer.failure
    edge = found[-1].distance
    closer = [one for one in found if one.distance < edge]
    ties, failure = _at_distance(ask, edge, size - len(closer))
    if failure is None and len(closer) + len(ties) < size:
        failure = _CHANGED
    return [*closer, *ties], False, failure


def _at_distance(ask: Ask, distance: int, count: int) -> tuple[Sequence[Neighbour], str | None]:
    """The first `count` copies by id at just this distance. Fewer than NEIGHBOURS_MAX lie closer.

    Whatever a shard left out, the true first `count` have ids up to the last one of those that came; asking for ids up
    to that one leaves fewer and fewer, until no shard has more than it gives.
    """
    id_at_most: str | None = None
    for _ in range(_NARROWINGS_MAX):
        question = Question(count, NEIGHBOURS_MAX, distance, farthest_first=True, id_at_most=id_at_most)
        answer = ask(question)
        ties = [one for one in answer.neighbours if one.distance == distance]
        if answer.failure or answer.proves(question):
            return ties, answer.failure
        if not ties or ties[-1].document.image_id == id_at_most:
            break
        id_at_most = ties[-1].document.image_id
    return ties, _TOO_MANY_TIES


def one_copy_each(found: Iterable[Neighbour]) -> list[Neighbour]:
    """Each image once, with its highest version, by (distance, id)."""
    best: dict[str, Neighbour] = {}
    for one in found:
        known = best.get(one.document.image_id)
        if known is None or one.document.version > known.document.version:
            best[one.document.image_id] = one
    return sorted(best.values(), key=lambda one: (one.distance, one.document.image_id))
