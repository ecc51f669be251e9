"""The search strategies: `resident` against FAISS in process and Elasticsearch over HTTP, and all against each other.

p50 and p99, k = 100; what is compared runs in turns in the same run. Codes are of real pictures where the collections
are, copied with a few bits turned. The default run takes a quarter of an hour on two cores; --full takes an hour.
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
from search_http import BITS, http_rows
from search_plots import write_plots
from search_process import process_rows
from search_rows import K, Row
from search_rows import table as table_of_rows
from search_server import Stand
from search_strategies import Cell, cells_of, strategy_cells
from search_strategies import table as table_of_cells

from tests.figures import write_block

_COUNTS = (1_000_000, 10_000_000)
_GROUPS = ("process", "http", "strategies")
_PLOTS = Path("deploy/bench/plots")


def main() -> None:
    """Run and report; each figure is written as soon as it is known."""
    arguments = _arguments()
    found = Found(arguments.write)
    with _progress() as progress:
        source = CodeSource.open(arguments.pictures, progress)
        found.origin = f"{rig.machine()}, {datetime.now(UTC):%Y-%m-%d}. k = {K}. Codes: {source.description}."
        if "process" in arguments.rows:
            for count in [arguments.images] if arguments.images else _COUNTS:
                found.add_rows("process", process_rows(source, count, arguments.queries, progress))
        if "http" in arguments.rows:
            for count in [arguments.images] if arguments.images else _COUNTS[: 1 + arguments.full]:
                with rig.bench({"embedder": "classic"}, servers=True) as bench:
                    rows = http_rows(
                        bench, source, count, progress, queries=arguments.queries, changes=arguments.changes
                    )
                    found.add_rows("http", rows)
                    if _shares_images(arguments, count):
                        found.add_cells(cells_of(Stand(bench), count, BITS, _cell_queries(arguments), progress))
        if "strategies" in arguments.rows:
            with rig.bench({"embedder": "classic"}, servers=True) as bench:
                for cells in strategy_cells(bench, source, _sizes(arguments), _cell_queries(arguments), progress):
                    found.add_cells(cells)
    found.report(arguments.json)


class Found:
    """What was measured so far, kept in a document where there is one."""

    def __init__(self, document: Path | None) -> None:
        self.origin = ""
        self._document = document
        self._rows: dict[str, list[Row]] = {}
        self._cells: list[Cell] = []

    def add_rows(self, group: str, rows: Sequence[Row]) -> None:
        """Keep rows of a table."""
        self._rows.setdefault(group, []).extend(rows)
        if self._document is not None:
            write_block(self._document, group, f"{self.origin}\n\n{table_of_rows(self._rows[group])}")

    def add_cells(self, cells: Sequence[Cell]) -> None:
        """Keep cells of the strategies' table, and draw all that there are."""
        self._cells.extend(cells)
        if self._document is not None:
            plots = [f"![p50 against the radius]({path.as_posix()})" for path in write_plots(self._cells, _PLOTS)]
            content = "\n\n".join([self.origin, *plots, table_of_cells(self._cells)])
            write_block(self._document, "strategies", content)

    def report(self, as_json: bool) -> None:
        """Print everything."""
        rows = [row for group in self._rows.values() for row in group]
        if as_json:
            cells = [asdict(cell) for cell in self._cells]
            rig.report({"k": K, "rows": [row.figures() for row in rows], "cells": cells}, as_json)
            return
        figures: dict[str, object] = {row.what: row.text() for row in rows}
        for cell in self._cells:
            figures[f"{cell.images:,} × {cell.bits} bits, radius {cell.percent} %, {cell.strategy}"] = cell.text()
        rig.report({"k": K, **figures}, as_json)


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
    if arguments.write is not None:
        text = arguments.write.read_text() if arguments.write.is_file() else ""
        # Now, and not after a quarter of an hour.
        if missing := [group for group in arguments.rows if f"<!-- figures: {group} -->" not in text]:
            parser.error(f"{arguments.write} has no block for {', '.join(missing)}")
    return arguments


def _sizes(arguments: Namespace) -> list[tuple[int, int]]:
    """(images, bits) of the strategies' table."""
    if not arguments.full:
        return [(arguments.images or 100_000, bits) for bits in (64, 256)]
    counts = [arguments.images] if arguments.images else [100_000, 1_000_000]
    sizes = [(count, bits) for count in counts for bits in (64, 256, 1024, 4096)]
    alone = not arguments.images and not _shares_images(arguments, _COUNTS[-1])
    return [*sizes, (_COUNTS[-1], BITS)] if alone else sizes


def _shares_images(arguments: Namespace, count: int) -> bool:
    """Whether so many images, which take long to write, are there once for both the rows over HTTP and the cells."""
    return count == _COUNTS[-1] and {"http", "strategies"} <= set(arguments.rows)


def _cell_queries(arguments: Namespace) -> int:
    return max(5, int(arguments.queries) // 10)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True))


if __name__ == "__main__":
    main()
