"""The command line of both processes: every setting is a flag, every error is one line and an exit code."""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from shared.errors import EXIT_BUG, EXIT_OK, CatalogueError
from shared.settings import Settings, load_settings

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
        epilog=f"Settings: flags, CATALOGUE_… variables, or .env, in that order. `{prog} COMMAND --help` lists "
        f"them. {_EXIT_CODES}",
        allow_abbrev=False,
    )
    return parser, parser.add_subparsers(metavar="COMMAND", required=True)


def add_command(
    subcommands: Subcommands, name: str, action: Callable[[argparse.Namespace], int], summary: str, examples: str = ""
) -> argparse.ArgumentParser:
    """Add a subcommand with all settings as flags; `action` gets the parsed arguments and gives the exit code."""
    command: argparse.ArgumentParser = subcommands.add_parser(
        name,
        # The settings would drown the rest; they are listed below.
        usage="%(prog)s [OPTION …] [SETTING …]",
        help=summary,
        description=summary,
        epilog=f"{examples}\n\n{_EXIT_CODES}".strip(),
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    settings = command.add_argument_group("settings", "also as CATALOGUE_… variables, in capitals with underscores")
    for field_name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "", ()) else f" (default: {field.default})"
        settings.add_argument(
            "--" + field_name.replace("_", "-"),
            dest=f"setting_{field_name}",
            metavar="VALUE",
            default=argparse.SUPPRESS,
            help=f"{field.description}{default}".replace("%", "%%"),
        )
    command.set_defaults(action=action)
    return command


def positive(text: str) -> int:
    """The type of an argument that counts something."""
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return count


def settings_from(arguments: argparse.Namespace) -> Settings:
    """The settings, with the given flags laid over them."""
    prefix = "setting_"
    return load_settings(
        {name.removeprefix(prefix): value for name, value in vars(arguments).items() if name.startswith(prefix)}
    )


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
