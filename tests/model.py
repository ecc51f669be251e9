"""A model of the catalogue: events that a seed decides, what must be visible after them, and the check of an index
against it, record by record.

Needs no pytest: the soak uses it too.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from shared.rolling_window import is_inside, to_milliseconds
from tests.pictures import jpeg_picture
from tests.programs import get_json

# Few pictures, so that their codes can all be asked for, and that many images share one.
PICTURES = 24
_PAGE = 200
_CHECKING_THREADS = 4


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an image, as its event said."""

    number: int
    event_time: datetime
    picture: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """Image ids by what is wrong with them; `checked` counts the images compared.

    lost: should be visible and is not. extra: is visible and should not be. doubled: has more than one live copy.
    stale: shows another version than the highest. wrong: shows the right version with another content.
    """

    checked: int
    lost: Sequence[str] = ()
    extra: Sequence[str] = ()
    doubled: Sequence[str] = ()
    stale: Sequence[str] = ()
    wrong: Sequence[str] = ()

    @property
    def clean(self) -> bool:
        """Whether model and index agree."""
        return not (self.lost or self.extra or self.doubled or self.stale or self.wrong)


@dataclass
class CatalogueModel:
    """Makes events and knows what they add up to, whatever their order and however often each arrives.

    Give `now` the time of the clock that the worker has; `window_months` is the worker's.
    """

    generator: random.Random
    now: datetime
    images: int = 60
    window_months: int = 3
    prefix: str = "image"
    _versions: dict[str, list[Version]] = field(default_factory=dict)

    def events(self, count: int) -> list[dict[str, Any]]:
        """At least `count` further events, shuffled: new images, updates, deletes, events out of the window, repeats,
        late ones, and stale versions sent again."""
        events: list[dict[str, Any]] = []
        while len(events) < count:
            image_id = f"{self.prefix}/{self.generator.randrange(self.images)}"
            known = self._versions.setdefault(image_id, [])
            if known and self.generator.random() < 0.15:
                events.append(event_of(image_id, self.generator.choice(known)))
                continue
            version = self._next_version(known)
            known.append(version)
            events += [event_of(image_id, version)] * (2 if self.generator.random() < 0.15 else 1)
        self.generator.shuffle(events)
        return events

    def visible(self) -> dict[str, Version]:
        """What a searcher must show once every event has been worked off; no event time is near the window's edge."""
        highest = {image_id: max(known, key=lambda one: one.number) for image_id, known in self._versions.items()}
        return {
            image_id: version
            for image_id, version in highest.items()
            if not version.deleted and is_inside(to_milliseconds(version.event_time), self.now, self.window_months)
        }

    def _next_version(self, known: Sequence[Version]) -> Version:
        dice = self.generator
        # A version may skip numbers, and its event time may lie before that of the version before.
        number = (known[-1].number if known else 0) + dice.randint(1, 3)
        inside, outside = 31 * (self.window_months - 1), 31 * (self.window_months + 2)
        days = dice.uniform(outside, 2 * outside) if dice.random() < 0.08 else dice.uniform(0, inside)
        return Version(number, self.now - timedelta(days=days), dice.randrange(PICTURES), deleted=dice.random() < 0.15)


def event_of(image_id: str, version: Version) -> dict[str, Any]:
    """The catalogue event, as JSON's types, that says this of an image; its picture is inline."""
    event: dict[str, Any] = {
        "image_id": image_id,
        "version": version.number,
        "event_time": version.event_time.isoformat(),
    }
    if version.deleted:
        return event | {"deleted": True}
    attributes = {"number": version.number, "picture": version.picture}
    return event | {"image": {"bytes": jpeg_picture(version.picture)}, "attributes": attributes}


def compare(base: str, expected: Mapping[str, Version]) -> Findings:
    """Compare what a searcher at `base` shows with the model: every list entry, every document, every code."""
    codes = _codes_of_pictures(base)
    shown = Counter(image["image_id"] for image in listed(base))
    with ThreadPoolExecutor(_CHECKING_THREADS) as threads:
        documents = dict(zip(shown, threads.map(lambda image_id: _document(base, image_id), shown), strict=True))
    both = sorted(shown.keys() & expected.keys())
    return Findings(
        checked=len(shown.keys() | expected.keys()),
        lost=sorted(expected.keys() - shown.keys()),
        extra=sorted(shown.keys() - expected.keys()),
        doubled=sorted(image_id for image_id, count in shown.items() if count > 1),
        stale=[image_id for image_id in both if documents[image_id]["version"] != expected[image_id].number],
        wrong=[image_id for image_id in both if not _is_of(documents[image_id], expected[image_id], codes)],
    )


def listed(base: str) -> list[dict[str, Any]]:
    """Every entry of the searcher's list of images."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = get_json(f"{base}/v1/images?limit={_PAGE}{cursor}")
        found += page["images"]
        if not page["cursor"]:
            return found
        cursor = f"&cursor={page['cursor']}"


def _document(base: str, image_id: str) -> dict[str, Any]:
    found: dict[str, Any] = get_json(f"{base}/v1/images/{quote(image_id, safe='')}")
    return found


def _codes_of_pictures(base: str) -> list[str]:
    """The code of each of the model's pictures, as the searcher itself computes it."""
    seeds = [{"image": jpeg_picture(picture)} for picture in range(PICTURES)]
    return [get_json(f"{base}/v1/search", {"seeds": [seed], "k": 1})["seeds"][0]["code"] for seed in seeds]


def _is_of(document: Mapping[str, Any], version: Version, codes: Sequence[str]) -> bool:
    """Whether a document of the right version also has its content; one of another version counts as stale."""
    if document["version"] != version.number:
        return True
    event_time = datetime.fromisoformat(document["event_time"].replace("Z", "+00:00"))
    return (
        document["attributes"] == {"number": version.number, "picture": version.picture}
        and to_milliseconds(event_time) == to_milliseconds(version.event_time)
        and document["code"] == codes[version.picture]
    )
