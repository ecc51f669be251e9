"""What pages show of watches, alerts and decisions, as plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from searcher.page.query import PageQuery
from searcher.page.view import card_of
from searcher.services import Services
from searcher.watching.precision import suggested_radius
from searcher.workbench.alerts import nearest_others
from searcher.workbench.decision_wire import ListedDecision
from searcher.workbench.records import Verdict
from searcher.workbench.watch_wire import AlertReply, WatchReply
from searcher.workbench.watchwork import codes_of_case
from searcher.workbench.workbench import Workbench
from shared.errors import QueryInvalidError

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Watching:
    """What a case's page shows of its watches and decisions; `radius` is what its judgements speak for."""

    watches: Sequence[WatchReply]
    decisions: Sequence[ListedDecision]
    radius: int | None


@dataclass(frozen=True, slots=True)
class AlertCard:
    """An alert as a picture to judge in its watch's case."""

    image_id: str
    title: str
    thumbnail: str
    search: str
    source: str | None
    rank: None
    distance: int
    verdict: str
    case_id: str
    watch_id: str
    watch_name: str
    raised_at: str

    @classmethod
    def of(cls, alert: AlertReply) -> "AlertCard":
        """What is shown of an alert."""
        card = card_of(alert.image, PageQuery(case=alert.case_id))
        return cls(
            alert.image.image_id,
            card.title,
            card.thumbnail,
            card.search,
            card.source,
            None,
            alert.distance,
            alert.verdict or "",
            alert.case_id,
            alert.watch_id,
            alert.watch_name,
            alert.raised_at,
        )


@dataclass(frozen=True, slots=True)
class AlertLinks:
    """Where a page of alerts leads: itself, the other choice of what is shown, older ones, and what is new as JSON."""

    here: str
    all: str
    unjudged: str
    older: str | None
    feed: str

    @classmethod
    def of(cls, watch_id: str | None, *, unjudged: bool, before: int | None) -> "AlertLinks":
        """Links of a page that shows these alerts; `before` is where older ones begin, if there are any."""
        of_watch = {"watch_id": watch_id} if watch_id else {}
        shown = of_watch if unjudged else of_watch | {"show": "all"}
        return cls(
            _address("/alerts", shown),
            _address("/alerts", of_watch | {"show": "all"}),
            _address("/alerts", of_watch),
            None if before is None else _address("/alerts", shown | {"before": str(before)}),
            _address("/v1/alerts", of_watch | {"after": ""}),
        )


async def watching_of(services: Services, case_id: str) -> Watching:
    """Watches and decisions of a case; WorkbenchUnavailableError."""
    encoder = services.backend.encoder
    page = await services.watchwork.watches(None, case_id, None, _SHOWN)

    def look(bench: Workbench) -> tuple[list[ListedDecision], int | None]:
        decisions = [ListedDecision.listed(one) for one in bench.decisions.decisions(case_id, None, _SHOWN)]
        return decisions, None if encoder is None else _radius(bench, case_id, encoder.encoder_id)

    decisions, radius = await services.casework.desk.ask(look)
    return Watching(page.watches, decisions, radius)


def _radius(bench: Workbench, case_id: str, encoder_id: str) -> int | None:
    """What the case's judgements say of a watch for its seeds and relevant images."""
    try:
        codes = codes_of_case(bench, case_id, encoder_id)
    except QueryInvalidError:
        return None
    judged = [
        (one.code, one.verdict is Verdict.RELEVANT)
        for one in bench.ledger.verdicts(case_id)
        if one.code is not None and one.encoder == encoder_id and one.verdict is not Verdict.UNSURE
    ]
    distances = nearest_others([code for code, _ in judged], codes)
    return suggested_radius([(distance, relevant) for distance, (_, relevant) in zip(distances, judged, strict=True)])


def read_filter(text: str) -> Mapping[str, list[str]]:
    """Attributes and values as a person writes them: `category=mug, colour=blue, colour=red`; QueryInvalidError."""
    found: dict[str, list[str]] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise QueryInvalidError("a filter is written attribute=value, several with commas")
        found.setdefault(name, []).append(value)
    return found


def _address(path: str, parameters: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(parameters)}" if parameters else path
