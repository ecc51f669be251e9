"""A stream of events about images that come, change, go, and come too late; and which alerts it must raise."""

import base64
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from stub_programs import StubEncoder

from shared.event_log import NewRecord
from shared.hash_code import hamming_distances
from shared.images.picture import SIDE, DecodeLimits, decode
from shared.match import alert_id
from shared.settings import Settings
from tests.pictures import jpeg_picture

CATEGORIES = ("mug", "cup", "bowl", "plate")
_UPDATED, _DELETED, _LATE = 0.12, 0.06, 0.02


@dataclass(frozen=True, slots=True)
class Written:
    """What an event leaves of an image; `picture` is a seed of a drawn picture, None for a delete."""

    image_id: str
    version: int
    picture: int | None
    category: str


@dataclass(frozen=True, slots=True)
class Watched:
    """A watch: images within `radius` bits of its code, of one of the `categories` where there are any.

    `early`: it was published before the first event.
    """

    watch_id: str
    code: bytes
    radius: int
    categories: Sequence[str]
    early: bool


class Stream:
    """The events, drawn by chance. Versions are even; a late event has an odd one below what is there."""

    def __init__(self, events: int, dice: random.Random) -> None:
        self.events: list[Written] = []
        self.late = 0
        self._last: dict[str, Written] = {}
        for number in range(events):
            self.events.append(self._drawn(number, dice))

    @property
    def last(self) -> Mapping[str, Written]:
        """What there is in the end of each image."""
        return self._last

    @property
    def written(self) -> Iterator[Written]:
        """Each image version that is written at some time."""
        return (one for one in self.events if one.picture is not None and one.version % 2 == 0)

    def _drawn(self, number: int, dice: random.Random) -> Written:
        kind, category = dice.random(), dice.choice(CATEGORIES)
        if kind > _UPDATED + _DELETED + _LATE or not self._last:
            made = Written(f"image-{number}", 2, number, category)
        else:
            before = self._last[dice.choice(list(self._last))]
            if kind < _LATE:
                self.late += 1
                return Written(before.image_id, before.version - 1, number, category)
            # Of the updates one half has the same picture, and is another article by its attributes alone.
            kept = number if before.picture is None else before.picture
            picture = None if kind < _LATE + _DELETED else dice.choice((number, kept))
            made = Written(before.image_id, before.version + 2, picture, category)
        self._last[made.image_id] = made
        return made


def record_of(event: Written) -> NewRecord:
    """The event as a producer writes it now."""
    told = {"image_id": event.image_id, "version": event.version, "event_time": _now_text()}
    if event.picture is None:
        told["deleted"] = True
    else:
        told |= {"image": {"bytes": jpeg_picture(event.picture)}, "attributes": {"category": event.category}}
    return NewRecord(event.image_id.encode(), json.dumps(told).encode())


def expected_alerts(stream: Stream, watches: Sequence[Watched], settings: Settings) -> tuple[set[str], set[str]]:
    """The alerts that there must be, and those that there may be beside them, by brute force.

    What is there in the end must be found by each watch. What was overwritten or deleted meanwhile must be found by the
    early watches; a later one finds it if it came before the change.
    """
    code_of = _codes(settings)
    written = list(stream.written)
    codes = np.stack([code_of(one.picture or 0) for one in written])
    must: set[str] = set()
    may: set[str] = set()
    for watch in watches:
        for place in np.flatnonzero(hamming_distances(watch.code, codes) <= watch.radius).tolist():
            image = written[place]
            if watch.categories and image.category not in watch.categories:
                continue
            due = watch.early or stream.last[image.image_id] == image
            (must if due else may).add(alert_id(watch.watch_id, image.image_id, image.version))
    return must, may


def _codes(settings: Settings) -> Callable[[int], NDArray[np.uint8]]:
    limits, encoder = DecodeLimits.of(settings, 1), StubEncoder()

    @cache
    def code_of(picture: int) -> NDArray[np.uint8]:
        pixels = decode(base64.b64decode(jpeg_picture(picture)), limits, thumbnail=False).pixels
        codes, _ = encoder.encode(np.frombuffer(pixels, np.uint8).reshape(1, SIDE, SIDE, 3))
        code: NDArray[np.uint8] = codes[0]
        return code

    return code_of


def _now_text() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1000 % 1_000_000:06d}Z"
