"""What the templates show: plain values, worked out here, so that a template only lays them out."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlsplit

from searcher.page.guarantee import Guarantee
from searcher.page.histogram import Histogram
from searcher.page.query import DEFAULT_K, PageQuery
from searcher.page.verdict import VerdictView
from searcher.problems import Problem
from searcher.wire import Hit, ListedImage, SearchReply
from shared.document import Scalar

_CHIPS_MAX = 12
_CHIP_CHARACTERS_MAX = 80


@dataclass(frozen=True, slots=True)
class Chip:
    """A fact of an image that can be made a filter: `term` is "name=value"."""

    name: str
    value: str
    label: str

    @property
    def term(self) -> str:
        """The fact as a filter is written."""
        return f"{self.name}={self.value}"


@dataclass(frozen=True, slots=True)
class Card:
    """One image of the grid. `ticked` is what its checkbox carries into an export."""

    image: ListedImage | Hit
    title: str
    thumbnail: str
    document: str
    search: str
    source: str | None
    chips: Sequence[Chip]
    ticked: str
    distance: int | None
    similarity: float | None
    is_seed: bool
    is_explained: bool
    verdict: str = ""

    @property
    def similarity_percent(self) -> str:
        """The similarity, rounded down: 100 % means equal codes."""
        return f"{int((self.similarity or 0) * 100)}\N{NARROW NO-BREAK SPACE}%"


@dataclass(frozen=True, slots=True)
class ChosenCase:
    """The case whose judgements are marked: `verdicts` by image id. `problem` says why they can't be shown now."""

    case_id: str
    name: str = "the case"
    verdicts: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SeedView:
    """The seed as the page shows it, and how it is asked for again.

    `query` asks for the same search; `picture` shows the seed; `crops` tells what a crop is cut from: "image_id",
    "url", "file" (an upload, which only the browser still has), or "" where there is no picture.
    """

    query: PageQuery
    label: str
    picture: str = ""
    crops: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """Everything that a page shows. `hits_before` counts the hits on the pages before this one.

    `hidden` counts those of this page that are left out because they are judged in `case`.
    """

    query: PageQuery
    cards: Sequence[Card] = ()
    seed: SeedView | None = None
    reply: SearchReply | None = None
    guarantee: Guarantee | None = None
    histogram: Histogram | None = None
    verdict: VerdictView | None = None
    hits_before: int = 0
    next_page: str | None = None
    problem: Problem | None = None
    case: ChosenCase | None = None
    hidden: int = 0

    def marked(self, case: ChosenCase) -> "View":
        """This page with what was judged in a case marked, or left out where that is asked for."""
        cards = [replace(card, verdict=case.verdicts.get(card.image.image_id, "")) for card in self.cards]
        shown = [card for card in cards if not (self.query.hide and card.verdict)]
        return replace(self, cards=shown, case=case, hidden=len(cards) - len(shown))

    @property
    def permalink(self) -> str:
        """The address that shows this again."""
        return (self.seed.query if self.seed else self.query).link()

    @property
    def k(self) -> str:
        """The number of hits asked for."""
        return self.query.k or str(DEFAULT_K)


def card_of(image: ListedImage | Hit, query: PageQuery) -> Card:
    """An image as a card, under the query whose grid it is part of."""
    hit = image if isinstance(image, Hit) else None
    return Card(
        image=image,
        title=_title(image),
        thumbnail=thumbnail_path(image.image_id),
        document=_image_path(image.image_id),
        search=query.without_seed(image_id=image.image_id).link(),
        source=web_address(image.image_url),
        chips=_chips(image),
        ticked=image.model_dump_json(),
        distance=hit.distance if hit else None,
        similarity=hit.similarity if hit else None,
        is_seed=image.image_id == query.image_id and not query.crop,
        is_explained=image.image_id == query.explain,
    )


def thumbnail_path(image_id: str) -> str:
    """Where an image's thumbnail is served."""
    return f"{_image_path(image_id)}/thumbnail"


def data_uri(webp: bytes | None) -> str:
    """A WebP picture as an address of its own; "" for none."""
    return "" if webp is None else f"data:image/webp;base64,{base64.b64encode(webp).decode()}"


def _image_path(image_id: str) -> str:
    return f"/v1/images/{quote(image_id, safe='')}"


def _title(image: ListedImage | Hit) -> str:
    title = image.attributes.get("title")
    return title if isinstance(title, str) and title.strip() else image.image_id


def web_address(url: str | None) -> str | None:
    """The URL where a browser may follow it: `javascript:` and the like never become links."""
    if url is None:
        return None
    try:
        return url if urlsplit(url).scheme in ("http", "https") else None
    except ValueError:
        return None


def _chips(image: ListedImage | Hit) -> list[Chip]:
    chips: list[Chip] = []
    for name, values in image.attributes.items():
        for value in values if isinstance(values, list) else [values]:
            text = _text(value)
            if name != "title" and len(text) <= _CHIP_CHARACTERS_MAX:
                chips.append(Chip(name, text, text if isinstance(value, str) else f"{name} {text}"))
    return chips[:_CHIPS_MAX]


def _text(value: Scalar) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
