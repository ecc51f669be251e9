"""One live copy over monthly indices, whatever the order, the interruptions and the number of workers."""

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from queue import SimpleQueue

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.document import Document, Kind
from shared.errors import RejectedError, RejectionReason, StoreUnavailableError
from shared.store import WriteOutcome, monthly_indices
from shared.store.monthly_indices import Put, PutOutcome
from tests.memory_indices import MemoryIndices

OCTOBER, NOVEMBER, DECEMBER = (datetime(2026, month, 15, tzinfo=UTC) for month in (10, 11, 12))


def image(version: int, image_id: str = "mug") -> Document:
    return Document(image_id, Kind.IMAGE, version, True, 1_000 + version, codes={"e": bytes([version, 0])})


def foreign(version: int) -> Document:
    """The image as a worker with another encoder wrote it."""
    return replace(image(version), codes={})


def deletion(version: int, image_id: str = "mug") -> Document:
    return Document(image_id, Kind.DELETED, version, True, 1_000 + version)


def moved(version: int, image_id: str = "mug") -> Document:
    return Document(image_id, Kind.MOVED, version, True, 1_000 + version)


@pytest.fixture
def indices() -> MemoryIndices:
    return MemoryIndices()


def test_a_document_goes_to_the_month_of_the_clock_whatever_its_event_time(indices: MemoryIndices) -> None:
    assert monthly_indices.write(indices, [image(5)], NOVEMBER) == [WriteOutcome.WRITTEN]
    assert indices.months == {"2026.11": {"mug": image(5)}}


def test_an_update_in_a_later_month_leaves_a_marker_of_its_version_where_the_older_copy_lay(
    indices: MemoryIndices,
) -> None:
    monthly_indices.write(indices, [image(5)], OCTOBER)
    assert monthly_indices.write(indices, [image(6)], NOVEMBER) == [WriteOutcome.WRITTEN]
    assert indices.months == {"2026.10": {"mug": moved(6)}, "2026.11": {"mug": image(6)}}


def test_the_newer_month_is_refreshed_before_the_older_copy_goes(indices: MemoryIndices) -> None:
    monthly_indices.write(indices, [image(5)], OCTOBER)
    indices.refresh(["2026.10"])
    monthly_indices.write(indices, [image(6)], NOVEMBER)
    assert [one.version for one in indices.found("mug")] == [5, 6]
    indices.refresh(["2026.10"])
    assert [one.version for one in indices.found("mug")] == [6]


def test_a_lower_version_in_a_later_month_is_superseded_and_not_even_put(indices: MemoryIndices) -> None:
    monthly_indices.write(indices, [image(5)], OCTOBER)
    assert monthly_indices.write(indices, [image(4)], NOVEMBER) == [WriteOutcome.SUPERSEDED]
    assert indices.months == {"2026.10": {"mug": image(5)}, "2026.11": {}}


def test_of_equal_versions_the_first_stays(indices: MemoryIndices) -> None:
    monthly_indices.write(indices, [image(5)], OCTOBER)
    assert monthly_indices.write(indices, [deletion(5)], NOVEMBER) == [WriteOutcome.REPEATED]
    assert monthly_indices.write(indices, [deletion(5)], OCTOBER) == [WriteOutcome.REPEATED]
    assert monthly_indices.look_up(indices, ["mug"]) == {"mug": image(5)}


def test_a_code_is_added_in_the_month_of_the_image_by_whichever_clock(indices: MemoryIndices) -> None:
    before = replace(image(5), codes={"theirs": b"\0\0"})
    monthly_indices.write(indices, [before], NOVEMBER)
    with_ours = replace(before, codes={"theirs": b"\0\0", "e": b"\0\1"})
    with_a_third = replace(with_ours, codes=dict(with_ours.codes) | {"third": b"\0\2"})
    assert monthly_indices.write(indices, [with_ours], OCTOBER) == [WriteOutcome.WRITTEN]
    assert monthly_indices.write(indices, [with_a_third], DECEMBER) == [WriteOutcome.WRITTEN]
    assert monthly_indices.write(indices, [with_ours], NOVEMBER) == [WriteOutcome.REPEATED]
    assert indices.months == {"2026.10": {}, "2026.11": {"mug": with_a_third}, "2026.12": {}}


def test_a_code_that_comes_late_to_a_month_that_the_image_has_left_brings_no_second_copy(
    indices: MemoryIndices,
) -> None:
    """The worst that adding a code can meet: a marker of just its version, where the image was seen."""

    class HeldUp(MemoryIndices):
        def put(self, puts: Sequence[Put]) -> Sequence[PutOutcome | RejectedError]:
            if puts[0].over_equal and puts[0].document.live:
                indices.put([Put("2026.11", image(5))])
                monthly_indices.settle(indices, ["mug"])
                assert indices.months["2026.10"]["mug"] == moved(5)
            return super().put(puts)

    monthly_indices.write(indices, [foreign(5)], OCTOBER)
    indices.prepare("2026.11", {})
    held_up = HeldUp(indices.months, indices.searchable)
    assert monthly_indices.write(held_up, [image(5)], OCTOBER) == [WriteOutcome.WRITTEN]
    assert indices.months == {"2026.10": {"mug": moved(5)}, "2026.11": {"mug": image(5)}}


def test_a_delete_in_a_later_month_leaves_no_live_copy(indices: MemoryIndices) -> None:
    monthly_indices.write(indices, [image(5)], OCTOBER)
    monthly_indices.write(indices, [deletion(6)], NOVEMBER)
    assert [one.live for one in indices.held("mug")] == [False, False]
    assert monthly_indices.look_up(indices, ["mug"]) == {"mug": deletion(6)}


def test_a_delete_keeps_lower_versions_out_of_later_months(indices: MemoryIndices) -> None:
    monthly_indices.write(indices, [deletion(6)], OCTOBER)
    assert monthly_indices.write(indices, [image(5)], NOVEMBER) == [WriteOutcome.SUPERSEDED]
    assert monthly_indices.write(indices, [image(7)], NOVEMBER) == [WriteOutcome.WRITTEN]
    assert monthly_indices.look_up(indices, ["mug"]) == {"mug": image(7)}


def test_an_image_that_moved_twice_is_repaired_in_every_month(indices: MemoryIndices) -> None:
    for clock, version in ((OCTOBER, 5), (NOVEMBER, 6), (DECEMBER, 7)):
        monthly_indices.write(indices, [image(version)], clock)
    assert [one.live for one in indices.held("mug")] == [False, False, True]


def test_settle_repairs_what_a_crash_left_and_gives_the_highest_version(indices: MemoryIndices) -> None:
    indices.months = {"2026.10": {"mug": image(5), "cup": image(9, "cup")}, "2026.11": {"mug": image(6)}}
    assert monthly_indices.settle(indices, ["mug", "cup", "jug", "mug"]) == {"mug": image(6), "cup": image(9, "cup")}
    assert indices.months["2026.10"] == {"mug": moved(6), "cup": image(9, "cup")}


def test_looking_up_repairs_nothing(indices: MemoryIndices) -> None:
    indices.months = {"2026.10": {"mug": image(5)}, "2026.11": {"mug": image(6)}}
    assert monthly_indices.look_up(indices, ["mug"]) == {"mug": image(6)}
    assert indices.months["2026.10"] == {"mug": image(5)}


def test_two_live_copies_of_one_version_become_one_in_the_newest_month(indices: MemoryIndices) -> None:
    indices.months = {"2026.10": {"mug": image(5)}, "2026.11": {"mug": image(5)}}
    monthly_indices.settle(indices, ["mug"])
    assert indices.months == {"2026.10": {"mug": moved(5)}, "2026.11": {"mug": image(5)}}


def test_a_marker_of_a_move_does_not_win_over_the_copy_it_speaks_of(indices: MemoryIndices) -> None:
    indices.months = {"2026.10": {"mug": image(5)}, "2026.11": {"mug": moved(5)}}
    assert monthly_indices.settle(indices, ["mug"]) == {"mug": image(5)}
    assert indices.months["2026.10"] == {"mug": image(5)}


def test_a_marker_whose_winner_went_with_its_month_still_keeps_lower_versions_out(indices: MemoryIndices) -> None:
    indices.months = {"2026.11": {"mug": moved(5)}, "2026.12": {}}
    assert monthly_indices.settle(indices, ["mug"]) == {"mug": moved(5)}
    assert monthly_indices.write(indices, [image(4)], DECEMBER) == [WriteOutcome.SUPERSEDED]
    assert monthly_indices.write(indices, [image(6)], DECEMBER) == [WriteOutcome.WRITTEN]


def test_a_look_that_falls_into_a_move_is_repeated(indices: MemoryIndices) -> None:
    """The newer month was looked at before the update came, the older one after it became a marker."""
    indices.months = {"2026.10": {}, "2026.11": {"mug": image(5)}}
    looks = 0

    def move_in_between() -> None:
        nonlocal looks
        looks += 1
        # Steps: the listing, October, November.
        if looks == 3:
            indices.months = {"2026.10": {"mug": image(6)}, "2026.11": {"mug": moved(6)}}

    indices.step = move_in_between
    assert monthly_indices.look_up(indices, ["mug"]) == {"mug": image(6)}


def test_a_month_that_vanishes_during_a_write_is_an_outage_and_not_a_loss(indices: MemoryIndices) -> None:
    class Vanishing(MemoryIndices):
        def put(self, puts: Sequence[Put]) -> Sequence[PutOutcome | RejectedError]:
            self.months.clear()
            return super().put(puts)

    with pytest.raises(StoreUnavailableError, match=r"2026\.11 was removed"):
        monthly_indices.write(Vanishing(), [image(5)], NOVEMBER)


def test_a_refused_document_is_answered_for_and_its_neighbours_are_written(indices: MemoryIndices) -> None:
    refusal = RejectedError(RejectionReason.DOCUMENT_REFUSED, "no")

    class Refusing(MemoryIndices):
        def put(self, puts: Sequence[Put]) -> Sequence[PutOutcome | RejectedError]:
            return [refusal if put.document.image_id == "bad" else super(Refusing, self).put([put])[0] for put in puts]

    refusing = Refusing()
    answers = monthly_indices.write(refusing, [image(1, "a"), image(1, "bad"), image(1, "b")], NOVEMBER)
    assert answers == [WriteOutcome.WRITTEN, refusal, WriteOutcome.WRITTEN]
    assert set(refusing.months["2026.11"]) == {"a", "b"}


def test_months_are_dropped_whole_once_nothing_in_them_can_be_visible(indices: MemoryIndices) -> None:
    for month in ("2026.06", "2026.07", "2026.08", "2026.11"):
        indices.prepare(month, {})
    assert monthly_indices.drop_expired(indices, datetime(2026, 11, 15, tzinfo=UTC), 3) == ["2026.06", "2026.07"]
    assert sorted(indices.months) == ["2026.08", "2026.11"]


# Any interleaving of workers, with crashes between any two steps ------------------------------------------------------


class Died(BaseException):
    """The worker was killed at this step."""


class SteppedWorker:
    """Runs a task in a thread that takes one step at a time, when it is told to."""

    def __init__(self, task: Callable[[Callable[[], None]], None]) -> None:
        self._orders: SimpleQueue[bool] = SimpleQueue()
        self._reports: SimpleQueue[BaseException | bool] = SimpleQueue()
        self._task = task
        self.running = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._await_report()

    def advance(self, *, dies: bool = False) -> None:
        """Let it take its next step, or die in place of it."""
        if self.running:
            self._orders.put(dies)
            self._await_report()

    def _await_report(self) -> None:
        report = self._reports.get()
        if isinstance(report, bool):
            self.running = report
            return
        self.running = False
        if not isinstance(report, Died):
            raise report

    def _step(self) -> None:
        self._reports.put(True)
        if self._orders.get():
            raise Died

    def _run(self) -> None:
        try:
            self._task(self._step)
        except BaseException as error:  # noqa: BLE001 (handed to the test's own thread)
            self._reports.put(error)
        else:
            self._reports.put(False)


Write = tuple[datetime, Document]


@dataclass(frozen=True)
class Turn:
    """`steps` steps in a row of one worker, or (`worker` None) one month, chosen by `steps`, refreshes by itself."""

    worker: int | None
    steps: int
    dies: bool = False


@dataclass
class Trial:
    """Workers that write to one server, and what must hold after every step of any of them."""

    before: Sequence[Write]
    tasks: Sequence[Sequence[Write]]
    server: MemoryIndices = field(default_factory=MemoryIndices)
    highest_found: int = -1

    def run(self, turns: Sequence[Turn], check: Callable[[], None]) -> None:
        """Write `before` one after another, then let the workers take turns until each has ended or died."""
        for clock, document in self.before:
            monthly_indices.write(self.server, [document], clock)
        self._refresh()
        workers = [SteppedWorker(self._task_of(writes)) for writes in self.tasks]
        for turn in turns:
            if turn.worker is None:
                months = sorted(self.server.months)
                self.server.refresh([months[turn.steps % len(months)]])
                check()
                continue
            worker = workers[turn.worker % len(workers)]
            for _ in range(turn.steps):
                worker.advance()
                check()
            if turn.dies:
                worker.advance(dies=True)
        for worker in workers:
            while worker.running:
                worker.advance()
                check()

    def check_found(self) -> None:
        """An image that was ever found is found now, and in no lower version than before."""
        found = self.server.found("mug")
        if self.highest_found >= 0:
            assert found, "the image disappeared"
            assert max(one.version for one in found) >= self.highest_found, "an older version came back"
        self.highest_found = max([self.highest_found, *(one.version for one in found)])

    def settle(self) -> None:
        monthly_indices.settle(self.server, ["mug"])
        self._refresh()

    def live(self) -> list[Document]:
        return [one for one in self.server.held("mug") if one.live]

    def _refresh(self) -> None:
        self.server.refresh(list(self.server.months))

    def _task_of(self, writes: Sequence[Write]) -> Callable[[Callable[[], None]], None]:
        def task(step: Callable[[], None]) -> None:
            client = MemoryIndices(self.server.months, self.server.searchable, step)
            for clock, document in writes:
                monthly_indices.write(client, [document], clock)

        return task


# Few months, versions and workers, so that they meet often.
clocks = st.sampled_from([OCTOBER, NOVEMBER, DECEMBER])
versions = st.integers(1, 3)
updates = st.lists(st.tuples(clocks, st.builds(image, versions)), min_size=1, max_size=2)
events = st.lists(st.tuples(clocks, st.builds(image, versions) | st.builds(deletion, versions)), min_size=1, max_size=2)


def turns(*, dying: bool) -> st.SearchStrategy[list[Turn]]:
    workers = st.sampled_from([0, 1, 0, 1, 2, None])
    return st.lists(
        st.builds(Turn, workers, st.integers(1, 14), st.booleans() if dying else st.just(False)), min_size=3, max_size=9
    )


@settings(max_examples=500, deadline=None)
@given(before=updates, tasks=st.lists(updates, min_size=2, max_size=3), order=turns(dying=False))
def test_no_interleaving_of_updates_hides_an_image_or_leaves_two_of_it(
    before: list[Write], tasks: list[list[Write]], order: list[Turn]
) -> None:
    trial = Trial(before, tasks)
    trial.run(order, trial.check_found)
    assert [one.version for one in trial.live()] == [
        max(document.version for writes in [before, *tasks] for _, document in writes)
    ]


@settings(max_examples=300, deadline=None)
@given(
    before=st.lists(st.tuples(clocks, versions.map(foreign)), min_size=1, max_size=2),
    tasks=st.lists(updates, min_size=2, max_size=3),
    order=turns(dying=False),
)
def test_no_interleaving_of_workers_that_add_a_code_loses_one_or_hides_the_image(
    before: list[Write], tasks: list[list[Write]], order: list[Turn]
) -> None:
    trial = Trial(before, tasks)
    trial.run(order, trial.check_found)
    written = [document for writes in [before, *tasks] for _, document in writes]
    highest = max(one.version for one in written)
    (left,) = trial.live()
    assert (left.version, "e" in left.codes) == (highest, any(one == image(highest) for one in written))


@settings(max_examples=500, deadline=None)
@given(before=updates, tasks=st.lists(updates, min_size=2, max_size=3), order=turns(dying=True))
def test_whatever_dying_workers_leave_the_next_look_repairs(
    before: list[Write], tasks: list[list[Write]], order: list[Turn]
) -> None:
    trial = Trial(before, tasks)
    trial.run(order, trial.check_found)
    highest = max(one.version for one in trial.server.held("mug"))
    trial.settle()
    trial.check_found()
    assert [one.version for one in trial.live()] == [highest]
    assert trial.server.found("mug") == trial.live()


@settings(max_examples=300, deadline=None)
@given(before=events, tasks=st.lists(events, min_size=2, max_size=3), order=turns(dying=True))
def test_no_interleaving_of_updates_and_deletes_leaves_a_stale_copy(
    before: list[Write], tasks: list[list[Write]], order: list[Turn]
) -> None:
    trial = Trial(before, tasks)
    trial.run(order, lambda: None)
    trial.settle()
    held = trial.server.held("mug")
    highest = [one for one in held if one.version == max(one.version for one in held)]
    assert trial.live() == [one for one in highest if one.live]
    assert len(trial.live()) <= 1
    # What some worker wrote at that version is still there: markers of moves alone speak of nothing.
    assert any(one.kind is not Kind.MOVED for one in highest)


@pytest.mark.parametrize(
    ("before", "first", "second"),
    [
        # Each worker may see the other's copy of 5 and would mark it, were a marker allowed over an equal version that
        # came after the look.
        ([(NOVEMBER, image(3))], (OCTOBER, image(5)), (NOVEMBER, image(5))),
        ([(OCTOBER, image(3))], (OCTOBER, image(5)), (NOVEMBER, image(5))),
        # The second began before the first's month was made.
        ([], (OCTOBER, image(5)), (NOVEMBER, image(4))),
    ],
)
def test_two_workers_that_interrupt_each_other_anywhere_leave_one_copy(
    before: list[Write], first: Write, second: Write
) -> None:
    """Every schedule in which the second begins, the first goes on, the second goes on, and both end."""
    for begun, first_steps, second_steps in itertools.product(range(4), range(1, 13), range(1, 13)):
        trial = Trial(before, [[first], [second]])
        trial.run([Turn(1, begun), Turn(0, first_steps), Turn(1, second_steps)], trial.check_found)
        assert [one.version for one in trial.live()] == [5]
