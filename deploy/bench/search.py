"""The search strategies: `resident` against FAISS in process and Elasticsearch over HTTP, and all against each other.

p50 and p99, k = 100; what is compared runs in turns in the same run. Codes are of real pictures where the collections
are, copied with a few bits turned. The default run takes a quarter of an hour on two cores; --full takes hours.
"""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import rig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from search_codes import CodeSource
from search_http import http_rows
from search_plots import write_plots
from search_process import process_rows
from search_rows import K, Row
from search_rows import table as table_of_rows
from search_strategies import Cell, strategy_cells
from search_strategies import table as table_of_cells

from tests.figures import write_block

_GROUPS = ("process", "http", "strategies")
_PLOTS = Path("deploy/bench/plots")


def main() -> None:
    """Run and report."""
    arguments = _arguments()
    rows: dict[str, list[Row]] = {}
    cells: list[Cell] = []
    with _progress() as progress:
        source = CodeSource.open(arguments.pictures, progress)
        if "process" in arguments.rows:
            sizes = [arguments.images] if arguments.images else [1_000_000, 10_000_000]
            rows["process"] = [
                row for count in sizes for row in process_rows(source, count, arguments.queries, progress)
            ]
        if "http" in arguments.rows:
            sizes = [arguments.images] if arguments.images else [1_000_000, 10_000_000][: 1 + arguments.full]
            rows["http"] = []
            for count in sizes:
                with rig.bench({"embedder": "classic"}, servers=True) as bench:
                    rows["http"] += http_rows(
                        bench, source, count, progress, queries=arguments.queries, changes=arguments.changes
                    )
        if "strategies" in arguments.rows:
            with rig.bench({"embedder": "classic"}, servers=True) as bench:
                cells = strategy_cells(bench, source, _sizes(arguments), max(5, arguments.queries // 10), progress)
    _report(rows, cells, arguments)
    if arguments.write is not None:
        _write(arguments.write, source.description, rows, cells)


def _arguments() -> Namespace:
    parser = rig.parser(__doc__ or "")
    parser.add_argument("--rows", nargs="+", choices=_GROUPS, default=_GROUPS, help="what to measure (default: all)")
    parser.add_argument("--images", type=int, help="images, in place of each table's own numbers")
    parser.add_argument("--queries", type=int, default=300, help="timed queries of a row (default: %(default)s)")
    parser.add_argument("--changes", type=int, default=50, help="changes to be followed (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=6000, help="real pictures to embed (default: %(default)s)")
    parser.add_argument("--full", action="store_true", help="10 million images over HTTP, all lengths of codes")
    parser.add_argument("--write", type=Path, help="a Markdown file whose blocks get the figures; plots are drawn")
    arguments: Namespace = parser.parse_args()
    return arguments


def _sizes(arguments: Namespace) -> list[tuple[int, int]]:
    """(images, bits) of the strategies' table."""
    if not arguments.full:
        return [(arguments.images or 100_000, bits) for bits in (64, 256)]
    counts = [arguments.images] if arguments.images else [100_000, 1_000_000]
    sizes = [(count, bits) for count in counts for bits in (64, 256, 1024, 4096)]
    return sizes if arguments.images else [*sizes, (10_000_000, 256)]


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


def _report(rows: dict[str, list[Row]], cells: Sequence[Cell], arguments: Namespace) -> None:
    told = [row for group in rows.values() for row in group]
    if arguments.json:
        figures: dict[str, object] = {"rows": [row.figures() for row in told], "cells": [asdict(one) for one in cells]}
    else:
        figures = {row.what: row.text() for row in told}
        for cell in cells:
            figures[f"{cell.images:,} × {cell.bits} bits, radius {cell.percent} %, {cell.strategy}"] = cell.text()
    rig.report({"k": K, **figures}, arguments.json)


def _write(document: Path, description: str, rows: dict[str, list[Row]], cells: Sequence[Cell]) -> None:
    origin = f"{rig.machine()}, {datetime.now(UTC):%Y-%m-%d}. k = {K}. Codes: {description}."
    for group, of_group in rows.items():
        write_block(document, group, f"{origin}\n\n{table_of_rows(of_group)}")
    if cells:
        plots = [f"![p50 against the radius]({path.as_posix()})" for path in write_plots(cells, _PLOTS)]
        write_block(document, "strategies", "\n\n".join([origin, *plots, table_of_cells(cells)]))


if __name__ == "__main__":
    main()
