"""All pairs of near-duplicates: every block of codes against every later one, on one thread beside the queries."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searcher.resident import scan
from searcher.resident.row_table import Rows

Progress = Callable[[int, int], None]

# One step compares these many codes with those many: some milliseconds, in a core's cache.
_LEFT = 256
_RIGHT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PairJob:
    """Copies of the codes (count, bits / 8), of the rows they came from (count,), and of those rows' ids."""

    codes: NDArray[np.uint8]
    rows: Rows
    id_of: Callable[[int], str]


def pairs_within(job: PairJob, radius: int, progress: Progress | None) -> Iterator[tuple[int, str, str]]:
    """Each pair at most `radius` bits apart once, as (distance, id, later id); `progress` is told (done, all)."""
    count = len(job.codes)
    with scan.workers(1) as thread:
        for start in range(0, count, _LEFT):
            stop = min(start + _LEFT, count)
            for lefts, rights, distances in thread.map(
                lambda edges, left=start: _block(job.codes, left, edges, radius), _blocks(job.codes, start)
            ):
                for left, right, distance in zip(lefts.tolist(), rights.tolist(), distances.tolist(), strict=True):
                    one, other = sorted((job.id_of(int(job.rows[left])), job.id_of(int(job.rows[right]))))
                    yield distance, one, other
            if progress is not None:
                progress(stop, count)


def _blocks(codes: NDArray[np.uint8], start: int) -> list[tuple[int, int]]:
    step = max(_LEFT, _RIGHT_BYTES // codes.shape[1])
    return [(right, min(right + step, len(codes))) for right in range(start, len(codes), step)]


def _block(codes: NDArray[np.uint8], left: int, edges: tuple[int, int], radius: int) -> tuple[Rows, Rows, Rows]:
    start, stop = edges
    lefts, rights, distances = scan.within(codes[left : left + _LEFT], codes[start:stop], radius)
    lefts, rights = lefts + left, rights + start
    once = lefts < rights
    return lefts[once], rights[once], distances[once]
