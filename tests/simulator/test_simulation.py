"""The promises hold in every seed, a seed is the same every time, and a broken worker is found out.

More seeds: `make simulate SEEDS=100000`. One of them, step by step: `make simulate SEED=123`.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import tests.simulator.server as server_module
from indexer.offset_tracker import OffsetTracker
from indexer.pipeline import Pipeline
from indexer.watching import Watching, Written
from indexer.worker import Worker
from shared.document import Document, Kind
from shared.errors import RejectedError, StoreUnavailableError
from shared.event_log import Record
from shared.store import WriteOutcome, monthly_indices
from shared.store.monthly_indices import MonthlyIndices, Put, PutOutcome
from tests.simulator.running import report_of, run_seeds
from tests.simulator.server import SimulatedIndices, SimulatedStore

SEEDS = 2000
MUTANT_SEEDS = 300

Patch = Callable[[pytest.MonkeyPatch], None]


def test_every_promise_holds_in_every_seed() -> None:
    reports = run_seeds(range(SEEDS))
    failed = [f"make simulate SEED={one.seed}: {one.violation}" for one in reports if one.violation is not None]
    assert failed == []
    assert len(reports) == SEEDS
    # It would prove little if nothing had happened.
    assert sum(one.records for one in reports) > 10 * SEEDS
    assert sum(one.strikes for one in reports) > SEEDS
    assert sum(one.matches for one in reports) > SEEDS


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
        assert traces.pop().count(b"\n") > 20


# Mutants: each is a worker or a store that breaks one rule, and must be found out -------------------------------------


def done_before_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = OffsetTracker.begin

    def begin_and_end(self: OffsetTracker, record: Record) -> None:
        begin(self, record)
        self.done(record)

    monkeypatch.setattr(OffsetTracker, "begin", begin_and_end)


def positions_pass_unfinished_records(monkeypatch: pytest.MonkeyPatch) -> None:
    def done(self: OffsetTracker, record: Record) -> None:
        if record.partition in self._assignments:
            assignment = self._assignments[record.partition]
            assignment.position = max(assignment.position or 0, record.next_offset)
            assignment.begun.pop(record.offset, None)

    monkeypatch.setattr(OffsetTracker, "done", done)


def lost_partitions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OffsetTracker, "lose", lambda self, partitions: None)


def rejected_records_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forget(self: Pipeline, letters: Sequence[object]) -> list[None]:
        return [None] * len(letters)

    monkeypatch.setattr(Pipeline, "_dead_letter", forget)


class Blind:
    """Primitives that see no copies, either before something was put or after it."""

    def __init__(self, indices: MonthlyIndices, *, after_put: bool) -> None:
        self._indices = indices
        self._after_put = after_put
        self._put = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._indices, name)

    def put(self, puts: Sequence[Put]) -> object:
        self._put = True
        return self._indices.put(puts)

    def versions(self, image_ids: Sequence[str], months: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
        return {} if self._put is self._after_put else self._indices.versions(image_ids, months)


def write_blindly(monkeypatch: pytest.MonkeyPatch, *, after_put: bool) -> None:
    def write(
        self: SimulatedStore, documents: Sequence[Document], now: datetime
    ) -> Sequence[WriteOutcome | RejectedError]:
        blind: Any = Blind(self.indices, after_put=after_put)
        return monthly_indices.write(blind, documents, now)

    monkeypatch.setattr(SimulatedStore, "write", write)


def no_look_after_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    write_blindly(monkeypatch, after_put=True)


def no_repair_at_the_look_before_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        SimulatedStore, "settle", lambda self, image_ids: monthly_indices.look_up(self.indices, image_ids)
    )


def markers_never_go_over_an_equal_version(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = monthly_indices._mark
    monkeypatch.setattr(
        monthly_indices, "_mark", lambda month, loser, winner: replace(mark(month, loser, winner), over_equal=False)
    )


def markers_are_deletes(monkeypatch: pytest.MonkeyPatch) -> None:
    put = server_module.Server.put

    def put_or_delete(self: server_module.Server, one: Put) -> PutOutcome:
        outcome = put(self, one)
        if outcome is PutOutcome.STORED and one.document.kind is not Kind.IMAGE:
            del self.indices.months[one.month][one.document.image_id]
        return outcome

    monkeypatch.setattr(server_module.Server, "put", put_or_delete)


def no_refresh_before_the_older_copy_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedIndices, "refresh", lambda self, months: None)


def writes_ignore_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    write_blindly(monkeypatch, after_put=False)

    def put(self: server_module.Server, one: Put) -> PutOutcome:
        self.indices.months[one.month][one.document.image_id] = one.document
        self.on_put(one)
        return PutOutcome.STORED

    monkeypatch.setattr(server_module.Server, "put", put)


def an_outage_counts_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    write = SimulatedStore.write

    def write_or_not(
        self: SimulatedStore, documents: Sequence[Document], now: datetime
    ) -> Sequence[WriteOutcome | RejectedError]:
        try:
            return write(self, documents, now)
        except StoreUnavailableError:
            return [WriteOutcome.SUPERSEDED] * len(documents)

    monkeypatch.setattr(SimulatedStore, "write", write_or_not)


def months_are_dropped_a_month_early(monkeypatch: pytest.MonkeyPatch) -> None:
    def drop(self: SimulatedStore, now: datetime, window_months: int) -> list[str]:
        return monthly_indices.drop_expired(self.indices, now, window_months - 1)

    monkeypatch.setattr(SimulatedStore, "drop_expired", drop)


def codes_are_never_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Document, "adds_codes_to", lambda self, other: False)


def codes_are_added_blindly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over an equal version, whatever lies there."""
    monkeypatch.setattr(Document, "adds_codes_to", lambda self, other: self.live and self.version == other.version)


def the_watches_are_read_before_the_write(monkeypatch: pytest.MonkeyPatch) -> None:
    write, refresh = Pipeline._write, Watching.refresh

    async def read_and_write(self: Pipeline, documents: Sequence[Document]) -> Sequence[WriteOutcome | Exception]:
        assert self._parts.watching is not None
        await refresh(self._parts.watching)
        return await write(self, documents)

    async def not_again(self: Watching) -> None:
        """What was read before the write has to do."""

    monkeypatch.setattr(Pipeline, "_write", read_and_write)
    monkeypatch.setattr(Watching, "refresh", not_again)


def repeated_images_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compare = Watching.compare

    async def compare_own(self: Watching, images: Sequence[Written]) -> None:
        await compare(self, [one for one in images if one.document is not None])

    monkeypatch.setattr(Watching, "compare", compare_own)


def the_bound_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "_room", lambda self: 50)


MUTANTS: list[Patch] = [
    done_before_it_is_written,
    positions_pass_unfinished_records,
    lost_partitions_are_kept,
    rejected_records_are_dropped,
    no_look_after_writing,
    no_repair_at_the_look_before_a_plan,
    markers_never_go_over_an_equal_version,
    markers_are_deletes,
    no_refresh_before_the_older_copy_goes,
    writes_ignore_versions,
    an_outage_counts_as_done,
    months_are_dropped_a_month_early,
    codes_are_never_added,
    codes_are_added_blindly,
    the_watches_are_read_before_the_write,
    repeated_images_are_not_compared,
    the_bound_is_ignored,
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_rule_is_found_out(mutant: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    assert any(report_of(seed).violation is not None for seed in range(MUTANT_SEEDS)), "no seed found it out"
