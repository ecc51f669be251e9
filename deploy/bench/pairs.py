"""How long all near pairs of 100,000 codes take: the join over subcodes against comparing all with all, on one core."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rig
from numpy.typing import NDArray
from rich.progress import Progress
from search_codes import CodeSource

from searcher.resident.pair_join import NearPairs, SubcodeJoin, scan_all
from searcher.resident.pairs import DistinctCodes
from shared import hamming_scan
from tests.figures import write_block

_BITS = 256
_RADII = (4, 8, 16, 24, 31)


@dataclass(frozen=True, slots=True)
class Row:
    """A radius: pairs found, the share of all pairs that the join compares, and seconds of a core's time."""

    codes: int
    radius: int
    pairs: int
    compared: float
    join_seconds: float
    scan_seconds: float


def main() -> None:
    """Run and report."""
    parser = rig.parser(__doc__ or "")
    parser.add_argument("--count", type=int, default=100_000, help="codes (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=11_905, help="real ones among them (default: %(default)s)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document")
    arguments = parser.parse_args()
    with Progress() as progress:
        source = CodeSource.open(arguments.pictures, progress)
    codes = DistinctCodes.of(source.codes(_BITS, arguments.count)).codes
    rows = list(measure(codes))
    shown = f"{len(codes):,} different codes of {source.description}; all pairs are {_all(codes):,}.\n\n{table(rows)}"
    print(json.dumps([asdict(row) for row in rows], indent=2) if arguments.json else shown)
    if arguments.write:
        write_block(arguments.write, "pairs", shown)


def measure(codes: NDArray[np.uint8]) -> Iterator[Row]:
    """A row for each radius; both ways must find the same number of pairs."""
    for radius in _RADII:
        with hamming_scan.workers(1) as thread:
            scanned, scan_seconds = _timed(lambda: scan_all(codes, radius, thread))  # noqa: B023 (called at once)
        join = SubcodeJoin(codes, radius)
        joined, join_seconds = _timed(join.run)
        if joined != scanned:
            raise SystemExit(f"radius {radius}: the join found {joined} pairs, the scan {scanned}")
        yield Row(len(codes), radius, joined, join.candidates / _all(codes), join_seconds, scan_seconds)


def _timed(way: Callable[[], Iterator[NearPairs]]) -> tuple[int, float]:
    """Pairs, and seconds of processor time, which other work on the machine disturbs less."""
    start = time.process_time()
    pairs = sum(len(near.lefts) for near in way())
    return pairs, time.process_time() - start


def _all(codes: NDArray[np.uint8]) -> int:
    return len(codes) * (len(codes) - 1) // 2


def table(rows: Sequence[Row]) -> str:
    """The figures as Markdown."""
    lines = ["| radius | pairs | compared by the join | join, s | all with all, s |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {row.radius} | {row.pairs:,} | {row.compared:.2%} | {row.join_seconds:.2f} | {row.scan_seconds:.2f} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
