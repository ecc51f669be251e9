"""`make demo`: a catalogue, an indexer and a searcher on one machine, as two processes on the embedded default.

Everything is kept under `.demo/` (the events, the codes, the processes' logs), so that a second start goes on where the
first one ended. Remove the folder to start over.
"""

import argparse
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import accumulate
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shared.encoding.copy_code import can_make_copy_codes
from shared.errors import EXIT_DEPENDENCY, CatalogueError
from shared.event_log.opening import open_reader
from shared.settings import load_settings
from shared.store.opening import open_store

ROOT = Path(__file__).parents[1]
LOOK_SECONDS = 0.2
STOP_SECONDS = 40.0
PAGE_PORT, METRICS_PORT = 8080, 9108
# Enough for 256 bits, and a minute or two of VGG16 on a processor.
SAMPLE = 1000


class StoppedError(Exception):
    """The user asked to stop."""


class FailedError(Exception):
    """A program of the demo failed; the text says which and what it said."""


def main() -> int:
    """Run the demo until Ctrl-C, SIGTERM, or the end of its time."""
    options = _options()
    console = Console(highlight=False, soft_wrap=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        demo = Demo(options, console, stop)
        with suppress(StoppedError):
            demo.prepare()
            demo.serve()
    except (FailedError, CatalogueError) as error:
        console.print(str(error), style="red", markup=False)
        return 1
    console.print(f"Stopped. {demo.folder} keeps everything for the next start; remove it to start over.", markup=False)
    return 0


class Demo:
    """One demo: its folder, its settings, and what is done already."""

    def __init__(self, options: argparse.Namespace, console: Console, stop: threading.Event) -> None:
        self._images: Path | None = options.images
        self._items: int = options.items
        self._seconds: float | None = options.seconds
        self._console = console
        self._stop = stop
        self.folder = _folder_of(options.folder.absolute(), self._images)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._events = self.folder / "events.jsonl"
        self._page_port = self._port(PAGE_PORT, "the page")
        self._metrics_port = self._port(METRICS_PORT, "the worker's metrics")
        self._state_file = self.folder / "demo.json"
        self._state: dict[str, str] = json.loads(self._state_file.read_text()) if self._state_file.exists() else {}

    def prepare(self) -> None:
        """Write the events and fit the encoder, unless an earlier demo has done so."""
        if "produced" not in self._state:
            # A demo that was stopped while it wrote left a part; nothing has read it yet.
            self._events.unlink(missing_ok=True)
            self._call("produce", *self._source())
            self._remember("produced", "yes")
        chosen = os.environ.get("CATALOGUE_EMBEDDER")
        if not self._fitted():
            self._fit(chosen)
        elif self._embedder() != (chosen or self._embedder()):
            self._console.print(f"The index was made with {self._embedder()}; remove {self.folder} to use {chosen}.")
        self._console.print(f"Embedder: {self._embedder()} ({self._state['because']}).")

    def serve(self) -> None:
        """Run indexer and searcher, show the progress and the address, and stop both."""
        with self._running("indexer", "run") as worker, self._running("searcher", "serve") as searcher:
            with self._progress() as progress:
                self._watch(progress, [worker, searcher])
            self._console.print("Ready: everything is indexed. Ctrl-C stops.")
            end = None if self._seconds is None else time.monotonic() + self._seconds
            while end is None or time.monotonic() < end:
                self._pause()
                _check_alive([worker, searcher])

    def _watch(self, progress: Progress, programs: Sequence["Program"]) -> None:
        """Follow the indexing to its end."""
        ends = list(accumulate(len(line) for line in self._events.read_bytes().splitlines(keepends=True)))
        bar = progress.add_task("Indexing", total=len(ends))
        said = False
        with closing(open_reader(load_settings(self._overrides()))) as reader:
            while True:
                done = bisect_right(ends, max(reader.committed_positions().values(), default=0))
                progress.update(bar, completed=done)
                if not said and _answers(self._page_port):
                    said = True
                    progress.console.print(f"Page: [bold]http://127.0.0.1:{self._page_port}[/]")
                if said and done == len(ends) and _answers(self._metrics_port):
                    return
                self._pause()
                _check_alive(programs)

    def _fit(self, chosen: str | None) -> None:
        if chosen is not None:
            self._fit_with(chosen, "CATALOGUE_EMBEDDER says so")
            return
        self._console.print("Looking for VGG16's ImageNet weights (a first download is 528 MB).")
        if self._fit_with("vgg16", "ImageNet weights", optional=True):
            return
        self._fit_with("classic", "VGG16's ImageNet weights are neither in the cache nor to be downloaded now")

    def _fit_with(self, embedder: str, because: str, *, optional: bool = False) -> bool:
        # Remembered first: an encoder that becomes active just before a crash is then known by its embedder.
        self._remember("because", because)
        self._remember("embedder", embedder)
        return self._call("fit", "--sample", str(SAMPLE), may_lack_dependency=optional)

    def _fitted(self) -> bool:
        with closing(open_store(load_settings(self._overrides()))) as store:
            return store.active_encoder() is not None

    def _embedder(self) -> str:
        return self._state["embedder"]

    def _source(self) -> list[str]:
        if self._images is None:
            return ["--demo", str(self._items)]
        # A comma would end the root's name in the list of allowed roots.
        return ["--images", str(self._images), *(["--inline"] if "," in str(self._images) else [])]

    def _overrides(self) -> dict[str, str]:
        """The settings of the demo, by field name."""
        settings = {
            "events_url": self._events.as_uri(),
            "store_url": "sqlite" + (self.folder / "catalogue.db").as_uri().removeprefix("file"),
            "http_port": str(self._page_port),
            "metrics_port": str(self._metrics_port),
        }
        if "embedder" in self._state:
            settings["embedder"] = self._state["embedder"]
        if can_make_copy_codes():
            settings["copy_codes"] = "true"
        if self._images is not None:
            settings["fetch_allowed_roots"] = str(self._images)
        return settings

    def _environment(self) -> dict[str, str]:
        return os.environ | {f"CATALOGUE_{name}".upper(): value for name, value in self._overrides().items()}

    def _call(self, *arguments: str, may_lack_dependency: bool = False) -> bool:
        """Run an `indexer` command to its end on this terminal; False where a dependency that may be missing is."""
        command = [sys.executable, "-m", "indexer", *arguments]
        # A session of its own: Ctrl-C reaches this process alone, which stops the others in order.
        process = subprocess.Popen(command, cwd=self.folder, env=self._environment(), start_new_session=True)
        try:
            while process.poll() is None:
                self._pause()
        finally:
            _terminate(process)
        if process.returncode == EXIT_DEPENDENCY and may_lack_dependency:
            return False
        if process.returncode != 0:
            raise FailedError(f"indexer {arguments[0]} ended with exit code {process.returncode}")
        return True

    @contextmanager
    def _running(self, package: str, command: str) -> Iterator["Program"]:
        log = self.folder / f"{package}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", package, command],
                cwd=self.folder,
                env=self._environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield Program(f"{package} {command}", process, log)
        finally:
            _terminate(process)

    def _port(self, wanted: int, use: str) -> int:
        port = _free_port(wanted)
        if port != wanted:
            self._console.print(f"Port {wanted} is taken, so {use} will be at {port}.")
        return port

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        return Progress(*columns, console=self._console)

    def _remember(self, name: str, value: str) -> None:
        self._state[name] = value
        self._state_file.write_text(json.dumps(self._state))

    def _pause(self) -> None:
        if self._stop.wait(LOOK_SECONDS):
            raise StoppedError


class Program:
    """A running program and the file that it logs to."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=_existing_folder, metavar="DIR", help="your own pictures, not the drawn ones")
    parser.add_argument("--items", type=int, default=300, help="items of the drawn catalogue (default: %(default)s)")
    parser.add_argument("--seconds", type=float, metavar="N", help="stop so long after everything is indexed")
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="where to keep it (default: %(default)s)")
    return parser.parse_args()


def _existing_folder(text: str) -> Path:
    folder = Path(text).expanduser().absolute()
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {folder}")
    return folder


def _folder_of(folder: Path, images: Path | None) -> Path:
    """Each collection of pictures has a demo of its own."""
    if images is None:
        return folder / "drawn"
    return folder / f"{images.name}-{hashlib.sha256(os.fsencode(images)).hexdigest()[:8]}"


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise FailedError("no TCP port is free")


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _check_alive(programs: Sequence[Program]) -> None:
    for program in programs:
        if program.process.poll() is not None:
            tail = "\n".join(program.log.read_text(errors="replace").splitlines()[-10:])
            raise FailedError(f"{program.name} ended with exit code {program.process.returncode}:\n{tail}")


def _terminate(process: "subprocess.Popen[bytes]") -> None:
    """Ask a process to stop, and wait; it drains and commits first."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
