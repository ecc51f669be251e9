"""The follower: what an index holds and says while the store's feed goes on, breaks, and begins again."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from structlog.testing import capture_logs

from searcher.resident.follower import Follower, FollowerState, Phase
from searcher.resident.index import ResidentIndex
from shared.errors import StoreUnavailableError
from shared.rolling_window import to_milliseconds
from shared.store import Change, Changes

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
POLL_SECONDS = 0.25
AWAY = StoreUnavailableError("connection refused")
Step = Changes | Exception


class Play:
    """A feed of given steps, and the clock: each read takes a second, each wait what it waits; then the end."""

    def __init__(self, *steps: Step, bytes_max: int = 1 << 20) -> None:
        self.steps = list(steps)
        self.now = START
        self.waits: list[float] = []
        self.states: list[FollowerState] = []
        self.stop = Event()
        self.index = ResidentIndex(64, bytes_max, threads=1)
        self.follower = Follower(self.index, lambda: self, lambda: self.now, 3, POLL_SECONDS)

    def run(self) -> "Play":
        self.follower.run(self.stop, self.wait)
        self.index.close()
        return self

    def read(self) -> Changes:
        self.states.append(self.follower.state)
        self.now += timedelta(seconds=1)
        if not self.steps:
            self.stop.set()
            return Changes((), caught_up=False)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)

    @property
    def phases(self) -> list[Phase]:
        """The phase before each read, the first left out."""
        return [state.phase for state in self.states[1:]]

    @property
    def as_of(self) -> list[float | None]:
        """Seconds from the start to `as_of`, before each read, the first left out."""
        times = [state.as_of for state in self.states[1:]]
        return [None if time is None else (time - START).total_seconds() for time in times]


def image(image_id: str, version: int = 1, time: datetime = START) -> Change:
    return Change(image_id, version, to_milliseconds(time), bytes(8))


def more(*changes: Change) -> Changes:
    return Changes(changes, caught_up=False)


def caught_up(*changes: Change) -> Changes:
    return Changes(changes, caught_up=True)


def lost(*changes: Change) -> Changes:
    return Changes(changes, caught_up=False, lost=True)


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[dict[str, object]]]:
    with capture_logs() as entries:
        yield entries  # type: ignore[misc]


def test_as_of_is_the_time_before_the_first_read_of_the_round() -> None:
    play = Play(more(image("a")), more(image("b")), caught_up(image("c")), more(), caught_up()).run()
    assert play.phases == [Phase.FILLING, Phase.FILLING, *[Phase.FOLLOWING] * 3]
    # Three reads from 0; a wait of a quarter from 3, then two reads from 3.25.
    assert play.as_of == [None, None, 0, 0, 3.25]
    assert play.waits == [POLL_SECONDS] * 2
    assert len(play.index) == play.follower.state.images == 3


def test_only_a_round_that_has_caught_up_is_waited_after() -> None:
    assert Play(more(), more(), more()).run().waits == []


def test_a_store_that_is_away_leaves_the_index_as_it_was_and_says_since_when(logs: list[dict[str, object]]) -> None:
    play = Play(caught_up(image("a")), AWAY, AWAY, caught_up(image("b"))).run()
    assert play.phases == [Phase.FOLLOWING, Phase.AWAY, Phase.AWAY, Phase.FOLLOWING]
    # The round that failed began at 1.25; what its last read gave was acknowledged before that.
    assert play.as_of == [0, 0, 0, 1.25]
    assert play.waits == [POLL_SECONDS, 1, 1, POLL_SECONDS]
    assert (
        play.states[2].detail == play.states[3].detail == "since 2026-11-21T12:00:02.250000+00:00: connection refused"
    )
    assert play.follower.state.detail == ""
    assert [entry["log_level"] for entry in logs] == ["info", "warning", "info"]
    assert len(play.index) == 2


def test_a_store_that_is_away_from_the_start_is_waited_for() -> None:
    play = Play(AWAY, more(image("a")), AWAY, caught_up()).run()
    assert play.phases == [Phase.AWAY, Phase.FILLING, Phase.AWAY, Phase.FOLLOWING]
    assert play.as_of == [None, None, None, 0]


def test_a_lost_feed_fills_the_index_anew() -> None:
    play = Play(caught_up(image("a"), image("b", 7)), lost(image("b", 2)), caught_up(image("c"))).run()
    assert play.phases == [Phase.FOLLOWING, Phase.FILLING, Phase.FOLLOWING]
    assert play.as_of == [0, None, 1.25]
    assert [state.filling for state in play.states] == [0, 0, 1, 1]
    assert play.index.image("a") is None
    assert len(play.index) == 2


def test_a_state_without_as_of_stands_before_the_index_is_emptied() -> None:
    play = Play(caught_up(image("a")), lost())
    seen = []
    clear = play.index.clear

    def look_and_clear() -> None:
        seen.append((play.follower.state.phase, play.follower.state.as_of, len(play.index)))
        clear()

    play.index.clear = look_and_clear  # type: ignore[method-assign]
    play.run()
    assert seen == [(Phase.FILLING, None, 1)]


def test_a_full_index_is_given_up_once_and_freed(logs: list[dict[str, object]]) -> None:
    many = [image(f"image-{place}") for place in range(500)]
    play = Play(caught_up(image("a")), more(*many), caught_up(), bytes_max=8192).run()
    state = play.follower.state
    assert (state.phase, state.as_of, state.filling) == (Phase.FULL, None, 1)
    assert "CATALOGUE_RESIDENT_BYTES_MAX" in state.detail
    assert [entry["log_level"] for entry in logs] == ["info", "error"]
    assert len(play.steps) == 1
    assert len(play.index) == 0


def test_images_that_leave_the_window_are_removed() -> None:
    edge = datetime(2026, 8, 21, 12, tzinfo=UTC)
    times = [edge + timedelta(seconds=seconds) for seconds in (-1, 5, 3600)]
    steps = caught_up(*(image(f"image-{place}", time=time) for place, time in enumerate(times)))
    play = Play(steps, *[caught_up()] * 12).run()
    assert [state.images for state in play.states[1:4]] == [2, 2, 2]
    assert play.follower.state.images == 1
    assert play.index.image("image-2") is not None


@pytest.mark.parametrize(
    "begin", [lambda: Play(KeyError("a bug")), lambda: Play(caught_up(image("a")), KeyError("a bug"))]
)
def test_a_bug_leaves_no_index_that_looks_followed(begin: Callable[[], Play]) -> None:
    play = begin()
    with pytest.raises(KeyError):
        play.run()
    assert play.follower.state.as_of is None
    assert play.follower.state.phase is Phase.AWAY
    assert len(play.index) == 0


def test_a_stop_ends_the_following() -> None:
    play = Play(more(image("a")))
    play.stop.set()
    assert play.run().states == []
