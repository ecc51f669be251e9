"""`python -m tests.simulator`: run seeds, or replay one with all its steps."""

import argparse
import sys
import time
from pathlib import Path

from tests.figures import write_block
from tests.simulator.running import report_of, run_seeds, smallest


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many seeds (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="run just this one, and trace it")
    parser.add_argument("--records", type=int, help="with --seed: only the first so many records")
    parser.add_argument("--write", type=Path, help="a Markdown file whose block `simulator` gets the figures")
    given = parser.parse_args()
    if given.seed is not None:
        report = report_of(given.seed, given.records, trace=print)
        print(report.violation or "every promise held")
        return 0 if report.violation is None else 1
    began = time.perf_counter()
    reports = run_seeds(range(given.first, given.first + given.seeds))
    seconds = time.perf_counter() - began
    failed = [report for report in reports if report.violation is not None]
    for report in failed:
        print(f"seed {report.seed}: {report.violation}\n  replay: make simulate SEED={report.seed} {smallest(report)}")
    print(
        f"{len(reports)} seeds in {seconds:.1f} s ({len(reports) / seconds:.0f} a second), "
        f"{sum(report.records for report in reports)} records, {sum(report.strikes for report in reports)} strikes, "
        f"{sum(report.steps for report in reports)} steps, {len(failed)} failed"
    )
    if given.write is not None:
        figures = {
            "seeds run": f"{given.first} to {given.first + len(reports) - 1}",
            "records": sum(report.records for report in reports),
            "strikes (crashes, zombies, outages, clock jumps)": sum(report.strikes for report in reports),
            "steps, each followed by a check of every promise": sum(report.steps for report in reports),
            "matches with watches that had to be told": sum(report.matches for report in reports),
            "seeds that broke a promise": len(failed),
        }
        rows = [f"| {name} | {value} |" for name, value in figures.items()]
        write_block(given.write, "simulator", "\n".join(["| what | figure |", "| --- | --- |", *rows]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
