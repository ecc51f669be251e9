"""What the workbench promises of runs for duplicates and of what is decided of their groups, on both databases."""

import numpy as np
import pytest

from searcher.duplicates.records import (
    Action,
    By,
    Decision,
    Found,
    Group,
    GroupState,
    Member,
    Question,
    Run,
    RunState,
    Same,
)
from searcher.duplicates.spread import arranged
from searcher.workbench.database import Database
from searcher.workbench.duplicate_groups import DuplicateGroups, RunMissingError
from shared.errors import QueryInvalidError
from tests.workbenches import Clock

QUESTION = Question(Same.PHOTO, 8, By.ITEM, match=["colour"], differ=["seller"])
ALL = list(GroupState)


@pytest.fixture
def kept(database: Database, clock: Clock) -> DuplicateGroups:
    return DuplicateGroups(database, clock)


def member(image_id: str, bits: int) -> Member:
    mask = np.zeros(256, np.uint8)
    mask[:bits] = 1
    return Member(
        image_id, f"item of {image_id}", np.packbits(mask).tobytes(), 0, "http://a/b", {"title": "=x", "n": 1}
    )


def finished(kept: DuplicateGroups) -> Run:
    run = kept.begin(QUESTION, "pdq-256", "ann")
    mugs = arranged([member("a", 0), member("b", 3), member("c", 6)], Same.PHOTO)
    hats = arranged([member("d", 100), member("e", 110)], Same.PHOTO)
    return kept.finish(run.run_id, Found([mugs, hats], 1000, 4, ["white"]))


def groups_of(kept: DuplicateGroups, run: Run) -> list[Group]:
    return kept.groups(run.run_id, ALL, 0, 100)


def ids(group: Group) -> list[str]:
    return [one.image_id for one in group.members]


def test_a_run_tells_how_far_it_is_and_what_it_found(kept: DuplicateGroups, clock: Clock) -> None:
    run = kept.begin(QUESTION, "pdq-256", "ann")
    assert (run.question, run.state, run.who, run.made_at) == (QUESTION, RunState.RUNNING, "ann", clock.moment)
    clock.advance()
    kept.tell(run.run_id, "comparing", 5, 10)
    told = kept.run(run.run_id)
    assert (told.stage, told.done, told.total, told.heard_at) == ("comparing", 5, 10, clock.moment)
    done = finished(kept)
    assert (done.state, done.images, done.pairs, done.held_back) == (RunState.DONE, 1000, 4, ["white"])
    assert done.groups == {state: 2 if state is GroupState.OPEN else 0 for state in GroupState}
    clock.advance()
    failed = kept.begin(QUESTION, "pdq-256", "bob")
    kept.fail(failed.run_id, "no codes")
    assert [(one.run_id, one.state) for one in kept.runs(1)] == [(failed.run_id, RunState.FAILED)]
    assert {one.run_id for one in kept.runs(9)} == {failed.run_id, run.run_id, done.run_id}


def test_groups_come_back_as_they_were_found_page_by_page(kept: DuplicateGroups) -> None:
    run = finished(kept)
    first, second = groups_of(kept, run)
    assert [one.image_id for one in first.members] == ["b", "a", "c"]
    assert [one.distance for one in first.members] == [0, 3, 3]
    assert first.members[1] == Member("a", "item of a", bytes(32), 3, "http://a/b", {"title": "=x", "n": 1})
    assert (first.diameter, first.loose, second.diameter, second.loose) == (6, False, 10, True)
    assert kept.groups(run.run_id, [GroupState.OPEN], 0, 1) == [first]
    assert kept.groups(run.run_id, [GroupState.OPEN], first.group_id, 1) == [second]
    assert kept.group(run.run_id, second.group_id) == second


def test_one_image_is_kept_a_group_dismissed_and_opened_again(kept: DuplicateGroups) -> None:
    run = finished(kept)
    first, second = (group.group_id for group in groups_of(kept, run))
    (changed,) = kept.decide(run.run_id, first, Decision(Action.KEEP, ["c"]), "ann")
    assert (changed.state, changed.kept) == (GroupState.KEPT, "c")
    kept.decide(run.run_id, second, Decision(Action.DISMISS), "bob")
    assert kept.run(run.run_id).groups[GroupState.DISMISSED] == 1
    assert kept.groups(run.run_id, [GroupState.OPEN], 0, 9) == []
    kept.decide(run.run_id, first, Decision(Action.REOPEN), "ann")
    assert kept.group(run.run_id, first).kept is None
    entries = kept.entries(run.run_id, 0, 9)
    assert [(one.decision.action, one.group_id, one.who) for one in entries] == [
        (Action.KEEP, first, "ann"),
        (Action.DISMISS, second, "bob"),
        (Action.REOPEN, first, "ann"),
    ]
    assert kept.entries(run.run_id, entries[1].number, 9) == entries[2:]


def test_a_group_is_split_and_merged_again(kept: DuplicateGroups) -> None:
    run = finished(kept)
    first, second = (group.group_id for group in groups_of(kept, run))
    kept.decide(run.run_id, first, Decision(Action.KEEP, ["a"]), "ann")
    staying, leaving = kept.decide(run.run_id, first, Decision(Action.SPLIT, ["c"]), "ann")
    assert sorted(ids(staying)) == ["a", "b"]
    assert (staying.state, staying.kept, staying.diameter) == (GroupState.OPEN, None, 3)
    assert (ids(leaving), leaving.state, leaving.diameter) == (["c"], GroupState.OPEN, 0)
    whole, *joined = kept.decide(run.run_id, first, Decision(Action.MERGE, groups=[leaving.group_id, second]), "ann")
    assert sorted(ids(whole)) == ["a", "b", "c", "d", "e"]
    assert whole.loose
    assert [(group.state, group.members) for group in joined] == [(GroupState.MERGED, [])] * 2
    with pytest.raises(QueryInvalidError):
        kept.decide(run.run_id, second, Decision(Action.DISMISS), "ann")


@pytest.mark.parametrize(
    "decision",
    [
        Decision(Action.KEEP, ["d"]),
        Decision(Action.KEEP, []),
        Decision(Action.SPLIT, ["a", "b", "c"]),
        Decision(Action.SPLIT, ["d"]),
        Decision(Action.SPLIT),
        Decision(Action.MERGE),
    ],
)
def test_a_decision_that_does_not_fit_its_group_changes_nothing(kept: DuplicateGroups, decision: Decision) -> None:
    run = finished(kept)
    before = groups_of(kept, run)
    with pytest.raises(QueryInvalidError):
        kept.decide(run.run_id, before[0].group_id, decision, "ann")
    with pytest.raises(QueryInvalidError):
        kept.decide(run.run_id, before[0].group_id, Decision(Action.MERGE, groups=[before[0].group_id]), "ann")
    assert groups_of(kept, run) == before
    assert kept.entries(run.run_id, 0, 9) == []


def test_what_is_not_there_is_told(kept: DuplicateGroups) -> None:
    run, other = finished(kept), finished(kept)
    strange = groups_of(kept, other)[0].group_id
    with pytest.raises(RunMissingError):
        kept.run("0")
    with pytest.raises(RunMissingError):
        kept.group(run.run_id, strange)
    with pytest.raises(RunMissingError):
        kept.decide(run.run_id, strange, Decision(Action.DISMISS), "ann")
    with pytest.raises(RunMissingError):
        kept.groups("0", ALL, 0, 1)
