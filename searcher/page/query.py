"""The page's address: what is searched and how, as text, the way forms and links write it.

Everything that the page shows can be asked for by an address, so every search has a link that reopens it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from searcher.strategies import StrategyName
from searcher.wire import Filters, SearchRequest
from shared.errors import QueryInvalidError

DEFAULT_K = 40
_SEEDS = ("image_id", "url", "code")
_OTHER_TEXTS = (
    "find",
    "cursor",
    "encoder",
    "crop",
    "k",
    "radius",
    "since",
    "until",
    "strategy",
    "explain",
    "case",
    "hide",
)


@dataclass(frozen=True, slots=True)
class PageQuery:
    """One state of the page; an empty text is an absent one.

    `find` is what a user typed (an image id, a URL, or words) before it is known which; `words` ask for images, and
    `cursor` for what follows, be it images or hits; `image_id`, `url` and `code` (with its `encoder`) are seeds, `crop`
    cuts the first two. `explain` is the id of an image whose place in the search is asked for. What was judged in the
    case `case` (its id) is marked, and left out where `hide` is "judged".
    """

    find: str = ""
    words: str = ""
    cursor: str = ""
    image_id: str = ""
    url: str = ""
    code: str = ""
    encoder: str = ""
    crop: str = ""
    k: str = ""
    radius: str = ""
    filters: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    group: bool = False
    strategy: str = ""
    explain: str = ""
    case: str = ""
    hide: str = ""

    @classmethod
    def of(cls, parameters: Sequence[tuple[str, str]]) -> "PageQuery":
        """Read form or query parameters, in order; the last of a repeated one counts, filters add up."""
        last = {name: value.strip() for name, value in parameters if value.strip()}
        filters = (value.strip() for name, value in parameters if name == "filter" and value.strip())
        texts = {name: last.get(name, "") for name in (*_SEEDS, *_OTHER_TEXTS)}
        return cls(**texts, words=last.get("q", ""), filters=tuple(dict.fromkeys(filters)), group="group" in last)

    @property
    def has_seed(self) -> bool:
        """Whether a search is asked for, and not a page of images."""
        return any(getattr(self, name) for name in _SEEDS)

    def request(self, seed: Mapping[str, Any]) -> SearchRequest:
        """The search, from `seed`; QueryInvalidError and pydantic's ValidationError name what is wrong."""
        return SearchRequest.model_validate(
            self._restrictions()
            | {
                "seeds": [dict(seed)],
                "k": self.k or DEFAULT_K,
                "radius": self.radius or None,
                "group_by_item": self.group,
                "cursor": self.cursor or None,
                "strategy": self.strategy or StrategyName.AUTO,
            }
        )

    def restrictions(self) -> Filters:
        """Which images are asked for; errors as of `request`."""
        return Filters.model_validate(self._restrictions())

    def crop_fractions(self) -> list[str] | None:
        """The crop's four numbers, still as text."""
        return self.crop.split(",") if self.crop else None

    def without_seed(self, **changes: Any) -> "PageQuery":
        """This state without what is searched, with `changes`."""
        none = dict.fromkeys(("find", "words", "cursor", *_SEEDS, "encoder", "crop", "explain"), "")
        return replace(self, **(none | changes))

    def link(self, **changes: Any) -> str:
        """The address of this state with `changes`, as a path with a query."""
        return "/?" + urlencode(replace(self, **changes)._parameters())

    def without_filter(self, term: str) -> "PageQuery":
        """This state without one of its filters."""
        return replace(self, filters=tuple(other for other in self.filters if other != term), cursor="")

    def without_filters(self) -> "PageQuery":
        """This state without filters and times."""
        return replace(self, filters=(), since="", until="", cursor="")

    def without_radius(self) -> "PageQuery":
        """This state at any distance."""
        return replace(self, radius="", cursor="")

    def _restrictions(self) -> dict[str, Any]:
        return {"filter": self._filter(), "since": self.since or None, "until": self.until or None}

    def _filter(self) -> dict[str, list[str]]:
        chosen: dict[str, list[str]] = {}
        for text in self.filters:
            name, equals, value = text.partition("=")
            if not equals:
                raise QueryInvalidError("a filter is written attribute=value")
            chosen.setdefault(name.strip(), []).append(value.strip())
        return chosen

    def _parameters(self) -> list[tuple[str, str]]:
        texts = [
            ("find", self.find),
            ("q", self.words),
            ("cursor", self.cursor),
            ("image_id", self.image_id),
            ("url", self.url),
            ("code", self.code),
            ("encoder", self.encoder),
            ("crop", self.crop),
            ("k", self.k),
            ("radius", self.radius),
            *(("filter", text) for text in self.filters),
            ("since", self.since),
            ("until", self.until),
            ("group", "1" if self.group else ""),
            ("strategy", self.strategy),
            ("explain", self.explain),
            ("case", self.case),
            ("hide", self.hide),
        ]
        return [(name, text) for name, text in texts if text]
