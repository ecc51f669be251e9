"""What the commands of the workbench share: they open it by their settings, and write text to a file or the output."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from searcher.workbench.workbench import Workbench
from shared.command_line import settings_from
from shared.errors import ConfigurationError
from shared.logs import configure_logs
from shared.settings import Settings
from shared.terminal import print_line


@contextmanager
def opened_workbench(arguments: argparse.Namespace) -> Iterator[tuple[Workbench, Settings]]:
    """The workbench that a command's settings name, and these; ConfigurationError, WorkbenchUnavailableError."""
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    with closing(Workbench.of(settings, lambda: datetime.now(UTC))) as bench:
        yield bench, settings


def write_out(text: str, path: Path | None, what: str) -> None:
    """Write text to a file, and say `what` it has, or to standard output; ConfigurationError."""
    if path is None:
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigurationError(f"--out: {path}: {error.strerror}") from error
    print_line(f"{what} written to {path}")
