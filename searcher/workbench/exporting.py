"""Judgements as files: tables for people, qrels and runs for evaluation tools, triplets for training.

| format | what |
|---|---|
| `csv` | a row an image, its last verdict; no spreadsheet takes a cell for a formula |
| `json` | the same, with all that the ledger keeps |
| `qrels` | TREC relevance judgements: the case is the topic; unsure ones are left out |
| `run` | TREC run: the judged images in the order in which searches showed them |
| `triplets` | JSON Lines of anchor, positive and negative image ids, which `indexer train --triplets` reads |
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from urllib.parse import quote

from searcher.spreadsheet import csv_text
from searcher.workbench.records import Case, Judgement, Verdict
from searcher.workbench.wire import JudgementReply
from shared.rolling_window import to_milliseconds

_COLUMNS = ("case_id", "image_id", "verdict", "who", "at", "rank", "distance", "encoder", "item_id", "image_url")
_GRADES = {Verdict.RELEVANT: 1, Verdict.NOT_RELEVANT: 0}
_TRIPLETS_PER_POSITIVE = 5
_SEED = 0


class ExportFormat(StrEnum):
    """What judgements can be written as."""

    CSV = "csv"
    JSON = "json"
    QRELS = "qrels"
    RUN = "run"
    TRIPLETS = "triplets"

    @property
    def media_type(self) -> str:
        """The type of such a file."""
        return {"csv": "text/csv; charset=utf-8", "json": "application/json", "triplets": "application/x-ndjson"}.get(
            self, "text/plain; charset=utf-8"
        )


def export(cases: Sequence[tuple[Case, Sequence[Judgement]]], wanted: ExportFormat) -> str:
    """Cases with the last judgements of their images, as the text of a file. The same input gives the same text."""
    return _EXPORTS[wanted](cases)


def _csv(cases: Sequence[tuple[Case, Sequence[Judgement]]]) -> str:
    return csv_text(_COLUMNS, [_row(judgement) for _, judgements in cases for judgement in judgements])


def _row(judgement: Judgement) -> list[str | int | None]:
    reply = JudgementReply.of(judgement)
    image: Mapping[str, str | None] = reply.image or {}
    own = [getattr(reply, column) for column in _COLUMNS[:-2]]
    return [*own, image.get("item_id"), image.get("image_url")]


def _json(cases: Sequence[tuple[Case, Sequence[Judgement]]]) -> str:
    entries = [JudgementReply.of(judgement).model_dump(mode="json") for _, found in cases for judgement in found]
    return json.dumps(entries, ensure_ascii=False, indent=2) + "\n"


def _qrels(cases: Sequence[tuple[Case, Sequence[Judgement]]]) -> str:
    return "".join(
        f"{case.case_id} 0 {_trec_id(one.image_id)} {_GRADES[one.verdict]}\n"
        for case, judgements in cases
        for one in judgements
        if one.verdict in _GRADES
    )


def _run(cases: Sequence[tuple[Case, Sequence[Judgement]]]) -> str:
    return "".join(line for case, judgements in cases for line in _run_of(case, judgements))


def _run_of(case: Case, judgements: Sequence[Judgement]) -> Iterator[str]:
    # A later round's first hit comes behind an earlier round's hits: that is the order in which they were seen.
    shown = [one for one in judgements if one.rank is not None]
    shown.sort(key=lambda one: (to_milliseconds(one.at), one.rank, one.image_id))
    for rank, one in enumerate(shown, start=1):
        # Tools order by score alone, so it falls strictly.
        yield f"{case.case_id} Q0 {_trec_id(one.image_id)} {rank} {len(shown) - rank + 1} judged\n"


def _triplets(cases: Sequence[tuple[Case, Sequence[Judgement]]]) -> str:
    generator = random.Random(_SEED)
    return "".join(
        json.dumps({"anchor": anchor, "positive": positive, "negative": negative}, ensure_ascii=False) + "\n"
        for case, judgements in cases
        for anchor, positive, negative in _triplets_of(case, judgements, generator)
    )


def _triplets_of(
    case: Case, judgements: Sequence[Judgement], generator: random.Random
) -> Iterator[tuple[str, str, str]]:
    """Some triplets for each relevant image: another relevant one or an indexed seed, and one that is not relevant."""
    wanted = [one.image_id for one in judgements if one.verdict is Verdict.RELEVANT]
    unwanted = [one.image_id for one in judgements if one.verdict is Verdict.NOT_RELEVANT]
    judged = {one.image_id for one in judgements}
    seeds = {seed.image_id for seed in case.seeds if seed.image_id is not None and seed.weight > 0} - judged
    anchors = sorted({*wanted, *seeds})
    for positive in wanted:
        others = [anchor for anchor in anchors if anchor != positive]
        count = min(_TRIPLETS_PER_POSITIVE, len(others) * len(unwanted))
        drawn = {(generator.choice(others), positive, generator.choice(unwanted)) for _ in range(count)}
        yield from sorted(drawn)


def _trec_id(image_id: str) -> str:
    """An image id without white space, which ends a column there."""
    return quote(image_id, safe="/:;,.!?@#$&*()[]{}<>|\\^`'\"~=+-_") if any(map(str.isspace, image_id)) else image_id


_EXPORTS: Mapping[ExportFormat, Callable[[Sequence[tuple[Case, Sequence[Judgement]]]], str]] = {
    ExportFormat.CSV: _csv,
    ExportFormat.JSON: _json,
    ExportFormat.QRELS: _qrels,
    ExportFormat.RUN: _run,
    ExportFormat.TRIPLETS: _triplets,
}
