"""How much is left: samples of what nobody judged are drawn and, once they are judged, counted."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searcher.backend import Backend
from searcher.resident.index import ResidentHits, ResidentIndex
from searcher.resident.measure import Distances
from searcher.search import Searcher
from searcher.workbench.case_codes import CaseCodes, codes_of, rows_of
from searcher.workbench.desk import Desk
from searcher.workbench.estimating import Drawn, draw_sample, limits
from searcher.workbench.records import Judgement, Verdict
from searcher.workbench.sample_wire import EstimateReply, LeftReply, SampleReply, SampleRequest, StratumReply
from searcher.workbench.sample_words import words_of
from searcher.workbench.samples import NewSample, Sample
from shared.document import Document
from shared.errors import QueryInvalidError
from shared.rolling_window import to_milliseconds
from shared.store import Restriction

# Of a case's first sample. Each further one takes half the risk of the one before, so that all of them are right
# together with twice this risk at most, whenever somebody stops drawing.
_RISK = 0.05
_HALVED_MAX = 20
# Strata may be cut anyhow; these codes are enough to put near what is likely to be relevant.
_ANCHORS_MAX = 256


@dataclass(frozen=True, slots=True)
class Waiting:
    """The images of the last sample that are still to be judged, in their order."""

    sample: Sample
    documents: Sequence[Document]


class Sampling:
    """Draws samples by a generator of random numbers, and tells what they say."""

    def __init__(self, backend: Backend, searcher: Searcher, desk: Desk, random: np.random.Generator) -> None:
        self._backend = backend
        self._searcher = searcher
        self._desk = desk
        self._random = random

    async def draw(self, case_id: str, request: SampleRequest, who: str) -> SampleReply:
        """Draw a sample of a case, and keep it.

        CaseMissingError; QueryInvalidError where nothing is relevant yet or nothing is left; NotResidentError.
        """
        after = await self._desk.ask(lambda bench: bench.ledger.last_number())
        case, judged = await self._desk.ask(
            lambda bench: (bench.ledger.case(case_id), bench.ledger.verdicts(case_id, after))
        )
        known = await codes_of(self._backend, case, judged)
        resident = self._searcher.strategies.resident()
        restriction = request.restriction(self._searcher.visible_after_ms())
        resident.check(restriction)
        as_of, random = resident.as_of(), self._random.spawn(1)[0]
        image_ids, drawn = await resident.ask(
            lambda index: self._drawn(index, known, restriction, (request.radius, request.size), random)
        )
        if not image_ids:
            raise QueryInvalidError("nothing is left to draw from")
        new = NewSample(
            request.model_dump_json(exclude_defaults=True),
            known.encoder,
            as_of,
            after,
            drawn.strata,
            image_ids,
            drawn.of.tolist(),
        )
        return SampleReply.of(await self._desk.ask(lambda bench: bench.samples.add(case_id, new, who)))

    async def estimate(self, case_id: str) -> EstimateReply:
        """What the last sample says; CaseMissingError, SampleMissingError, NotResidentError."""
        sample, then, now = await self._standing(case_id)
        verdicts = {one.image_id: one.verdict for one in now}
        open_ids = [image_id for image_id in sample.drawn.images if image_id not in verdicts]
        waiting = len(await self._visible(sample, open_ids)) if open_ids else 0
        return _estimate(sample, then, now, waiting)

    async def waiting(self, case_id: str) -> Waiting:
        """What is still to be judged of the last sample; errors as of `estimate`."""
        sample, _, now = await self._standing(case_id)
        judged = {one.image_id for one in now}
        found = await self._visible(sample, [image_id for image_id in sample.drawn.images if image_id not in judged])
        return Waiting(sample, [found[image_id] for image_id in sample.drawn.images if image_id in found])

    async def _standing(self, case_id: str) -> tuple[Sample, list[Judgement], list[Judgement]]:
        """The last sample, and the last judgement of each image when it was drawn and now."""
        await self._desk.ask(lambda bench: bench.ledger.case(case_id))
        sample = await self._desk.ask(lambda bench: bench.samples.last(case_id))
        then, now = await self._desk.ask(
            lambda bench: (bench.ledger.verdicts(case_id, sample.drawn.after), bench.ledger.verdicts(case_id))
        )
        return sample, then, now

    async def _visible(self, sample: Sample, image_ids: Sequence[str]) -> dict[str, Document]:
        """Those of these images that are visible."""
        restriction = Restriction(self._searcher.visible_after_ms())

        def look(index: ResidentIndex) -> ResidentHits:
            return index.named(image_ids, restriction)

        found, _ = await self._searcher.strategies.resident().documented(sample.drawn.encoder, look)
        return {one.document.image_id: one.document for one in found}

    def _drawn(
        self,
        index: ResidentIndex,
        known: CaseCodes,
        restriction: Restriction,
        rule: tuple[int | None, int],
        random: np.random.Generator,
    ) -> tuple[list[str], Drawn]:
        """The ids that are drawn, and how; `rule` is the radius and the size."""
        radius, size = rule
        drawn: list[Drawn] = []

        def choose(distances: Distances) -> NDArray[np.intp]:
            within = np.flatnonzero(distances <= (index.bits if radius is None else radius))
            drawn.append(draw_sample(distances[within], size, random))
            return within[drawn[0].places]

        anchors = rows_of(known.relevant[-_ANCHORS_MAX:], len(known.relevant[0]))
        image_ids = index.draw(anchors, restriction, known.image_ids | self._searcher.held_back, choose)
        return image_ids, drawn[0]


def confidence_of(drawn_before: int) -> float:
    """How sure the limits of a sample are, where so many of the case were drawn before it."""
    return 1 - math.ldexp(_RISK, -min(drawn_before, _HALVED_MAX))


def _estimate(sample: Sample, then: Sequence[Judgement], now: Sequence[Judgement], waiting: int) -> EstimateReply:
    drawn, verdicts = sample.drawn, {one.image_id: one.verdict for one in now}
    strata = range(len(drawn.strata))
    counts = {verdict: [0 for _ in strata] for verdict in Verdict}
    for image_id, stratum in zip(drawn.images, drawn.of, strict=True):
        # What has gone before it could be judged has nothing left to find, and counts as not relevant.
        counts[verdicts.get(image_id, Verdict.WITHDRAWN)][stratum] += 1
    relevant, unsure = counts[Verdict.RELEVANT], counts[Verdict.UNSURE]
    judged = sum(sum(counts[verdict]) for verdict in counts if verdict is not Verdict.WITHDRAWN)
    found = [one for one in now if one.verdict is Verdict.RELEVANT]
    before = {one.image_id for one in then}
    since = sum(one.image_id not in before and _was_there(one, sample) for one in found)
    confidence = confidence_of(sample.drawn_before)
    left = None
    if not waiting:
        left = LeftReply.of(limits(drawn.strata, relevant, unsure, confidence), since)
    of_then = since + sum(one.image_id in before for one in found)
    reply = EstimateReply(
        sample_id=sample.sample_id,
        drawn_at=SampleReply.of(sample).drawn_at,
        drawn_before=sample.drawn_before,
        images=sum(stratum.images for stratum in drawn.strata),
        drawn=len(drawn.images),
        judged=judged,
        gone=len(drawn.images) - judged - waiting,
        relevant=sum(relevant),
        unsure=sum(unsure),
        found=len(found),
        confidence=confidence,
        left=left,
        recall_low=None if left is None else of_then / max(1, of_then + left.high),
        strata=None
        if left is None
        else [
            StratumReply(up_to=one.up_to, images=one.images, drawn=one.drawn, relevant=relevant[number])
            for number, one in enumerate(drawn.strata)
        ],
        words=[],
    )
    return reply.model_copy(update={"words": words_of(reply, radius=json.loads(drawn.rule).get("radius"))})


def _was_there(judgement: Judgement, sample: Sample) -> bool:
    """Whether the image could have been drawn: it was in the sample, or its event is older than the sample."""
    if judgement.image_id in sample.drawn.images:
        return True
    event_time = json.loads(judgement.image or "{}").get("event_time")
    return event_time is not None and _milliseconds(event_time) <= to_milliseconds(sample.drawn.as_of)


def _milliseconds(text: str) -> int:
    return int(np.datetime64(text.removesuffix("Z"), "ms").astype(np.int64))
