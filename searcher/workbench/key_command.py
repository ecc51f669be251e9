"""`searcher keys`: make, list, rotate and revoke keys, beside the database and so without a key."""

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table

from searcher.people import COMMAND_LINE, Scope
from searcher.workbench.key_routes import GRACE_SECONDS, GRACE_SECONDS_MAX, ListedKey, MadeKey
from searcher.workbench.keys import Keys, NewKey
from searcher.workbench.opening import opened_workbench
from shared.command_line import Subcommands, add_command
from shared.errors import EXIT_OK
from shared.terminal import cell, print_line

FIRST_KEY = "administrator"
_DURATION = re.compile(r"(\d{1,6})([hd])")
_SCOPES = (
    "scopes: read (search and look), judge (also cases, judgements, watches, decisions), administer (also keys);\n"
    "each includes those before it. The secret goes to standard output, this once: only its SHA-256 is kept.\n"
    "Programs send it as `Authorization: Bearer SECRET`, people enter it at /sign-in.\n\n"
)


def add_key_commands(subcommands: Subcommands) -> None:
    """Add `keys` with its actions."""
    parser = subcommands.add_parser("keys", help="Make, list, rotate and revoke the keys of people and programs.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    _add_create(actions)
    listing = add_command(actions, "list", _list, "List all keys: their scope, their end, when they were last used.")
    listing.add_argument("--json", action="store_true", help="print JSON Lines")
    rotating = add_command(
        actions,
        "rotate",
        _rotate,
        "Give a key a new secret; the old one works on for a while.",
        "examples:\n  searcher keys rotate shop-import\n  searcher keys rotate ann --grace 0h    the old one ends now",
    )
    rotating.add_argument("name", metavar="NAME", help="the key's name")
    rotating.add_argument(
        "--grace",
        type=_grace,
        default=timedelta(seconds=GRACE_SECONDS),
        metavar="TIME",
        help="how long the old secret works on, as 12h or 7d (default: 24h)",
    )
    rotating.add_argument("--json", action="store_true", help="print the key as JSON")
    revoking = add_command(
        actions,
        "revoke",
        _revoke,
        "End a key, and every session that was begun with it, for good.",
        "Every searcher heeds it within seconds. The name is not used again: the ledger knows people by it.",
    )
    revoking.add_argument("name", metavar="NAME", help="the key's name")
    revoking.add_argument("--json", action="store_true", help="print the key as JSON")
    ensuring = add_command(
        actions,
        "ensure",
        _ensure,
        "Make a first key, for an administrator, where none was ever made; otherwise do nothing.",
        "For what starts a searcher by itself, as docker-compose.yml does.",
    )
    ensuring.add_argument("--json", action="store_true", help="print the key as JSON, where one is made")


def _add_create(actions: Subcommands) -> None:
    making = add_command(
        actions,
        "create",
        _create,
        "Make a key for somebody, or for a program.",
        f"{_SCOPES}examples:\n"
        "  searcher keys create ann --scope judge\n"
        "  searcher keys create shop-import --scope read --expires 90d > key.txt\n"
        "  searcher keys create audit-2027 --scope read --expires 2027-03-31 --json",
    )
    making.add_argument("name", metavar="NAME", help="who has it, as the ledger and the audit log will name them")
    making.add_argument("--scope", type=Scope, choices=list(Scope), required=True, help="what it allows")
    making.add_argument(
        "--expires", type=_end, metavar="WHEN", help="a date (UTC), or a time from now as 12h or 90d (default: never)"
    )
    making.add_argument("--json", action="store_true", help="print the key as JSON")


def _create(arguments: argparse.Namespace) -> int:
    now = _now()
    ends = now + arguments.expires if isinstance(arguments.expires, timedelta) else arguments.expires
    with _keys(arguments) as keys:
        _tell(keys.create(arguments.name, arguments.scope, ends, COMMAND_LINE), arguments)
    return EXIT_OK


def _rotate(arguments: argparse.Namespace) -> int:
    with _keys(arguments) as keys:
        _tell(keys.rotate(arguments.name, arguments.grace, COMMAND_LINE), arguments)
    return EXIT_OK


def _ensure(arguments: argparse.Namespace) -> int:
    with _keys(arguments) as keys:
        new = keys.ensure(FIRST_KEY, Scope.ADMINISTER, COMMAND_LINE)
    if new is None:
        print_line("There is a key already; `searcher keys create` makes more.", sys.stderr)
    else:
        _tell(new, arguments)
    return EXIT_OK


def _revoke(arguments: argparse.Namespace) -> int:
    with _keys(arguments) as keys:
        key = ListedKey.of(keys.revoke(arguments.name, COMMAND_LINE), _now())
    print_line(key.model_dump_json() if arguments.json else f"The key {key.name} is revoked.")
    return EXIT_OK


def _list(arguments: argparse.Namespace) -> int:
    with _keys(arguments) as keys:
        found = [ListedKey.of(key, _now()) for key in keys.list()]
    if arguments.json:
        for key in found:
            print_line(key.model_dump_json())
    else:
        _print_keys(found, Console())
    return EXIT_OK


def _tell(new: NewKey, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print_line(MadeKey.made(new, _now()).model_dump_json())
        return
    # A log of a container may show the two streams in either order.
    told = f"The key {new.key.name} ({new.key.scope}). Its secret begins with catalogue_ and is shown this once:"
    print_line(told, sys.stderr)
    print_line(new.secret)


def _print_keys(keys: list[ListedKey], console: Console) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("key", overflow="fold")
    for heading in ("scope", "state", "made", "expires", "last used", "old secret until"):
        table.add_column(heading, no_wrap=True)
    for key in keys:
        days = (_shown(moment, "%Y-%m-%d") for moment in (key.made_at, key.expires_at))
        times = (_shown(moment, "%Y-%m-%d %H:%M") for moment in (key.used_at, key.previous_until))
        table.add_row(*(cell(text) for text in (key.name, key.scope, key.state, *days, *times)))
    console.print(table)


def _shown(moment: datetime | None, form: str) -> str:
    return "" if moment is None else moment.strftime(form)


def _end(text: str) -> datetime | timedelta:
    """A date, which counts from its beginning, a moment, or a time from now."""
    if (duration := _duration(text)) is not None:
        return duration
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no date (2027-03-31) and no time (12h, 90d)") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _grace(text: str) -> timedelta:
    duration = _duration(text)
    if duration is None or duration > timedelta(seconds=GRACE_SECONDS_MAX):
        raise argparse.ArgumentTypeError(f"{text} is no time up to 30d, such as 12h or 7d")
    return duration


def _duration(text: str) -> timedelta | None:
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    return timedelta(hours=int(found[1])) if found[2] == "h" else timedelta(days=int(found[1]))


@contextmanager
def _keys(arguments: argparse.Namespace) -> Iterator[Keys]:
    with opened_workbench(arguments) as (bench, _):
        yield bench.keys


def _now() -> datetime:
    return datetime.now(UTC)
