"""Many queries in one call: those that differ in their seed alone share the passes over the codes in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from searcher.folding import Folded
from searcher.search import ResolvedSeed, Searcher, distance_from, page_of
from searcher.stopwatch import Stopwatch
from searcher.strategies import StrategyName
from searcher.strategies.resident import NotResidentError, Resident
from searcher.wire import DEFAULT_K, SearchReply, SearchRequest
from shared.errors import CatalogueError, QueryInvalidError


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A query with its seeds resolved; `place` is where its answer goes."""

    place: int
    request: SearchRequest
    seeds: Sequence[ResolvedSeed]
    watch: Stopwatch


async def search_batch(searcher: Searcher, requests: Sequence[SearchRequest]) -> list[SearchReply | CatalogueError]:
    """An answer for each query, in their order: a reply, or the error that `Searcher.search` would raise."""
    answers: dict[int, SearchReply | CatalogueError] = {}
    groups: dict[str, list[_Prepared]] = {}
    for place, request in enumerate(requests):
        try:
            if request.streams:
                raise QueryInvalidError("in a batch, give k beside a radius")
            searcher.check(request)
            watch = Stopwatch()
            seeds = [await searcher.resolve(seed, watch) for seed in request.seeds]
        except CatalogueError as error:
            answers[place] = error
        else:
            groups.setdefault(_alike(place, request), []).append(_Prepared(place, request, seeds, watch))
    for group in groups.values():
        answers |= await _answer(searcher, group)
    return [answers[place] for place in range(len(requests))]


def _alike(place: int, request: SearchRequest) -> str:
    """The same for queries that can be answered together."""
    together = (
        len(request.seeds) == 1
        and request.cursor is None
        and not request.stands_for_several
        and request.strategy in (StrategyName.AUTO, StrategyName.RESIDENT)
    )
    return request.model_dump_json(exclude={"seeds", "strategy"}) if together else f"alone: {place}"


async def _answer(searcher: Searcher, group: Sequence[_Prepared]) -> dict[int, SearchReply | CatalogueError]:
    # Where images are held back, more are asked for than k, until enough are left: each query by itself.
    if len(group) > 1 and not searcher.held_back and (resident := _resident_for(searcher, group[0])) is not None:
        try:
            return await _answer_together(searcher, resident, group)
        except CatalogueError as error:
            return {one.place: error for one in group}
    answers: dict[int, SearchReply | CatalogueError] = {}
    for one in group:
        try:
            answers[one.place] = await searcher.search_from(one.seeds, one.request, one.watch)
        except CatalogueError as error:
            answers[one.place] = error
    return answers


def _resident_for(searcher: Searcher, one: _Prepared) -> Resident | None:
    try:
        resident = searcher.strategies.resident()
    except NotResidentError:
        return None
    query = searcher.query(distance_from(one.seeds, one.request), 1, one.request)
    return resident if resident.can_answer(query) else None


async def _answer_together(
    searcher: Searcher, resident: Resident, group: Sequence[_Prepared]
) -> dict[int, SearchReply | CatalogueError]:
    distances = [distance_from(one.seeds, one.request) for one in group]
    count = group[0].request.k or DEFAULT_K
    # One window for all of them: the clock is read once.
    first = searcher.query(distances[0], count, group[0].request)
    queries = [replace(first, distance=distance) for distance in distances]
    watch = Stopwatch()
    with watch.stage("nearest"):
        found = await resident.nearest_of_many(queries)
    for one in group:
        # Each waited for all of them.
        one.watch.seconds |= watch.seconds
    return {
        one.place: searcher.reply(
            page_of(answer, [Folded(near) for near in answer.neighbours], count), one.seeds, distance, one.watch
        )
        for one, answer, distance in zip(group, found, distances, strict=True)
    }
