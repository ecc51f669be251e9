"""Why an image is among the hits of a search, or why it is not; and how the whole window lies around a seed."""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import structlog

from searcher.backend import Backend
from searcher.refusals import Refusals
from searcher.search import Searcher, distance_from
from searcher.stopwatch import Stopwatch
from searcher.strategies import Query, StrategyName
from searcher.strategies.resident import NotResidentError
from searcher.wire import DEFAULT_K, DeadLetterReply, ExplainReply, HistogramReply, SearchRequest, shown_time
from shared.document import Document, Kind, attribute_terms
from shared.errors import BadInputHaltError, ConfigurationError, DependencyUnavailableError, QueryInvalidError
from shared.hash_code import hamming_distances, subcodes
from shared.rolling_window import from_milliseconds
from shared.store import NEIGHBOURS_MAX, Restriction


class Verdict(StrEnum):
    """Where an image stands in a search; the first of these that holds."""

    DEAD_LETTERED = "dead_lettered"
    NOT_INDEXED = "not_indexed"
    DELETED = "deleted"
    EXPIRED = "expired"
    OTHER_ENCODER = "other_encoder"
    HELD_BACK = "held_back"
    FILTERED = "filtered"
    BEYOND_RADIUS = "beyond_radius"
    CUT_BY_K = "cut_by_k"
    SHOWN = "shown"


_DETAILS = {
    Verdict.DEAD_LETTERED: "its event was refused",
    Verdict.NOT_INDEXED: "no event of this image has been indexed, or it left the window long ago",
    Verdict.DELETED: "the image was deleted",
    Verdict.EXPIRED: "the image's event time lies before the window",
    Verdict.OTHER_ENCODER: "the image has no code of the active encoder",
    Verdict.HELD_BACK: "the image is left out of all hits: CATALOGUE_HOLD_BACK_FILE names it",
    Verdict.FILTERED: "the filters or times leave the image out",
    Verdict.BEYOND_RADIUS: "the image is farther off than the radius",
    Verdict.CUT_BY_K: "nearer images fill the k places",
    Verdict.SHOWN: "the image is among the hits",
}


@dataclass(frozen=True, slots=True)
class Explainer:
    """Answers what a search leaves open."""

    backend: Backend
    searcher: Searcher
    refusals: Refusals

    async def explain(self, image_id: str, request: SearchRequest) -> ExplainReply:
        """Where `image_id` stands in the search; errors as of `Searcher.search`."""
        if len(request.seeds) != 1:
            raise QueryInvalidError("one seed can be explained at a time")
        seed = await self.searcher.resolve(request.seeds[0], Stopwatch())
        encoder_id = self.backend.encoder_or_raise().encoder_id
        restriction = request.restriction(self.searcher.visible_after_ms())
        document = (await self.backend.ask(lambda store: store.documents([image_id]))).get(image_id)
        verdict, code = _before_the_search(document, encoder_id, restriction)
        if code is not None and verdict is not Verdict.EXPIRED and image_id in self.searcher.held_back:
            verdict = Verdict.HELD_BACK
        if verdict is Verdict.NOT_INDEXED:
            return await self._why_not_indexed(image_id)
        if code is None:
            return ExplainReply(image_id=image_id, verdict=verdict, detail=_DETAILS[verdict])
        distance = int(hamming_distances(seed.code, np.frombuffer(code, np.uint8)[np.newaxis])[0])
        rank = None
        if verdict is Verdict.SHOWN:
            rank = await self._rank(
                Query(encoder_id, distance_from([seed], request), 1, None, restriction), distance, image_id
            )
            verdict = _in_the_search(distance, rank, request)
        equal = np.flatnonzero(subcodes(seed.code) == subcodes(code))
        return ExplainReply(
            image_id=image_id,
            verdict=verdict,
            detail=_DETAILS[verdict],
            distance=distance,
            rank=rank,
            equal_subcodes=equal.tolist(),
            subcodes=len(code) // 2,
        )

    async def histogram(self, request: SearchRequest) -> HistogramReply:
        """How many images lie at each distance of the seed; NotResidentError where the codes are not in memory."""
        if len(request.seeds) != 1:
            raise QueryInvalidError("a histogram is of one seed")
        seed = await self.searcher.resolve(request.seeds[0], Stopwatch())
        distance = distance_from([seed], request)
        restriction = request.restriction(self.searcher.visible_after_ms())
        resident = self.searcher.strategies.resident()
        resident.check(restriction)
        as_of = resident.as_of()
        counts = await resident.ask(lambda index: index.histogram(distance, restriction))
        return HistogramReply(bits=len(counts) - 1, counts=counts.tolist(), as_of=shown_time(as_of))

    async def _why_not_indexed(self, image_id: str) -> ExplainReply:
        try:
            refusal, all_seen = await asyncio.to_thread(self.refusals.last_of, image_id)
        except (DependencyUnavailableError, ConfigurationError, BadInputHaltError) as error:
            refusal, all_seen = None, False
            structlog.get_logger().warning("dead_letters_not_read", detail=str(error))
        if refusal is not None:
            at = shown_time(from_milliseconds(refusal.at_ms))
            told = DeadLetterReply(reason=refusal.reason, detail=refusal.detail, at=at)
            detail = f"{_DETAILS[Verdict.DEAD_LETTERED]} ({refusal.reason}): {refusal.detail}"
            return ExplainReply(image_id=image_id, verdict=Verdict.DEAD_LETTERED, detail=detail, dead_letter=told)
        detail = _DETAILS[Verdict.NOT_INDEXED]
        if not all_seen:
            detail += "; whether one was refused could not be told now: indexer dead-letters list"
        return ExplainReply(image_id=image_id, verdict=Verdict.NOT_INDEXED, detail=detail)

    async def _rank(self, query: Query, distance: int, image_id: str) -> int | None:
        """1 for the nearest; None where too many are nearer for the store to count."""
        try:
            resident = self.searcher.strategies.resident()
            if resident.can_answer(query):
                closer = await resident.ask(
                    lambda index: index.count_closer(query.distance, distance, image_id, query.restriction)
                )
                return closer + 1
        except NotResidentError:
            pass
        nearer = Query(query.encoder_id, query.distance, NEIGHBOURS_MAX, distance, query.restriction)
        found = await self.searcher.strategies.nearest(StrategyName.FLAT, nearer)
        ids = [one.document.image_id for one in found.neighbours]
        return ids.index(image_id) + 1 if image_id in ids else None


def _before_the_search(
    document: Document | None, encoder_id: str, restriction: Restriction
) -> tuple[Verdict, bytes | None]:
    """Whether the search considers the image, and its code where it has one."""
    if document is None:
        return Verdict.NOT_INDEXED, None
    if document.kind is Kind.DELETED:
        return Verdict.DELETED, None
    code = document.codes.get(encoder_id) if document.live else None
    if not document.visible(restriction.visible_after_ms):
        return Verdict.EXPIRED, code
    if code is None:
        return Verdict.OTHER_ENCODER, None
    return (Verdict.SHOWN if _passes(document, restriction) else Verdict.FILTERED), code


def _passes(document: Document, restriction: Restriction) -> bool:
    held = set(attribute_terms(document.attributes))
    return (
        all(held.intersection(alternatives) for alternatives in restriction.terms)
        and (restriction.since_ms is None or document.event_time_ms >= restriction.since_ms)
        and (restriction.until_ms is None or document.event_time_ms < restriction.until_ms)
    )


def _in_the_search(distance: int, rank: int | None, request: SearchRequest) -> Verdict:
    if request.radius is not None and distance > request.radius:
        return Verdict.BEYOND_RADIUS
    k = None if request.streams else request.k or DEFAULT_K
    return Verdict.CUT_BY_K if k is not None and (rank is None or rank > k) else Verdict.SHOWN
