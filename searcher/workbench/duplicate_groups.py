"""Runs that looked for duplicates, their groups, and what was decided of these. Entries of decisions are appended only.

Groups and members are what the entries come to: a split makes a group of those that leave, a merge empties the groups
that join another one, and either can be seen, and undone by its reverse, in the entries.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from searcher.duplicates.records import (
    Action,
    Decision,
    Entry,
    Found,
    Group,
    GroupState,
    Question,
    Run,
    RunState,
)
from searcher.duplicates.spread import arranged
from searcher.workbench.audit import write_audit
from searcher.workbench.database import Database
from searcher.workbench.duplicate_rows import (
    RunMissingError,
    add_group,
    count_groups,
    entry_of,
    group_of,
    hold_group,
    read_group,
    read_members,
    read_run,
    replace_members,
    run_of,
)
from searcher.workbench.tables import DUPLICATE_ENTRIES, DUPLICATE_GROUPS, DUPLICATE_MEMBERS, DUPLICATE_RUNS
from shared.errors import QueryInvalidError
from shared.rolling_window import to_milliseconds

__all__ = ["DuplicateGroups", "RunMissingError"]

_RUN_ID_BYTES = 8
# Written in one transaction: others that write to SQLite wait so long.
_GROUPS_AT_ONCE = 200


class DuplicateGroups:
    """Every method is one transaction; WorkbenchUnavailableError where the database is away."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    # Runs

    def begin(self, question: Question, encoder: str, who: str) -> Run:
        """A new run; it is written down in the audit log."""
        run_id, now = secrets.token_hex(_RUN_ID_BYTES), self._now_ms()
        values = {
            "run_id": run_id,
            "question": json.dumps(asdict(question)),
            "encoder": encoder,
            "state": RunState.RUNNING,
            "who": who,
            "made_at_ms": now,
            "heard_at_ms": now,
            "held_back": "[]",
        }
        values |= dict.fromkeys(("stage", "detail"), "") | dict.fromkeys(("done", "total", "images", "pairs"), 0)
        with self._database.transaction(writes=True) as connection:
            connection.execute(DUPLICATE_RUNS.insert().values(**values))
            detail = {"run_id": run_id, **asdict(question)}
            write_audit(connection, now, who, "duplicates_looked_for", case_id=None, detail=detail)
            return read_run(connection, run_id)

    def tell(self, run_id: str, stage: str, done: int, total: int) -> None:
        """How far the run is."""
        self._set(run_id, stage=stage, done=done, total=total)

    def fail(self, run_id: str, detail: str) -> None:
        """The run ended without groups."""
        self._set(run_id, state=RunState.FAILED, detail=detail)

    def finish(self, run_id: str, found: Found) -> Run:
        """Keep what the run found."""
        question = self.run(run_id).question
        for start in range(0, len(found.groups), _GROUPS_AT_ONCE):
            with self._database.transaction(writes=True) as connection:
                for group in found.groups[start : start + _GROUPS_AT_ONCE]:
                    add_group(connection, run_id, group, question)
        # A run is done only once all of it can be seen.
        held_back = json.dumps(found.held_back)
        self._set(run_id, state=RunState.DONE, images=found.images, pairs=found.pairs, held_back=held_back)
        return self.run(run_id)

    def run(self, run_id: str) -> Run:
        """A run; RunMissingError."""
        with self._database.transaction() as connection:
            return read_run(connection, run_id)

    def runs(self, count: int) -> list[Run]:
        """The last runs, the newest first."""
        wanted = select(DUPLICATE_RUNS).order_by(DUPLICATE_RUNS.c.made_at_ms.desc(), DUPLICATE_RUNS.c.run_id)
        with self._database.transaction() as connection:
            rows = connection.execute(wanted.limit(count)).all()
            return [run_of(row, count_groups(connection, row.run_id)) for row in rows]

    # Groups

    def groups(self, run_id: str, states: Sequence[GroupState], after: int, count: int) -> list[Group]:
        """Groups of a run in these states with numbers above `after`, in the order in which they were found."""
        wanted = select(DUPLICATE_GROUPS).where(
            DUPLICATE_GROUPS.c.run_id == run_id,
            DUPLICATE_GROUPS.c.state.in_(states),
            DUPLICATE_GROUPS.c.group_id > after,
        )
        with self._database.transaction() as connection:
            read_run(connection, run_id)
            rows = connection.execute(wanted.order_by(DUPLICATE_GROUPS.c.group_id).limit(count)).all()
            members = read_members(connection, [row.group_id for row in rows])
            return [group_of(row, members.get(row.group_id, [])) for row in rows]

    def group(self, run_id: str, group_id: int) -> Group:
        """A group; RunMissingError."""
        with self._database.transaction() as connection:
            return read_group(connection, run_id, group_id)

    def decide(self, run_id: str, group_id: int, decision: Decision, who: str) -> list[Group]:
        """Write a decision down and do what it says; gives the groups that it changed.

        RunMissingError; QueryInvalidError where the decision does not fit the group as it is now.
        """
        with self._database.transaction(writes=True) as connection:
            question = read_run(connection, run_id).question
            for one in sorted({group_id, *decision.groups}):
                hold_group(connection, run_id, one)
            group = read_group(connection, run_id, group_id)
            if group.state is GroupState.MERGED:
                raise QueryInvalidError("this group is part of another one now")
            changed = _DECISIONS[decision.action](connection, group, decision, question)
            values = {"run_id": run_id, "group_id": group_id, "who": who, "at_ms": self._now_ms()}
            connection.execute(DUPLICATE_ENTRIES.insert().values(**values, decision=json.dumps(asdict(decision))))
            return [read_group(connection, run_id, one) for one in changed]

    def entries(self, run_id: str, after: int, count: int) -> list[Entry]:
        """What was decided of a run's groups, in order, with numbers above `after`; RunMissingError."""
        wanted = select(DUPLICATE_ENTRIES).where(
            DUPLICATE_ENTRIES.c.run_id == run_id, DUPLICATE_ENTRIES.c.number > after
        )
        with self._database.transaction() as connection:
            read_run(connection, run_id)
            rows = connection.execute(wanted.order_by(DUPLICATE_ENTRIES.c.number).limit(count)).all()
        return [entry_of(row) for row in rows]

    def exported(self, run_id: str, who: str, detail: Mapping[str, Any]) -> None:
        """Write down in the audit log that somebody took a run's groups out."""
        with self._database.transaction(writes=True) as connection:
            audited = {"run_id": run_id, **detail}
            write_audit(connection, self._now_ms(), who, "duplicates_exported", case_id=None, detail=audited)

    def _set(self, run_id: str, **values: Any) -> None:
        with self._database.transaction(writes=True) as connection:
            found = DUPLICATE_RUNS.update().where(DUPLICATE_RUNS.c.run_id == run_id)
            connection.execute(found.values(**values, heard_at_ms=self._now_ms()))

    def _now_ms(self) -> int:
        return to_milliseconds(self._now())


# What decisions do ---------------------------------------------------------------------------------------------------


def _keep(connection: Connection, group: Group, decision: Decision, _: Question) -> list[int]:
    if len(decision.image_ids) != 1 or not set(decision.image_ids) <= _ids(group):
        raise QueryInvalidError("one image of the group is kept")
    return _put(connection, group.group_id, GroupState.KEPT, decision.image_ids[0])


def _dismiss(connection: Connection, group: Group, _: Decision, __: Question) -> list[int]:
    return _put(connection, group.group_id, GroupState.DISMISSED, None)


def _reopen(connection: Connection, group: Group, _: Decision, __: Question) -> list[int]:
    return _put(connection, group.group_id, GroupState.OPEN, None)


def _split(connection: Connection, group: Group, decision: Decision, question: Question) -> list[int]:
    leaving = set(decision.image_ids)
    if not leaving or not leaving < _ids(group):
        raise QueryInvalidError("a split names some images of the group, and not all of them")
    staying = arranged([one for one in group.members if one.image_id not in leaving], question.same)
    split_off = arranged([one for one in group.members if one.image_id in leaving], question.same)
    replace_members(connection, group.group_id, staying, question)
    return [
        *_put(connection, group.group_id, GroupState.OPEN, None),
        add_group(connection, group.run_id, split_off, question),
    ]


def _merge(connection: Connection, group: Group, decision: Decision, question: Question) -> list[int]:
    joining = [read_group(connection, group.run_id, one) for one in sorted(set(decision.groups))]
    if not joining or any(one.state is GroupState.MERGED or one.group_id == group.group_id for one in joining):
        raise QueryInvalidError("a merge names other groups, which are not part of another one")
    members = [member for one in (group, *joining) for member in one.members]
    for one in joining:
        connection.execute(DUPLICATE_MEMBERS.delete().where(DUPLICATE_MEMBERS.c.group_id == one.group_id))
        _put(connection, one.group_id, GroupState.MERGED, None)
    replace_members(connection, group.group_id, arranged(members, question.same), question)
    return [*_put(connection, group.group_id, GroupState.OPEN, None), *(one.group_id for one in joining)]


_DECISIONS: Mapping[Action, Callable[[Connection, Group, Decision, Question], list[int]]] = {
    Action.KEEP: _keep,
    Action.DISMISS: _dismiss,
    Action.REOPEN: _reopen,
    Action.SPLIT: _split,
    Action.MERGE: _merge,
}


def _ids(group: Group) -> set[str]:
    return {member.image_id for member in group.members}


def _put(connection: Connection, group_id: int, state: GroupState, kept: str | None) -> list[int]:
    found = DUPLICATE_GROUPS.update().where(DUPLICATE_GROUPS.c.group_id == group_id)
    connection.execute(found.values(state=state, kept=kept))
    return [group_id]
