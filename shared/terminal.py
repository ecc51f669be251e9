"""What the commands share: printing, progress on a terminal, and text of others in a table."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal's standard error; gives the function that advances it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        bar = bars.add_task(what, total=total)
        yield lambda count: bars.advance(bar, count)


def print_line(text: str, file: TextIO | None = None) -> None:
    """Print to standard output, or to `file`."""
    print(text, file=file)


def cell(text: str) -> Text:
    """Other people's text as a table's cell: no markup, no control characters."""
    return Text(printable(text))


def printable(text: str) -> str:
    """Other people's text without control characters: a hostile title must not send the terminal commands."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
