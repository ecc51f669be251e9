"""Indexing through the real pipeline: the indexer's own commands as child processes."""

import csv
import io
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from searcher.evaluation.collection import Picture
from shared.errors import (
    EXIT_CONFIGURATION,
    EXIT_DEPENDENCY,
    BadInputHaltError,
    ConfigurationError,
    DependencyUnavailableError,
)
from shared.rolling_window import to_milliseconds, window_start
from shared.settings import Settings
from shared.store import Restriction
from shared.store.opening import open_store
from shared.terminal import progress

_LOOK_SECONDS = 0.5
_TOLD_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class IndexingRate:
    """How long `indexer run` took for so many pictures, its start included.

    `cold`: the embeddings were computed meanwhile; False where they, or some of them, came from the cache.
    """

    pictures: int
    seconds: float
    cold: bool


class Indexer:
    """Runs the indexer's commands with these settings as flags; their logs go to `log`."""

    def __init__(self, settings: Mapping[str, str], log: Path) -> None:
        self._flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        self._log = log

    def command(self, *arguments: str) -> list[str]:
        """The command as it is run."""
        return [sys.executable, "-m", "indexer", *arguments, *self._flags]

    def run(self, *arguments: str, meanwhile: Callable[[], None] = lambda: None) -> float:
        """Run a command to its end, `meanwhile` now and then; gives the seconds.

        The command's error as one of ours: ConfigurationError, DependencyUnavailableError or BadInputHaltError.
        """
        began = time.monotonic()
        with self._log.open("ab") as log:
            start = log.tell()
            # It shows its progress on a terminal itself.
            errors = None if sys.stderr.isatty() and "run" not in arguments else log
            with subprocess.Popen(self.command(*arguments), stdout=log, stderr=errors) as process:
                try:
                    code = _wait(process, meanwhile)
                except BaseException:  # Whatever ends this process early ends the child too.
                    process.terminate()
                    raise
        if code:
            raise _error(code, arguments[0], self._log.read_bytes()[start:])
        return time.monotonic() - began


def write_gallery(pictures: Sequence[Picture], file: Path) -> None:
    """A CSV file as `indexer produce` reads it."""
    columns = sorted({name for picture in pictures for name in picture.attributes})
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(["image_id", "path", *columns])
    for picture in pictures:
        values = [picture.attributes.get(column, "") for column in columns]
        writer.writerow([picture.image_id, str(picture.path), *values])
    file.write_text(stream.getvalue(), encoding="utf-8")


def produce(indexer: Indexer, gallery: Path) -> None:
    """Append the gallery's events, the pictures' bytes in them."""
    indexer.run("produce", f"--csv={gallery}", "--inline")


def has_encoder(settings: Settings) -> bool:
    """Whether an encoder is active: it was made before an interruption then."""
    with closing(open_store(settings)) as store:
        return store.active_encoder() is not None


def fill(indexer: Indexer, settings: Settings, count: int, now: Callable[[], datetime]) -> float:
    """Index what is in the event source, with a progress bar; gives the seconds."""
    with closing(open_store(settings)) as store, progress("indexing", count) as advance:
        shown = 0

        def look() -> None:
            nonlocal shown
            visible = store.visible_count(Restriction(to_milliseconds(window_start(now(), settings.window_months))))
            advance(visible - shown)
            shown = visible

        return indexer.run("run", "--until-caught-up", meanwhile=look)


def _wait(process: "subprocess.Popen[bytes]", meanwhile: Callable[[], None]) -> int:
    while True:
        try:
            return process.wait(_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            meanwhile()


def _error(code: int, command: str, output: bytes) -> Exception:
    lines = output.decode(errors="replace").strip().splitlines() or ["it has told why"]
    told = f"indexer {command}: {lines[-1][-_TOLD_CHARACTERS:].removeprefix('indexer: ')}"
    if code == EXIT_CONFIGURATION:
        return ConfigurationError(told)
    if code == EXIT_DEPENDENCY:
        return DependencyUnavailableError(told)
    return BadInputHaltError(f"{told} (exit code {code})")
