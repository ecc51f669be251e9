"""What a seed means: the catalogue events, the sizes, and which faults strike when. All drawn from one dice."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from shared.document import Kind
from shared.event_log import NewRecord
from shared.rolling_window import from_milliseconds, to_milliseconds, window_start
from shared.settings import Settings

WINDOW_MONTHS = 3
SKEW_SECONDS_MAX = 600
FAULTY_SECONDS = 6.0
SESSION_SECONDS = 2.0
# Poison is a record that ends in the dead letters: what is wrong with it is seen at once, or only with the picture.
MISSING, BROKEN = "sim:missing", "sim:broken"
_JUNK = (b"{", b"[]", b"\xff", b'{"image_id": "a", "event_time": "yesterday"}')
# Moments near which months, years and leap days change.
_STARTS = (
    datetime(2026, 11, 30, 23, 59, 52, tzinfo=UTC),
    datetime(2026, 12, 31, 23, 59, 55, tzinfo=UTC),
    datetime(2028, 2, 28, 23, 59, 54, tzinfo=UTC),
    datetime(2028, 2, 29, 23, 59, 56, tzinfo=UTC),
    datetime(2027, 5, 31, 23, 59, 50, tzinfo=UTC),
    datetime(2026, 11, 20, 12, tzinfo=UTC),
)


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of an image as the producer meant it; `url` None is a delete."""

    image_id: str
    version: int
    explicit: bool
    event_time_ms: int
    url: str | None

    @property
    def kind(self) -> Kind:
        """What it leaves of the image, while it is inside the window."""
        return Kind.DELETED if self.url is None else Kind.IMAGE

    @property
    def poison(self) -> bool:
        """Whether its picture can't be had."""
        return self.url in {MISSING, BROKEN}


@dataclass(frozen=True, slots=True)
class Production:
    """A record that is appended to the event source so many seconds after the start; `happening` None is junk."""

    seconds: float
    partition: int
    happening: Happening | None
    record: NewRecord


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault of the surroundings: what, when, whom, for how long."""

    seconds: float
    what: str
    worker: int
    duration: float


@dataclass(frozen=True, slots=True)
class Rates:
    """How often a request of each kind meets each fault, 0 to 1."""

    refused: float = 0.0
    """It fails, and nothing was done."""
    lost_reply: float = 0.0
    """It is done, and the reply says that it failed."""
    overloaded: float = 0.0
    """One item of a bulk request is refused (429)."""
    slow: float = 0.0
    """It takes seconds."""


@dataclass(frozen=True)
class Scenario:
    """All that a seed decides beforehand; the dice go on deciding delays and faults while it runs."""

    seed: int
    start: datetime
    calendar: Sequence[tuple[float, timedelta]]
    """At these times all clocks go forward by so much."""
    skews: Sequence[timedelta]
    """Of each worker, and last of the searcher."""
    partitions: int
    settings: Settings
    productions: Sequence[Production]
    strikes: Sequence[Strike]
    store: Rates
    log: Rates
    fetch_failures: float
    """How often a fetch fails that may succeed later, 0 to 1."""
    foreign: Sequence[float]
    """At these times an image loses its code for one of another encoder, and its event is sent again."""
    dice: random.Random = field(repr=False)

    @property
    def workers(self) -> int:
        """How many worker processes share the group."""
        return len(self.skews) - 1

    def wall(self, seconds: float) -> datetime:
        """The true time so many seconds after the start."""
        return self.start + timedelta(seconds=seconds) + sum((by for at, by in self.calendar if at <= seconds), _ZERO)


_ZERO = timedelta(0)


def draw(seed: int, records_max: int | None = None) -> Scenario:
    """The scenario of a seed; with `records_max` of its first records only, which may show the same fault in less."""
    dice = random.Random(seed)
    duel = dice.random() < 0.35
    workers = 2 if duel else dice.choice([1, 2, 2])
    scenario = Scenario(
        seed=seed,
        start=dice.choice(_STARTS[:-1] if duel else _STARTS),
        calendar=[] if duel else _calendar(dice),
        # In a duel the workers' clocks are in different months.
        skews=[*_opposite(dice), _skew(dice)] if duel else [_skew(dice) for _ in range(workers + 1)],
        partitions=2 if duel else dice.randint(1, 3),
        settings=_settings(dice),
        productions=(),
        strikes=[_strike(dice, workers) for _ in range(dice.choice([0, 1, 2, 4, 6]))],
        store=_rates(dice),
        log=_rates(dice),
        fetch_failures=dice.choice([0, 0, 0.1, 0.4]),
        foreign=_foreign(random.Random(f"foreign {seed}")),
        dice=dice,
    )
    productions = _productions(dice, scenario, duel=duel)
    return replace(scenario, productions=productions[:records_max])


def _calendar(dice: random.Random) -> list[tuple[float, timedelta]]:
    if dice.random() < 0.6:
        return []
    return sorted(
        (
            dice.uniform(1, FAULTY_SECONDS),
            timedelta(days=dice.choice([1, 28, 30, 31, 45, 92]), hours=dice.randint(0, 3)),
        )
        for _ in range(dice.randint(1, 4))
    )


def _foreign(dice: random.Random) -> list[float]:
    return sorted(dice.uniform(1, FAULTY_SECONDS) for _ in range(dice.choice([0, 0, 1, 2, 5])))


def _skew(dice: random.Random) -> timedelta:
    return timedelta(
        seconds=dice.choice([0, 0, dice.uniform(-SKEW_SECONDS_MAX, SKEW_SECONDS_MAX), dice.uniform(-5, 5)])
    )


def _opposite(dice: random.Random) -> list[timedelta]:
    ahead = timedelta(seconds=dice.choice([1, 5, 60, SKEW_SECONDS_MAX]))
    return dice.sample([ahead, -ahead], 2)


_SETTINGS: dict[tuple[int, int, int, bool, int], Settings] = {}


def _settings(dice: random.Random) -> Settings:
    """Small batches and bounds, so that few records meet all of them."""
    chosen = (
        dice.choice([2, 4, 12]),
        dice.choice([4, 20]),
        dice.choice([1, 2, 3, 8]),
        dice.random() < 0.3,
        dice.choice([2, 10]),
    )
    if chosen not in _SETTINGS:
        in_flight, redone, batch, thumbnails, retries = chosen
        # Building one takes longer than a short simulation.
        _SETTINGS[chosen] = Settings(
            _env_file=None,
            in_flight_records_max=in_flight,
            redone_records_max=redone,
            write_batch_size=batch,
            thumbnails=thumbnails,
            window_months=WINDOW_MONTHS,
            linger_seconds=0.02,
            write_linger_seconds=0.03,
            commit_interval_seconds=0.5,
            drain_seconds=2.0,
            retry_seconds_max=0.5,
            fetch_retry_seconds=1,
            # Few enough to be used up now and then.
            fetch_retries=retries,
        )
    return _SETTINGS[chosen]


def _rates(dice: random.Random) -> Rates:
    """Each kind of fault strikes in about half of the seeds only: a fault too many hides what another would show."""

    def some(rate: float) -> float:
        return rate if dice.random() < 0.4 else 0.0

    return Rates(refused=some(0.06), lost_reply=some(0.06), overloaded=some(0.08), slow=some(0.05))


def _strike(dice: random.Random, workers: int) -> Strike:
    what = dice.choice(["kill", "kill at a put", "kill at a put", "stop", "evict", "rebalance", "terminate", "clock"])
    if dice.random() < 0.35:
        what = dice.choice(["store away", "log away", "host away"])
    # A process that is stopped for longer than the session comes back as a zombie.
    duration = dice.uniform(0.2, 2 * SESSION_SECONDS)
    return Strike(dice.uniform(0.2, FAULTY_SECONDS), what, dice.randrange(workers), duration)


def _productions(dice: random.Random, scenario: Scenario, *, duel: bool) -> list[Production]:
    """In a duel few images are in every partition, so that two workers meet at each of them."""
    images = [f"image-{number}" for number in range(dice.randint(1, 2 if duel else 5))]
    explicit = {image: dice.random() < 0.7 for image in images}
    keyed = not duel and dice.random() < 0.7
    total = dice.choice([4, 10, 20, 30])
    moments = [dice.uniform(0, FAULTY_SECONDS * 0.9) for _ in range(3 if duel else total)]
    seconds = sorted(dice.choice(moments) for _ in range(total))
    drawn = [_happening(dice, scenario, dice.choice(images), explicit, at) for at in seconds]
    happenings = _versioned(dice, drawn, in_order_of_time=bool(scenario.calendar))
    productions = []
    for at, happening in zip(seconds, happenings, strict=True):
        first = hash_of(happening.image_id) if keyed else dice.randrange(99)
        for copy in range(dice.choice([1, 2, 2] if duel else [1, 1, 1, 2, 3])):
            partition = (first + (0 if keyed else copy)) % scenario.partitions
            again = at + dice.choice([0, 0, dice.uniform(0, 2)])
            productions.append(Production(again, partition, happening, _record(happening)))
    for _ in range(dice.choice([0, 0, 1, 2])):
        partition = dice.randrange(scenario.partitions)
        junk = NewRecord(None, dice.choice(_JUNK), timestamp_ms=to_milliseconds(scenario.start))
        productions.append(Production(dice.uniform(0, FAULTY_SECONDS), partition, None, junk))
    return sorted(productions, key=lambda one: one.seconds)


def hash_of(image_id: str) -> int:
    """Which partition a key goes to; equal in every process."""
    return sum(image_id.encode())


def _happening(
    dice: random.Random, scenario: Scenario, image_id: str, explicit: Mapping[str, bool], at: float
) -> Happening:
    now = scenario.wall(at)
    edge = to_milliseconds(window_start(scenario.wall(dice.choice([at, 2 * FAULTY_SECONDS])), WINDOW_MONTHS))
    event_time_ms = dice.choice(
        [
            to_milliseconds(now) - dice.randint(0, 5000),
            to_milliseconds(now) - dice.randint(0, 5000),
            to_milliseconds(now) - dice.randint(0, 80 * 86_400_000),
            edge + dice.choice([-1, 0, 1, 2, dice.randint(-1000, 1000), dice.randint(-700_000, 700_000)]),
            edge - dice.randint(1, 40 * 86_400_000),
        ]
    )
    # Later than its own production is a matter of other tests.
    event_time_ms = min(event_time_ms, to_milliseconds(now))
    url = dice.choice([*(f"sim:picture-{dice.randrange(4)}" for _ in range(7)), None, None, MISSING, BROKEN])
    if url in {MISSING, BROKEN} and dice.random() < 0.5:
        url = "sim:picture-0"
    return Happening(image_id, 0, explicit[image_id], event_time_ms, url)


def _versioned(dice: random.Random, drawn: Sequence[Happening], *, in_order_of_time: bool) -> list[Happening]:
    """Distinct versions for the events of each image, arriving in any order.

    Where months may be dropped, versions follow the event times: what is outlived by a lower version is not promised.
    """
    happenings = list(drawn)
    for image_id in sorted({one.image_id for one in drawn}):
        places = [place for place, one in enumerate(drawn) if one.image_id == image_id]
        taken: set[int] = set()
        for place in places:
            time = happenings[place].event_time_ms
            while time in taken:
                time += 1
            taken.add(time)
            happenings[place] = replace(happenings[place], event_time_ms=time)
        by_time = sorted(places, key=lambda place: happenings[place].event_time_ms)
        order = by_time if in_order_of_time else dice.sample(places, len(places))
        if not in_order_of_time and dice.random() < 0.5:
            order = sorted(places)
        for version, place in enumerate(order, 1):
            one = happenings[place]
            number = version if one.explicit else one.event_time_ms * 1000
            happenings[place] = replace(one, version=number)
    return happenings


def _record(happening: Happening) -> NewRecord:
    value: dict[str, object] = {"event_time": from_milliseconds(happening.event_time_ms).isoformat()}
    if happening.explicit:
        value["version"] = happening.version
    if happening.url is None:
        value["deleted"] = True
    else:
        value["image"] = {"url": happening.url}
    return NewRecord(happening.image_id.encode(), json.dumps(value).encode(), timestamp_ms=happening.event_time_ms)
