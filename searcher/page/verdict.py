"""Why an image is among the hits or not, in plain words, with what would bring it in."""

from collections.abc import Sequence
from dataclasses import dataclass

from searcher.explaining import Verdict
from searcher.page.query import PageQuery
from searcher.wire import ExplainReply, Hit
from shared.hash_code import SUBCODE_BITS

EXPLAINED = "explained"
"""The id of the card that is asked about."""

_HEADLINES = {
    Verdict.DEAD_LETTERED: "Refused",
    Verdict.NOT_INDEXED: "Not indexed",
    Verdict.DELETED: "Deleted",
    Verdict.EXPIRED: "Out of the window",
    Verdict.OTHER_ENCODER: "Not comparable",
    Verdict.HELD_BACK: "Held back",
    Verdict.FILTERED: "Left out by filters",
    Verdict.BEYOND_RADIUS: "Beyond the radius",
    Verdict.CUT_BY_K: "Cut off",
}


@dataclass(frozen=True, slots=True)
class Way:
    """A link that brings the image in, or to it."""

    label: str
    link: str


@dataclass(frozen=True, slots=True)
class VerdictView:
    """The verdict as the page shows it; `found` says that the image is on this page."""

    headline: str
    detail: str
    facts: Sequence[str] = ()
    ways: Sequence[Way] = ()
    found: bool = False


def verdict_of(explained: ExplainReply, query: PageQuery, hits: Sequence[Hit], k: int, k_max: int) -> VerdictView:
    """The verdict on an image in the search that `query` asks for again and that gave these `hits`.

    `k` is how many were asked for, `k_max` how many may be.
    """
    if any(hit.image_id == explained.image_id for hit in hits):
        way = Way("Go to it", f"#{EXPLAINED}")
        return VerdictView("Among the hits", "it is on this page", _facts(explained), [way], found=True)
    headline, detail = _standing(explained, query)
    facts = [*_facts(explained), *_limits(explained, k_max)]
    return VerdictView(headline, detail, facts, _ways(explained, query, k, k_max))


def _standing(explained: ExplainReply, query: PageQuery) -> tuple[str, str]:
    """Headline and detail on an image that is not on this page."""
    if explained.verdict not in list(Verdict):
        return explained.verdict.replace("_", " ").capitalize(), explained.detail
    verdict = Verdict(explained.verdict)
    if verdict is not Verdict.SHOWN:
        return _HEADLINES[verdict], explained.detail
    if query.group:
        return "Behind another picture of its item", "only the best picture of each item is shown"
    if query.cursor:
        return "On an earlier page", "it is nearer than the first hit here"
    return "Near enough", "it is not on this page because it changed just now"


def _facts(explained: ExplainReply) -> list[str]:
    facts = []
    if explained.distance is not None and explained.subcodes is not None:
        facts.append(f"{explained.distance} of {explained.subcodes * SUBCODE_BITS} bits differ")
    if explained.rank is not None:
        facts.append(f"place {explained.rank:,} by distance")
    if explained.equal_subcodes is not None:
        facts.append(f"{len(explained.equal_subcodes)} of {explained.subcodes} subcodes equal")
    return facts


def _limits(explained: ExplainReply, k_max: int) -> list[str]:
    is_too_far = explained.rank is not None and explained.rank > k_max
    return [f"at most {k_max:,} are shown at once"] if is_too_far else []


def _ways(explained: ExplainReply, query: PageQuery, k: int, k_max: int) -> list[Way]:
    enough = k if explained.rank is None else max(k, explained.rank)
    match explained.verdict:
        case Verdict.FILTERED:
            return [Way("Without filters", query.without_filters().link())]
        case Verdict.BEYOND_RADIUS if enough <= k_max:
            link = query.link(radius=str(explained.distance), k=str(enough), cursor="")
            return [Way(f"Within {explained.distance} bits", link)]
        case Verdict.CUT_BY_K if explained.rank is not None and enough <= k_max:
            return [Way(f"The nearest {enough:,}", query.link(k=str(enough), cursor=""))]
        case Verdict.SHOWN if query.group:
            return [Way("All pictures of each item", query.link(group=False, cursor=""))]
        case Verdict.SHOWN if query.cursor:
            return [Way("From the nearest on", query.link(cursor=""))]
    return []
