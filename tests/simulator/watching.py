"""Watches that are published at random moments, and what the log of matches must then say.

P9: whatever is stored after a watch was published, and matches it, is in the log of matches by the time its record is
done, so before its position is committed. What was stored before, a search over the window finds; here nobody searches.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from indexer.planning import Outcome
from shared.document import Document
from shared.event_log import NewRecord, Record
from shared.match import Match, from_record
from shared.rolling_window import is_inside
from shared.watch import NO_WATCHES, Watch, WatchList
from tests.simulator.process import ENCODER_ID, FOREIGN_ID, code_of
from tests.simulator.scenario import FAULTY_SECONDS, SKEW_SECONDS_MAX, WINDOW_MONTHS, Happening

_SKEW = timedelta(seconds=SKEW_SECONDS_MAX)
_Version = tuple[str, int]


def draw_publications(seed: int) -> list[tuple[float, WatchList]]:
    """When which lists are published: each has what the one before had, but for watches made, changed or ended."""
    # Dice of its own: the same faults strike with and without watches.
    dice = random.Random(f"watches {seed}")
    held: dict[str, Watch] = {}
    published = []
    moments = sorted(dice.uniform(0, FAULTY_SECONDS * dice.choice([0.2, 1])) for _ in range(dice.choice([0, 1, 2, 4])))
    for revision, seconds in enumerate(moments, 1):
        for name in dice.sample("vw", dice.randint(1, 2)):
            if name in held and dice.random() < 0.3:
                del held[name]
            else:
                held[name] = _watch(dice, name, revision)
        published.append((seconds, WatchList(revision, list(held.values()))))
    return published


def _watch(dice: random.Random, name: str, revision: int) -> Watch:
    codes = [code_of(f"sim:picture-{number}") for number in dice.sample(range(4), dice.randint(1, 3))]
    encoder_id = ENCODER_ID if dice.random() < 0.9 else FOREIGN_ID
    return Watch(name, revision, encoder_id, codes, dice.choice([0, 3, 32, 64]))


class WatchChecks:
    """Knows what was published and stored, and reads the log of matches; tells `say` of what is missing or wrong."""

    def __init__(self, wall: Callable[[], datetime], matches: list[NewRecord], say: Callable[[str], None]) -> None:
        self._wall = wall
        self._log = matches
        self._say = say
        self._now = NO_WATCHES
        self._ever: dict[tuple[str, int], Watch] = {}
        self._due: dict[_Version, list[Watch]] = {}
        self._once_without_code: set[_Version] = set()
        self._codes: dict[_Version, bytes] = {}
        self._highest: dict[str, int] = {}
        self._found: set[tuple[str, str, int]] = set()
        self._read = 0
        self.demanded = 0

    def published(self, watches: WatchList) -> None:
        """This list counts from now on."""
        self._now = watches
        self._ever |= {(one.watch_id, one.revision): one for one in watches.watches}

    def stored(self, document: Document) -> None:
        """A document was stored. What counts is the first time that it has its code: then a search finds it."""
        self._highest[document.image_id] = max(document.version, self._highest.get(document.image_id, -1))
        if ENCODER_ID in document.codes:
            version, code = (document.image_id, document.version), document.codes[ENCODER_ID]
            self._codes[version] = code
            self._due.setdefault(version, [one for one in self._now.watches if _is_near(one, code)])

    def lost_its_code(self, document: Document) -> None:
        """No search finds it any more."""
        self._due.pop((document.image_id, document.version), None)
        self._once_without_code.add((document.image_id, document.version))

    def finished(self, happening: Happening, outcome: Outcome) -> None:
        """A worker says that a record has its outcome: from now on its position may be committed."""
        version = happening.image_id, happening.version
        if outcome not in {Outcome.INDEXED, Outcome.REUSED, Outcome.REPEATED} or version not in self._due:
            return
        # What is found in the store may be superseded, or without its code, when its code is asked for.
        gone = self._highest[happening.image_id] > happening.version or version in self._once_without_code
        if (outcome is Outcome.REPEATED and gone) or not self._is_inside(happening.event_time_ms):
            return
        self._read_on()
        for one in self._due[version]:
            if one in self._now.watches:
                self.demanded += 1
                if (one.watch_id, *version) not in self._found:
                    self._say(f"P9: {version} was stored under {one}, and is done without a match")

    def check_end(self) -> None:
        """Read what is left of the log."""
        self._read_on()

    def _read_on(self) -> None:
        for new in self._log[self._read :]:
            found = from_record(Record("matches", 0, 1, new.timestamp_ms, new.key, new.value, new.headers))
            assert found is not None
            self._check(found)
            self._found.add((found.watch_id, found.image_id, found.version))
        self._read = len(self._log)

    def _check(self, match: Match) -> None:
        watch = self._ever.get((match.watch_id, match.watch_revision))
        nearest = min(_distances(watch, match.code)) if watch is not None else None
        stored = self._codes.get((match.image_id, match.version))
        if watch is None or match.distance != nearest or match.distance > watch.radius or match.code != stored:
            self._say(f"P9: {match} does not match {watch}, or {stored!r} was stored")

    def _is_inside(self, event_time_ms: int) -> bool:
        return is_inside(event_time_ms, self._wall() + _SKEW, WINDOW_MONTHS)


def _is_near(watch: Watch, code: bytes) -> bool:
    return watch.encoder_id == ENCODER_ID and min(_distances(watch, code)) <= watch.radius


def _distances(watch: Watch, code: bytes) -> list[int]:
    return [(int.from_bytes(code) ^ int.from_bytes(one)).bit_count() for one in watch.codes]
