"""`searcher watches` and `searcher decisions`, beside the database and so without a key."""

import argparse
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from searcher.people import COMMAND_LINE
from searcher.spreadsheet import csv_text
from searcher.workbench.decision_wire import DecisionReply
from searcher.workbench.ledger import CaseMissingError
from searcher.workbench.opening import opened_workbench, write_out
from searcher.workbench.watch_records import KeptWatch, NewWatch, WatchState
from searcher.workbench.watch_width import check_width, width_queries
from searcher.workbench.watch_wire import WatchReply
from searcher.workbench.watches import WatchMissingError
from searcher.workbench.watchwork import codes_of_case, told_of
from searcher.workbench.workbench import Workbench
from shared.command_line import Subcommands, add_command
from shared.errors import EXIT_OK, ConfigurationError, QueryInvalidError
from shared.rolling_window import to_milliseconds, window_start
from shared.settings import Settings
from shared.store import Store
from shared.store.opening import open_store
from shared.terminal import cell, print_line

_PAGE = 200
_COLUMNS = ("decision_id", "case_id", "policy", "reason", "who", "at", "reverses", "reversed_by")
_IMAGE_COLUMNS = ("image_id", "item_id", "image_url", "encoder", "code")
_STATES = {"pause": WatchState.PAUSED, "resume": WatchState.ACTIVE, "end": WatchState.ENDED}
_HELP = {"pause": "Stop comparing images with a watch.", "resume": "Go on with a paused watch, over the window too."}


def add_watch_commands(subcommands: Subcommands) -> None:
    """Add `watches` and `decisions` with their actions."""
    parser = subcommands.add_parser("watches", help="List, add, pause, resume and end watches.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = add_command(actions, "list", _list, "List watches, their alerts and their precision.")
    listing.add_argument("--state", choices=list(WatchState), help="only those in this state")
    listing.add_argument("--json", action="store_true", help="print JSON Lines")
    adding = add_command(
        actions,
        "add",
        _add,
        "Watch for what a case is about: its seeds, and what is relevant in it now.",
        "A running searcher runs it over the whole window, and tells the workers of it, within seconds.\n\n"
        "example:\n  searcher watches add --case 6f1d… --radius 24 --filter category=mug",
    )
    adding.add_argument("--case", required=True, metavar="ID", help="the case; `searcher cases` lists them")
    adding.add_argument("--radius", required=True, type=int, metavar="R", help="largest distance of a match, in bits")
    adding.add_argument("--name", help="what it is called (default: as the case)")
    adding.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="only images with this attribute; the same name again allows another value, another name narrows",
    )
    adding.add_argument("--json", action="store_true", help="print the watch as JSON")
    for action, state in _STATES.items():
        changing = add_command(actions, action, _change, _HELP.get(action, "End a watch for good."))
        changing.add_argument("watch", metavar="ID", help="the watch; `searcher watches list` has them")
        changing.add_argument("--json", action="store_true", help="print the watch as JSON")
        changing.set_defaults(to_state=state)
    _add_decisions(subcommands)


def _add_decisions(subcommands: Subcommands) -> None:
    parser = subcommands.add_parser("decisions", help="Take decisions out of the workbench.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    exporting = add_command(
        actions,
        "export",
        _export,
        "Write decisions and reversals with their images, the newest first: a row an image, or JSON Lines.",
        "example:\n  searcher decisions export --case 6f1d… > decisions.csv",
    )
    exporting.add_argument("--case", metavar="ID", help="only of this case (default: all)")
    exporting.add_argument("--out", type=Path, metavar="FILE", help="where to write (default: standard output)")
    exporting.add_argument("--json", action="store_true", help="a decision a line, with its images")


def _list(arguments: argparse.Namespace) -> int:
    state = None if arguments.state is None else WatchState(arguments.state)
    with opened_workbench(arguments) as (bench, _):
        watches = list(_watches(bench, state))
    if arguments.json:
        for watch in watches:
            print_line(watch.model_dump_json())
    else:
        _print(watches, Console())
    return EXIT_OK


def _add(arguments: argparse.Namespace) -> int:
    with opened_workbench(arguments) as (bench, settings), closing(open_store(settings)) as store:
        encoder = store.active_encoder()
        if encoder is None:
            raise ConfigurationError("no encoder is active; run `indexer fit`")
        try:
            case = bench.ledger.case(arguments.case)
        except CaseMissingError as error:
            raise ConfigurationError(f"--case: there is no case {arguments.case}") from error
        codes = codes_of_case(bench, case.case_id, encoder.encoder_id)
        name, terms = arguments.name or case.name, _filter(arguments.filter)
        new = NewWatch(case.case_id, name, "", encoder.encoder_id, codes, arguments.radius, terms)
        _refuse_if_too_wide(new, store, settings)
        made = told_of(bench, [bench.watches.open(new, COMMAND_LINE)], datetime.now(UTC))[0]
    print_line(made.model_dump_json() if arguments.json else f"watch {made.watch_id} is active")
    return EXIT_OK


def _change(arguments: argparse.Namespace) -> int:
    with opened_workbench(arguments) as (bench, settings):
        try:
            if arguments.to_state is WatchState.ACTIVE:
                with closing(open_store(settings)) as store:
                    _refuse_if_too_wide(bench.watches.watch(arguments.watch), store, settings)
            changed = bench.watches.change(arguments.watch, {"state": arguments.to_state}, None, "", COMMAND_LINE)
        except WatchMissingError as error:
            raise ConfigurationError(
                f"there is no watch {arguments.watch}; `searcher watches list` has them"
            ) from error
        told = told_of(bench, [changed], datetime.now(UTC))[0]
    print_line(told.model_dump_json() if arguments.json else f"watch {told.watch_id} is {told.state}")
    return EXIT_OK


def _refuse_if_too_wide(watch: NewWatch | KeptWatch, store: Store, settings: Settings) -> None:
    """QueryInvalidError where there would be an alert for very many images that are there already."""
    visible_after_ms = to_milliseconds(window_start(datetime.now(UTC), settings.window_months))
    for query in width_queries(watch, visible_after_ms):
        found = store.nearest(query.encoder_id, query.code, query.count, query.radius, query.restriction)
        check_width(watch, found.neighbours)


def _export(arguments: argparse.Namespace) -> int:
    with opened_workbench(arguments) as (bench, _):
        if arguments.case is not None:
            try:
                bench.ledger.case(arguments.case)
            except CaseMissingError as error:
                raise ConfigurationError(f"--case: there is no case {arguments.case}") from error
        found = list(_decisions(bench, arguments.case))
        detail = {"decisions": len(found), "format": "json" if arguments.json else "csv"}
        bench.ledger.audit(COMMAND_LINE, "exported", arguments.case, detail)
    text = "".join(one.model_dump_json() + "\n" for one in found) if arguments.json else _csv(found)
    write_out(text, arguments.out, f"{len(found)} decisions and reversals")
    return EXIT_OK


def _csv(decisions: list[DecisionReply]) -> str:
    rows = []
    for decision in decisions:
        own = [getattr(decision, column) for column in _COLUMNS]
        for one in decision.decided:
            item_id, url = (None, None) if one.image is None else (one.image.item_id, one.image.image_url)
            rows.append([*own, one.image_id, item_id, url, one.encoder, one.code])
    return csv_text((*_COLUMNS, *_IMAGE_COLUMNS), rows)


def _watches(bench: Workbench, state: WatchState | None) -> Iterator[WatchReply]:
    after, now = None, datetime.now(UTC)
    while page := bench.watches.watches(state, None, after, _PAGE):
        yield from told_of(bench, page, now)
        after = to_milliseconds(page[-1].changed_at), page[-1].watch_id


def _decisions(bench: Workbench, case_id: str | None) -> Iterator[DecisionReply]:
    before = None
    while page := bench.decisions.decisions(case_id, before, _PAGE):
        for one in page:
            yield DecisionReply.of(*bench.decisions.decision(one.decision_id))
        before = page[-1].number


def _filter(texts: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise QueryInvalidError("--filter is written NAME=VALUE")
        found.setdefault(name, []).append(value)
    return found


def _print(watches: list[WatchReply], console: Console) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("watch", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("radius", "today", "alerts", "to judge", "precision"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("name", overflow="fold")
    for watch in watches:
        share = "" if watch.precision is None else f"{watch.precision.share:.0%}"
        counts = watch.radius, watch.alerts_today, watch.alerts, watch.unjudged, share
        table.add_row(*(cell(str(value)) for value in (watch.watch_id, watch.state, *counts, watch.name)))
    console.print(table)
