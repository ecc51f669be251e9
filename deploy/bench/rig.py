"""What the benchmarks share: real servers in containers, the real programs as processes, pictures, and figures."""

import argparse
import base64
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import free_port


def data_dir() -> Path:
    """The folder with the picture collections and the pretrained network."""
    folder = Path(os.environ.get("CATALOGUE_TEST_DATA", Path(__file__).parents[3] / "shared"))
    if not (folder / "data").is_dir():
        sys.exit("CATALOGUE_TEST_DATA must name the folder that holds data/ and models/")
    return folder


def clothing(count: int) -> list[tuple[str, str, Path]]:
    """(image id, category, path) of clothing pictures; beyond the collection's size they come again under other ids."""
    folder = data_dir() / "data" / "clothing"
    with (folder / "items.csv").open() as table:
        rows = [(row["path"], row["category"], folder / row["path"]) for row in csv.DictReader(table)]
    return [(f"{n // len(rows)}/{rows[n % len(rows)][0]}", *rows[n % len(rows)][1:]) for n in range(count)]


def inline_event(image_id: str, category: str, content: bytes, event_time: str) -> bytes:
    """A catalogue event with the picture's bytes."""
    return _event(image_id, category, {"bytes": base64.b64encode(content).decode()}, event_time)


def url_event(image_id: str, category: str, url: str, event_time: str) -> bytes:
    """A catalogue event with the picture's URL."""
    return _event(image_id, category, {"url": url}, event_time)


def _event(image_id: str, category: str, image: dict[str, str], event_time: str) -> bytes:
    event = {"image_id": image_id, "event_time": event_time, "image": image, "attributes": {"category": category}}
    return json.dumps(event).encode()


def now_text() -> str:
    """The time now as an event carries it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1000 % 1_000_000:06d}Z"


@dataclass
class Bench:
    """Settings of the programs under test, and what to stop at the end."""

    settings: dict[str, str]
    stack: ExitStack
    folder: Path
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """The environment of a program under test."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CATALOGUE_")}
        return kept | {f"CATALOGUE_{name.upper()}": value for name, value in self.settings.items()}

    def call(self, *arguments: str) -> None:
        """Run one of the project's commands to its end."""
        subprocess.run([sys.executable, "-m", *arguments], env=self.environment(), check=True)

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start one of the project's commands; it is stopped at the end."""
        return self._start("-m", *arguments)

    def start_with_a_stub(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """The same with a stub for the network, as of `stub_programs`."""
        return self._start(str(Path(__file__).with_name("stub_programs.py")), *arguments)

    def _start(self, what: str, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        log = self.stack.enter_context((self.folder / f"{program}.log").open("ab"))
        command = [sys.executable, what, program, *arguments]
        process = subprocess.Popen(command, env=self.environment(), stderr=log)
        self.processes.append(process)
        self.stack.callback(stop, process)
        return process


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process and wait for it."""
    process.terminate()
    process.wait(60)


@contextmanager
def bench(settings: dict[str, str], *, servers: bool) -> Iterator[Bench]:
    """A bench on the embedded default, or with a real Kafka and a real Elasticsearch in containers."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = _servers(stack) if servers else _embedded(folder)
        ports = {"metrics_port": str(free_port()), "http_port": str(free_port()), "log_format": "json"}
        workbench = {"workbench_url": f"sqlite://{folder}/workbench.db"}
        yield Bench(urls | ports | workbench | settings, stack, folder)


def _embedded(folder: Path) -> dict[str, str]:
    return {"events_url": f"file://{folder}/events.jsonl", "store_url": f"sqlite://{folder}/catalogue.db"}


def _servers(stack: ExitStack) -> dict[str, str]:
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    from tests.elasticsearch_server import elasticsearch_server  # noqa: PLC0415 (slow to import)
    from tests.kafka_server import kafka_server  # noqa: PLC0415

    elasticsearch = stack.enter_context(elasticsearch_server(heap="1g", memory="3g", java=""))
    kafka = stack.enter_context(kafka_server(memory="2g", java=""))
    return {"events_url": f"kafka://{kafka.plain}/catalogue-events", "store_url": elasticsearch.url}


def postgresql(stack: ExitStack) -> dict[str, str]:
    """The settings of a workbench in a real PostgreSQL, which several searchers can share."""
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 (slow to import)

    server = stack.enter_context(PostgresContainer("postgres:15", driver=None))
    address = f"{server.get_container_host_ip()}:{server.get_exposed_port(5432)}"
    return {
        "workbench_url": f"postgresql://{server.username}@{address}/{server.dbname}",
        "workbench_password": server.password,
    }


def memory_mebibytes(process_id: int, which: str = "VmRSS") -> float:
    """Resident memory of a process and its children, from /proc; with "RssAnon" without the pages of files."""
    kilobytes = 0
    for identity in [process_id, *_children(process_id)]:
        try:
            status = Path(f"/proc/{identity}/status").read_text()
        except OSError:
            continue
        kilobytes += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{which}:"))
    return kilobytes / 1024


def cpu_seconds(process_id: int) -> float:
    """What a process and its children have computed so far, on all cores, from /proc."""
    ticks = 0
    for identity in [process_id, *_children(process_id)]:
        # Behind the name, which may hold anything: user and system time, its own and of children that ended.
        ticks += sum(map(int, Path(f"/proc/{identity}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _children(process_id: int) -> list[int]:
    found = Path(f"/proc/{process_id}/task").glob("*/children")
    direct = [int(child) for path in found for child in path.read_text().split()]
    return direct + [grandchild for child in direct for grandchild in _children(child)]


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def parser(description: str) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return made


def report(figures: dict[str, object], as_json: bool) -> None:
    """Print the figures with the machine that they were taken on."""
    figures = {"machine": machine(), **figures}
    if as_json:
        print(json.dumps(figures))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:.3f}" if isinstance(value, float) else f"{name:<{width}}  {value}")


def machine() -> str:
    """Processor, cores and memory."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = models[0].partition(": ")[2] if models else platform.processor()
    return f"{model}, {os.cpu_count()} cores, {gibibytes:.0f} GiB, Python {platform.python_version()}"
