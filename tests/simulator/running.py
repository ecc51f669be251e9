"""Runs seeds, one or many."""

import gc
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

from shared import hamming_scan
from tests.simulator.scenario import draw
from tests.simulator.world import Report, World

_CHUNK = 50


def report_of(seed: int, records_max: int | None = None, trace: Callable[[str], None] | None = None) -> Report:
    """What becomes of one seed."""
    # What a simulation compares is too little to start threads for.
    hamming_scan.compute_alone()
    return World(draw(seed, records_max), trace).run()


def run_seeds(seeds: Sequence[int], processes: int | None = None) -> list[Report]:
    """What becomes of many, on all cores."""
    # Fresh interpreters: a fork would take over threads and open files of whoever calls.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes or os.cpu_count(), mp_context=context, initializer=_collect_seldom) as pool:
        return list(pool.map(report_of, seeds, chunksize=_CHUNK))


def _collect_seldom() -> None:
    # Little of what a simulation makes is in cycles, and a look at all of it takes a tenth of the time.
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def smallest(report: Report) -> str:
    """The option for as few records as still fail; empty where all are needed."""
    for records_max in range(1, report.records):
        if report_of(report.seed, records_max).violation is not None:
            return f"RECORDS={records_max}"
    return ""
