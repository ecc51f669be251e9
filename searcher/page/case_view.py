"""What the page of a case shows, as plain values."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from searcher.page.query import PageQuery
from searcher.page.view import card_of, thumbnail_path, web_address
from searcher.problems import Problem, problem_of
from searcher.services import Services
from searcher.strategies.resident import NotResidentError
from searcher.wire import Hit, ListedImage
from searcher.workbench.records import Judgement, Verdict
from searcher.workbench.sample_wire import EstimateReply
from searcher.workbench.samples import SampleMissingError
from searcher.workbench.wire import CaseReply, NextRequest
from shared.errors import CatalogueError

NEXT = "next"
SAMPLE = "sample"
_NEXT_SHOWN = 60
_JUDGED_SHOWN = 500


@dataclass(frozen=True, slots=True)
class CaseCard:
    """A picture to judge, or one that is judged. `rank` and `distance` go into the ledger with the judgement."""

    image_id: str
    title: str
    thumbnail: str
    search: str
    source: str | None
    rank: int | None
    distance: int | None
    verdict: str


@dataclass(frozen=True, slots=True)
class CaseView:
    """What a case's page shows (`shown`): the pictures to judge next, those of its sample, or those with a verdict.

    `sample` is the id of the sample that `cards` are of, of which `waiting` are to be judged.
    """

    case: CaseReply
    shown: str
    cards: Sequence[CaseCard] = ()
    problem: Problem | None = None
    left_out: int = 0
    estimate: EstimateReply | None = None
    sample: str = ""
    waiting: int = 0


async def view_of(services: Services, case_id: str, show: str) -> CaseView:
    """The page; CaseMissingError and WorkbenchUnavailableError. Where pictures can't be had now, it says so."""
    case, judged = await services.casework.desk.ask(
        lambda bench: (bench.ledger.case(case_id), bench.ledger.verdicts(case_id))
    )
    view = CaseView(CaseReply.of(case), show)
    try:
        # Without codes in memory the rest of the page is still worth having.
        with suppress(SampleMissingError, NotResidentError):
            view = replace(view, estimate=await services.sampling.estimate(case_id))
        if show in (Verdict.RELEVANT, Verdict.NOT_RELEVANT, Verdict.UNSURE):
            of_verdict = [one for one in reversed(judged) if one.verdict == show]
            return replace(view, cards=[_judged_card(one) for one in of_verdict[:_JUDGED_SHOWN]])
        if show == SAMPLE:
            return await _of_sample(services, view)
        following = await services.casework.next_images(case_id, NextRequest(k=_NEXT_SHOWN))
    except CatalogueError as error:
        return replace(view, shown=NEXT, problem=problem_of(error))
    cards = [_card(case_id, hit, rank, hit.distance) for rank, hit in enumerate(following.hits, start=1)]
    return replace(view, shown=NEXT, cards=cards, left_out=following.left_out)


async def _of_sample(services: Services, view: CaseView) -> CaseView:
    waiting = await services.sampling.waiting(view.case.case_id)
    # Neither rank nor distance: what is known of a picture must not tell how to judge it.
    cards = [_card(view.case.case_id, ListedImage.of(one)) for one in waiting.documents[:_NEXT_SHOWN]]
    return replace(view, cards=cards, sample=waiting.sample.sample_id, waiting=len(waiting.documents))


def _card(case_id: str, image: Hit | ListedImage, rank: int | None = None, distance: int | None = None) -> CaseCard:
    card = card_of(image, PageQuery(case=case_id))
    return CaseCard(image.image_id, card.title, card.thumbnail, card.search, card.source, rank, distance, "")


def _judged_card(judgement: Judgement) -> CaseCard:
    image: Mapping[str, Any] = json.loads(judgement.image) if judgement.image else {}
    title = image.get("attributes", {}).get("title")
    return CaseCard(
        judgement.image_id,
        title if isinstance(title, str) and title.strip() else judgement.image_id,
        f"/v1/evidence/{judgement.evidence}" if judgement.evidence else thumbnail_path(judgement.image_id),
        PageQuery(image_id=judgement.image_id, case=judgement.case_id).link(),
        web_address(image.get("image_url")),
        judgement.rank,
        judgement.distance,
        judgement.verdict,
    )
