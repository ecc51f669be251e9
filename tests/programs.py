"""Runs the real programs as processes, with settings of the test's own."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.event_log import NewRecord, opening
from shared.settings import Settings
from tests.conftest import free_port

ROOT = Path(__file__).parents[1]


@dataclass
class Programs:
    """The indexer's and the searcher's commands, run in `folder` with `settings` (names without the prefix)."""

    folder: Path
    settings: dict[str, str]

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CATALOGUE_")}
        return kept | {f"CATALOGUE_{name.upper()}": value for name, value in self.settings.items()}

    def run(
        self, *arguments: str, timeout: float = 240, options: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever its exit code; `options` are the interpreter's."""
        return subprocess.run(
            [sys.executable, *options, "-m", *arguments],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def ok(self, *arguments: str, timeout: float = 240) -> str:
        """Run a command that must succeed; gives its standard output."""
        done = self.run(*arguments, timeout=timeout)
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """What a command that must succeed prints with --json."""
        return json.loads(self.ok(*arguments, "--json"))

    @contextmanager
    def running(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A command in the background, killed at the end where it still runs; its output goes to a file."""
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments], cwd=self.folder, env=self.environment(), stdout=log, stderr=log
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait(30)

    def append(self, records: Iterable[NewRecord | Mapping[str, Any]]) -> None:
        """Append records, or events as a producer writes them, to the event source."""
        made = [
            one
            if isinstance(one, NewRecord)
            else NewRecord(str(one["image_id"]).encode(), json.dumps(dict(one)).encode())
            for one in records
        ]
        with closing(opening.open_writer(self.settings_of_programs())) as writer:
            writer.append(made)

    def settings_of_programs(self) -> Settings:
        """The settings as the programs read them."""
        return Settings(_env_file=None, **self.settings)  # type: ignore[arg-type]

    def beside(self, **settings: str) -> "Programs":
        """The same job for a second worker or searcher, with ports and a log of its own."""
        folder = self.folder / f"beside-{free_port()}"
        folder.mkdir()
        ports = {"http_port": str(free_port()), "metrics_port": str(free_port())}
        return Programs(folder, self.settings | ports | settings)

    def worker_status(self, path: str) -> int:
        """The status of the worker's /livez or /readyz; 0 where nobody answers."""
        return get_status(f"http://127.0.0.1:{self.settings['metrics_port']}{path}")

    def searcher_status(self, path: str) -> int:
        """The status of a GET from the searcher; 0 where nobody answers."""
        return get_status(f"http://127.0.0.1:{self.settings['http_port']}{path}")

    def worker_metric(self, name: str, **labels: str) -> float:
        """The sum of a worker's metric, `catalogue_indexer_` left out; 0 while nobody answers."""
        return metric(self.settings["metrics_port"], f"catalogue_indexer_{name}", **labels)

    def told(self, event: str) -> int:
        """How often the worker's log has this event."""
        return (self.folder / "indexer.log").read_text().count(f'"event": "{event}"')

    @contextmanager
    def worker(self) -> Iterator["subprocess.Popen[bytes]"]:
        """A ready worker, killed at the end where it still runs."""
        with self.running("indexer", "run") as process:
            until(lambda: self.worker_status("/readyz") == 200, 60, "the worker", process)
            yield process

    @contextmanager
    def serving(self) -> Iterator[str]:
        """A ready searcher's base URL."""
        with self.running("searcher", "serve") as process:
            base = f"http://127.0.0.1:{self.settings['http_port']}"
            until(lambda: get_status(f"{base}/readyz") == 200, 60, "the searcher", process)
            yield base


def programs(folder: Path, **settings: str) -> Programs:
    """Programs on the embedded default in `folder`, with free ports, unless the settings say otherwise."""
    defaults = {
        "events_url": f"file://{folder}/events.jsonl",
        "store_url": f"sqlite://{folder}/catalogue.db",
        "embedder": "classic",
        "http_port": str(free_port()),
        "metrics_port": str(free_port()),
        "log_format": "json",
    }
    return Programs(folder, defaults | settings)


def get_status(url: str) -> int:
    """The status of a GET, 0 where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def get_json(url: str, body: object = None) -> Any:
    """The JSON of a GET, or of a POST where there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def metric(port: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels; 0 while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
            lines = reply.read().decode().splitlines()
    except OSError:
        return 0.0
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith((name + " ", name + "{")) and all(one in line for one in wanted)
    )


def until(
    condition: Callable[[], bool], seconds: float, what: str, process: "subprocess.Popen[bytes] | None" = None
) -> None:
    """Wait for a condition of another process; fails where it does not come, or where that process ended."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"gave up waiting for {what}"
        assert process is None or process.poll() is None, f"{what}: the process ended with {process.returncode}"
        time.sleep(0.05)
