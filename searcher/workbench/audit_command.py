"""`searcher audit`: the audit log from the command line."""

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import islice

from rich.console import Console
from rich.table import Table

from searcher.workbench.audit import AuditEntry, AuditLog
from searcher.workbench.audit_routes import AuditEntryReply
from searcher.workbench.opening import opened_workbench
from shared.command_line import Subcommands, add_command, positive
from shared.errors import EXIT_OK
from shared.terminal import cell, print_line

_PAGE = 1000
_SHOWN = 50


def add_audit_command(subcommands: Subcommands) -> None:
    """Add `audit`."""
    parser = add_command(
        subcommands,
        "audit",
        _show,
        "Show who exported, decided, or changed a case, a watch or a key: the newest entries first.",
        "examples:\n  searcher audit --case 6f1d…\n  searcher audit --all --json > audit.jsonl",
    )
    parser.add_argument("--case", metavar="ID", help="only of this case (default: all)")
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument(
        "--count", type=positive, default=_SHOWN, metavar="N", help="entries, at most (default: %(default)s)"
    )
    how_many.add_argument("--all", action="store_true", help="all entries")
    parser.add_argument("--json", action="store_true", help="print JSON Lines")


def _show(arguments: argparse.Namespace) -> int:
    with opened_workbench(arguments) as (bench, _):
        entries = islice(_entries(bench.audit, arguments.case), None if arguments.all else arguments.count)
        if arguments.json:
            for entry in entries:
                print_line(AuditEntryReply.of(entry).model_dump_json())
        else:
            _print(list(entries), Console())
    return EXIT_OK


def _entries(audit: AuditLog, case_id: str | None) -> Iterator[AuditEntry]:
    before = None
    while page := audit.entries(case_id, before, _PAGE):
        yield from page
        before = page[-1].number


def _print(entries: Sequence[AuditEntry], console: Console) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("when (UTC)", "who", "action", "case"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what", overflow="fold")
    for entry in entries:
        when, detail = entry.at.strftime("%Y-%m-%d %H:%M:%S"), json.dumps(dict(entry.detail), ensure_ascii=False)
        table.add_row(*map(cell, (when, entry.who, entry.action, entry.case_id or "", detail)))
    console.print(table)
