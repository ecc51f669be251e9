"""`searcher cases` and `searcher judgements`: the ledger from the command line."""

import argparse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from searcher.workbench.database import Database, new_engine
from searcher.workbench.exporting import ExportFormat, export
from searcher.workbench.ledger import CaseMissingError, Ledger
from searcher.workbench.moving import copy_workbench
from searcher.workbench.opening import opened_workbench, write_out
from searcher.workbench.records import Case, CaseState
from searcher.workbench.wire import ListedCase
from shared.command_line import Subcommands, add_command, settings_from
from shared.errors import EXIT_OK, ConfigurationError
from shared.logs import configure_logs
from shared.rolling_window import to_milliseconds
from shared.terminal import cell, print_line

_PAGE = 200


def add_workbench_commands(subcommands: Subcommands) -> None:
    """Add `cases` and `judgements`."""
    listing = add_command(subcommands, "cases", _list_cases, "List cases and their progress, the last changed first.")
    listing.add_argument("--state", choices=list(CaseState), help="only those in this state")
    listing.add_argument("--json", action="store_true", help="print JSON Lines")
    of_cases = listing.add_subparsers(metavar="ACTION", prog="searcher cases")
    moving = add_command(
        of_cases,
        "move",
        _move,
        "Copy the whole workbench into another, empty database, and check that it is the same. The old one stays.",
        "Stop the searchers before, and start them with the new CATALOGUE_WORKBENCH_URL after.\n\n"
        "example:\n"
        "  searcher cases move --to postgresql://catalogue@db.example/workbench --password-file db.password",
    )
    moving.add_argument("--to", required=True, metavar="URL", help="the other database, as CATALOGUE_WORKBENCH_URL")
    moving.add_argument("--password-file", type=Path, metavar="FILE", help="holds its password")
    parser = subcommands.add_parser("judgements", help="Take judgements out of the ledger.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    exporting = add_command(
        actions,
        "export",
        _export,
        "Write the last judgement of each image of a case, or of all cases.",
        "formats: csv and json for people, qrels and run for TREC tools, triplets for `indexer train --triplets`\n\n"
        "examples:\n"
        "  searcher judgements export --case 6f1d… > mugs.csv\n"
        "  searcher judgements export --format triplets --out triplets.jsonl",
    )
    exporting.add_argument("--case", metavar="ID", help="only this case (default: all)")
    exporting.add_argument(
        "--format", choices=list(ExportFormat), default=ExportFormat.CSV, help="default: %(default)s"
    )
    exporting.add_argument("--out", type=Path, metavar="FILE", help="where to write (default: standard output)")


def _list_cases(arguments: argparse.Namespace) -> int:
    state = None if arguments.state is None else CaseState(arguments.state)
    with _ledger(arguments) as ledger:
        cases = list(_all_cases(ledger, state))
    if arguments.json:
        for case in cases:
            print_line(ListedCase.listed(case).model_dump_json())
    else:
        _print_cases(cases, Console())
    return EXIT_OK


def _move(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    try:
        password = None if arguments.password_file is None else arguments.password_file.read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"--password-file: {arguments.password_file}: {error.strerror}") from error
    with (
        closing(Database.of(settings)) as source,
        closing(Database(new_engine(arguments.to, password, settings.workbench_seconds))) as target,
    ):
        copied = copy_workbench(source, target)
    for table in copied:
        print_line(f"{table.rows:>9,} {table.name}")
    print_line(f"The same in both. Start the searchers with CATALOGUE_WORKBENCH_URL={arguments.to}")
    return EXIT_OK


def _export(arguments: argparse.Namespace) -> int:
    wanted = ExportFormat(arguments.format)
    with _ledger(arguments) as ledger:
        found = [(ledger.case(case_id), ledger.verdicts(case_id)) for case_id in _case_ids(ledger, arguments.case)]
        text = export(found, wanted)
        images = sum(len(judgements) for _, judgements in found)
        ledger.audit("command line", "exported", arguments.case, {"format": wanted, "images": images})
    write_out(text, arguments.out, f"{images} judged images")
    return EXIT_OK


def _case_ids(ledger: Ledger, asked: str | None) -> list[str]:
    if asked is None:
        return [case.case_id for case in _all_cases(ledger, None)]
    try:
        return [ledger.case(asked).case_id]
    except CaseMissingError as error:
        raise ConfigurationError(f"--case: there is no case {asked}; `searcher cases` lists them") from error


def _all_cases(ledger: Ledger, state: CaseState | None) -> Iterator[Case]:
    after = None
    while page := ledger.cases(state, after, _PAGE):
        yield from page
        after = to_milliseconds(page[-1].changed_at), page[-1].case_id


def _print_cases(cases: list[Case], console: Console) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("case", "state", "changed"):
        table.add_column(heading, no_wrap=True)
    for heading in ("relevant", "not", "unsure"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("name", overflow="fold")
    for case in cases:
        counts = case.progress.relevant, case.progress.not_relevant, case.progress.unsure
        changed = case.changed_at.strftime("%Y-%m-%d %H:%M")
        table.add_row(*(cell(str(value)) for value in (case.case_id, case.state, changed, *counts, case.name)))
    console.print(table)


@contextmanager
def _ledger(arguments: argparse.Namespace) -> Iterator[Ledger]:
    with opened_workbench(arguments) as (bench, _):
        yield bench.ledger
