"""The promises hold in every seed, a seed is the same every time, and a broken worker is found out.

`CATALOGUE_SIMULATOR_SEEDS` is no setting of the product: more seeds are run by `make simulate SEEDS=…`.
"""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from pytest import MonkeyPatch

import tests.simulator.server as server_module
from indexer.batching import Batcher
from indexer.event_log import Record
from indexer.offset_tracker import OffsetTracker
from indexer.pipeline import Pipeline, _Turns
from indexer.worker import Worker
from shared.document import Document, Kind
from shared.store import monthly_indices
from shared.store.monthly_indices import MonthlyIndices, Put, PutOutcome
from tests.simulator.running import report_of, run_seeds
from tests.simulator.server import SimulatedIndices, SimulatedStore

SEEDS = 2000
MUTANT_SEEDS = 400

Patch = Callable[[MonkeyPatch], None]


def test_every_promise_holds_in_every_seed() -> None:
    reports = run_seeds(range(SEEDS))
    failed = [f"make simulate SEED={one.seed}: {one.violation}" for one in reports if one.violation is not None]
    assert failed == []
    assert len(reports) == SEEDS
    # It would prove little if nothing had happened.
    assert sum(one.records for one in reports) > 10 * SEEDS
    assert sum(one.strikes for one in reports) > SEEDS


def test_a_seed_is_the_same_in_every_process() -> None:
    program = "import sys; from tests.simulator.running import report_of; report_of(int(sys.argv[1]), trace=print)"
    for seed in ("7", "19"):
        traces = {
            subprocess.run(
                [sys.executable, "-c", program, seed],
                check=True,
                capture_output=True,
                cwd=Path(__file__).parents[2],
                env={"PYTHONHASHSEED": salt},
            ).stdout
            for salt in ("1", "2")
        }
        assert len(traces) == 1
        assert traces.pop().count(b"\n") > 50


# Mutants: each is a worker or a store that breaks one rule, and must be found out -------------------------------------


def done_before_it_is_written(monkeypatch: MonkeyPatch) -> None:
    begin = OffsetTracker.begin

    def begin_and_end(self: OffsetTracker, record: Record) -> None:
        begin(self, record)
        self.done(record)

    monkeypatch.setattr(OffsetTracker, "begin", begin_and_end)


def positions_pass_unfinished_records(monkeypatch: MonkeyPatch) -> None:
    def done(self: OffsetTracker, record: Record) -> None:
        if record.partition in self._assignments:
            assignment = self._assignments[record.partition]
            assignment.position = max(assignment.position or 0, record.next_offset)
            assignment.begun.pop(record.offset, None)

    monkeypatch.setattr(OffsetTracker, "done", done)


def lost_partitions_are_kept(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(OffsetTracker, "lose", lambda self, partitions: None)


def rejected_records_are_dropped(monkeypatch: MonkeyPatch) -> None:
    async def forget(self: Pipeline, letters: Sequence[object]) -> list[None]:
        return [None] * len(letters)

    monkeypatch.setattr(Pipeline, "_dead_letter", forget)


def no_look_after_writing(monkeypatch: MonkeyPatch) -> None:
    class Blind:
        """Primitives that see no copies once something was put."""

        def __init__(self, indices: MonthlyIndices) -> None:
            self._indices = indices
            self._put = False

        def __getattr__(self, name: str) -> object:
            return getattr(self._indices, name)

        def put(self, puts: Sequence[Put]) -> object:
            self._put = True
            return self._indices.put(puts)

        def versions(self, image_ids: Sequence[str], months: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
            return {} if self._put else self._indices.versions(image_ids, months)

    write = monthly_indices.write
    monkeypatch.setattr(
        SimulatedStore, "write", lambda self, documents, now: write(Blind(self.indices), documents, now)  # type: ignore[arg-type]
    )


def no_repair_at_the_look_before_a_plan(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(
        SimulatedStore, "settle", lambda self, image_ids: monthly_indices.look_up(self.indices, image_ids)
    )


def markers_go_over_any_equal_version(monkeypatch: MonkeyPatch) -> None:
    mark = monthly_indices._mark
    monkeypatch.setattr(
        monthly_indices, "_mark", lambda month, loser, winner: replace(mark(month, loser, winner), over_equal=True)
    )


def markers_never_go_over_an_equal_version(monkeypatch: MonkeyPatch) -> None:
    mark = monthly_indices._mark
    monkeypatch.setattr(
        monthly_indices, "_mark", lambda month, loser, winner: replace(mark(month, loser, winner), over_equal=False)
    )


def markers_are_deletes(monkeypatch: MonkeyPatch) -> None:
    put = server_module.Server.put

    def put_or_delete(self: server_module.Server, one: Put) -> PutOutcome:
        outcome = put(self, one)
        if outcome is PutOutcome.STORED and one.document.kind is not Kind.IMAGE:
            del self.indices.months[one.month][one.document.image_id]
        return outcome

    monkeypatch.setattr(server_module.Server, "put", put_or_delete)


def no_refresh_before_the_older_copy_goes(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedIndices, "refresh", lambda self, months: None)


def writes_ignore_versions(monkeypatch: MonkeyPatch) -> None:
    def put(self: server_module.Server, one: Put) -> PutOutcome:
        self.indices.months[one.month][one.document.image_id] = one.document
        self.on_put(one)
        return PutOutcome.STORED

    monkeypatch.setattr(server_module.Server, "put", put)


def an_outage_counts_as_done(monkeypatch: MonkeyPatch) -> None:
    ask = Pipeline._ask_store

    async def ask_once(self: Pipeline, question: Callable[[object], object]) -> object:
        async with asyncio.timeout(0.3):
            return await ask(self, question)

    async def written(self: Pipeline, documents: Sequence[Document]) -> Sequence[object]:
        try:
            return await ask_once(self, lambda store: store.write(documents, self._parts.now()))  # type: ignore[attr-defined]
        except TimeoutError:
            return ["superseded"] * len(documents)

    monkeypatch.setattr(Pipeline, "_write", written)


def months_are_dropped_a_month_early(monkeypatch: MonkeyPatch) -> None:
    def drop(self: SimulatedStore, now: datetime, window_months: int) -> list[str]:
        return monthly_indices.drop_expired(self.indices, now, window_months - 1)

    monkeypatch.setattr(SimulatedStore, "drop_expired", drop)


def the_bound_is_ignored(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "_room", lambda self: 8)


MUTANTS: list[Patch] = [
    done_before_it_is_written,
    positions_pass_unfinished_records,
    lost_partitions_are_kept,
    rejected_records_are_dropped,
    no_look_after_writing,
    no_repair_at_the_look_before_a_plan,
    markers_go_over_any_equal_version,
    markers_never_go_over_an_equal_version,
    markers_are_deletes,
    no_refresh_before_the_older_copy_goes,
    writes_ignore_versions,
    an_outage_counts_as_done,
    months_are_dropped_a_month_early,
    the_bound_is_ignored,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_rule_is_found_out(mutant: Patch, monkeypatch: MonkeyPatch) -> None:
    mutant(monkeypatch)
    assert any(report_of(seed).violation is not None for seed in range(MUTANT_SEEDS)), "no seed found it out"
