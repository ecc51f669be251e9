"""Runs, groups and entries of duplicates as rows of the tables, and back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from searcher.duplicates.records import (
    Action,
    By,
    Decision,
    Entry,
    FoundGroup,
    Group,
    GroupState,
    Member,
    Question,
    Run,
    RunState,
    Same,
)
from searcher.workbench.tables import DUPLICATE_GROUPS, DUPLICATE_MEMBERS, DUPLICATE_RUNS
from shared.errors import CatalogueError
from shared.rolling_window import from_milliseconds

# Written in one statement; a group can have very many.
_ROWS_AT_ONCE = 5000


class RunMissingError(CatalogueError):
    """There is no such run, or no such group in it."""


def add_group(connection: Connection, run_id: str, group: FoundGroup, question: Question) -> int:
    """A new group of a run; gives its number."""
    spread = {"diameter": group.diameter, "loose": group.diameter > question.radius}
    added = connection.execute(
        DUPLICATE_GROUPS.insert()
        .values(run_id=run_id, state=GroupState.OPEN, kept=None, **spread)
        .returning(DUPLICATE_GROUPS.c.group_id)
    )
    group_id = int(added.scalar_one())
    _add_members(connection, group_id, group.members)
    return group_id


def replace_members(connection: Connection, group_id: int, group: FoundGroup, question: Question) -> None:
    """Give a group other members."""
    spread = {"diameter": group.diameter, "loose": group.diameter > question.radius}
    connection.execute(DUPLICATE_GROUPS.update().where(DUPLICATE_GROUPS.c.group_id == group_id).values(**spread))
    connection.execute(DUPLICATE_MEMBERS.delete().where(DUPLICATE_MEMBERS.c.group_id == group_id))
    _add_members(connection, group_id, group.members)


def _add_members(connection: Connection, group_id: int, members: Sequence[Member]) -> None:
    rows = [
        {
            "group_id": group_id,
            "place": place,
            "image_id": member.image_id,
            "item_id": member.item_id,
            "distance": member.distance,
            "code": member.code,
            "image": json.dumps([member.image_url, dict(member.attributes)], ensure_ascii=False),
        }
        for place, member in enumerate(members)
    ]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        connection.execute(DUPLICATE_MEMBERS.insert(), rows[start : start + _ROWS_AT_ONCE])


def read_run(connection: Connection, run_id: str) -> Run:
    """A run; RunMissingError."""
    row = connection.execute(select(DUPLICATE_RUNS).where(DUPLICATE_RUNS.c.run_id == run_id)).first()
    if row is None:
        raise RunMissingError("there is no such run")
    return run_of(row, count_groups(connection, run_id))


def count_groups(connection: Connection, run_id: str) -> dict[GroupState, int]:
    """The groups of a run by state."""
    counted = select(DUPLICATE_GROUPS.c.state, func.count().label("groups")).where(DUPLICATE_GROUPS.c.run_id == run_id)
    counts = {
        GroupState(row.state): row.groups for row in connection.execute(counted.group_by(DUPLICATE_GROUPS.c.state))
    }
    return {state: counts.get(state, 0) for state in GroupState}


def hold_group(connection: Connection, run_id: str, group_id: int) -> None:
    """Keep others from changing the group until the transaction ends. SQLite lets one write at a time anyway."""
    wanted = select(DUPLICATE_GROUPS.c.group_id).where(
        DUPLICATE_GROUPS.c.run_id == run_id, DUPLICATE_GROUPS.c.group_id == group_id
    )
    if connection.execute(wanted.with_for_update()).first() is None:
        raise RunMissingError("there is no such group in this run")


def read_group(connection: Connection, run_id: str, group_id: int) -> Group:
    """A group; RunMissingError."""
    wanted = select(DUPLICATE_GROUPS).where(
        DUPLICATE_GROUPS.c.run_id == run_id, DUPLICATE_GROUPS.c.group_id == group_id
    )
    row = connection.execute(wanted).first()
    if row is None:
        raise RunMissingError("there is no such group in this run")
    return group_of(row, read_members(connection, [group_id]).get(group_id, []))


def read_members(connection: Connection, group_ids: Sequence[int]) -> dict[int, list[Member]]:
    """The members of groups, in their order."""
    wanted = select(DUPLICATE_MEMBERS).where(DUPLICATE_MEMBERS.c.group_id.in_(group_ids))
    found: dict[int, list[Member]] = {}
    for row in connection.execute(wanted.order_by(DUPLICATE_MEMBERS.c.group_id, DUPLICATE_MEMBERS.c.place)):
        url, attributes = json.loads(row.image)
        member = Member(row.image_id, row.item_id, bytes(row.code), row.distance, url, attributes)
        found.setdefault(row.group_id, []).append(member)
    return found


def group_of(row: Row[Any], members: Sequence[Member]) -> Group:
    """The group of a row."""
    return Group(row.group_id, row.run_id, GroupState(row.state), row.kept, row.diameter, bool(row.loose), members)


def run_of(row: Row[Any], groups: Mapping[GroupState, int]) -> Run:
    """The run of a row."""
    question = json.loads(row.question)
    question |= {"same": Same(question["same"]), "by": By(question["by"])}
    return Run(
        row.run_id,
        Question(**question),
        row.encoder,
        RunState(row.state),
        row.who,
        from_milliseconds(row.made_at_ms),
        from_milliseconds(row.heard_at_ms),
        row.stage,
        row.done,
        row.total,
        row.images,
        row.pairs,
        json.loads(row.held_back),
        row.detail,
        groups,
    )


def entry_of(row: Row[Any]) -> Entry:
    """The entry of a row."""
    decision = json.loads(row.decision)
    decision["action"] = Action(decision["action"])
    return Entry(row.number, row.group_id, Decision(**decision), row.who, from_milliseconds(row.at_ms))
