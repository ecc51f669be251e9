"""Groups of duplicates as files: a row an image for people and spreadsheets, or JSON."""

import json
from collections.abc import Iterator, Sequence
from enum import StrEnum

from searcher.duplicates.records import Group, GroupState
from searcher.duplicates.wire import GroupReply, RunReply
from searcher.spreadsheet import csv_text

_COLUMNS = (
    "run_id",
    "group_id",
    "state",
    "verdict",
    "image_id",
    "item_id",
    "distance",
    "diameter",
    "loose",
    "image_url",
)


class GroupsFormat(StrEnum):
    """What groups can be written as."""

    CSV = "csv"
    JSON = "json"

    @property
    def media_type(self) -> str:
        """The type of such a file."""
        return "application/json" if self is GroupsFormat.JSON else "text/csv; charset=utf-8"


def export(run: RunReply, groups: Sequence[Group], wanted: GroupsFormat) -> str:
    """A run's groups, those merged into others left out, as the text of a file. The same input gives the same text."""
    remaining = [group for group in groups if group.state is not GroupState.MERGED]
    if wanted is GroupsFormat.CSV:
        return csv_text(_COLUMNS, (row for group in remaining for row in _rows(run.run_id, group)))
    document = {
        "run": run.model_dump(mode="json"),
        "groups": [GroupReply.of(group).model_dump(mode="json") for group in remaining],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _rows(run_id: str, group: Group) -> Iterator[tuple[str | int | bool | None, ...]]:
    for member in group.members:
        verdict = ""
        if group.state is GroupState.KEPT:
            verdict = "keep" if member.image_id == group.kept else "duplicate"
        yield (
            run_id,
            group.group_id,
            group.state.value,
            verdict,
            member.image_id,
            member.item_id,
            member.distance,
            group.diameter,
            group.loose,
            member.image_url,
        )
