"""The command line of both processes: every setting is a flag, every error is one line and an exit code."""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from shared.errors import EXIT_BUG, EXIT_OK, CatalogueError
from shared.settings import Settings, load_settings, plain

_EXIT_CODES = "exit codes: 0 ok, 2 configuration, 3 dependency not reachable, 4 halted on bad input, 70 bug"
# 128 and the number of the signal, as a shell tells it.
_INTERRUPTED, _TERMINATED = 130, 143

# argparse keeps the type of its subparsers action private.
Subcommands = Any


def new_parser(prog: str, description: str) -> tuple[argparse.ArgumentParser, Subcommands]:
    """A parser, and the place to add subcommands to."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=f"Settings: flags, CATALOGUE_… variables, or .env, in that order. `{prog} COMMAND --help-settings` "
        f"lists them. {_EXIT_CODES}",
        allow_abbrev=False,
    )
    return parser, parser.add_subparsers(metavar="COMMAND", required=True)


def add_command(
    subcommands: Subcommands, name: str, action: Callable[[argparse.Namespace], int], summary: str, examples: str = ""
) -> argparse.ArgumentParser:
    """Add a subcommand with all settings as flags; `action` gets the parsed arguments and gives the exit code."""
    command: argparse.ArgumentParser = subcommands.add_parser(
        name,
        # The settings would drown the rest; --help-settings lists them.
        usage="%(prog)s [OPTION …] [SETTING …]",
        help=summary,
        description=summary,
        epilog=f"{examples}\n\n{_EXIT_CODES}".strip(),
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--help-settings", action=_ListSettings, help="list the settings, with defaults, and exit")
    _add_settings(command, listed=False)
    command.set_defaults(action=action)
    return command


class _ListSettings(argparse.Action):
    """Lists every setting, as --help does the options, and exits."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None) -> None:  # noqa: A002 (argparse's)
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        listing = argparse.ArgumentParser(usage=argparse.SUPPRESS, add_help=False)
        _add_settings(listing, listed=True)
        listing.print_help()
        parser.exit()


def _add_settings(parser: argparse.ArgumentParser, *, listed: bool) -> None:
    group = parser.add_argument_group(
        "settings",
        "each a flag (--store-url VALUE), a CATALOGUE_… variable in capitals with underscores, or a line of .env"
        + ("" if listed else ";\n--help-settings lists them"),
    )
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "", ()) else f" (default: {plain(field.default)})"
        group.add_argument(
            "--" + name.replace("_", "-"),
            dest=f"setting_{name}",
            metavar="VALUE",
            default=argparse.SUPPRESS,
            help=f"{field.description}{default}".replace("%", "%%") if listed else argparse.SUPPRESS,
        )


def positive(text: str) -> int:
    """The type of an argument that counts something."""
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return count


def settings_from(arguments: argparse.Namespace) -> Settings:
    """The settings, with the given flags laid over them."""
    return load_settings(flags_from(arguments))


def flags_from(arguments: argparse.Namespace) -> dict[str, str]:
    """The settings that were given as flags, as they were written."""
    prefix = "setting_"
    return {name.removeprefix(prefix): value for name, value in vars(arguments).items() if name.startswith(prefix)}


def run(parser: argparse.ArgumentParser, arguments: list[str] | None = None) -> int:
    """Parse, act, and turn every error into its exit code: one line for what a user can mend, a traceback for a bug."""
    parsed = parser.parse_args(arguments)
    # As Ctrl-C: temporary files and children are cleared away; and the first process of a container, which has no
    # default for this signal, ends too. `indexer run` and `searcher serve` put a drain in its place.
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        code: int = parsed.action(parsed)
    except CatalogueError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)  # noqa: T201 (the one line that the user sees)
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, less) is gone; keep the interpreter from complaining of it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception:  # noqa: BLE001 (the last resort: anything unforeseen is a bug, told in full)
        traceback.print_exc()
        return EXIT_BUG
    finally:
        signal.signal(signal.SIGTERM, before)
    return code


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(_TERMINATED)
