"""Everything that a soak runs: real servers behind fault proxies, workers, a searcher, an image host."""

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import free_port
from tests.elasticsearch_server import ElasticsearchServer, elasticsearch_server
from tests.fault_proxy import ElasticsearchProxy
from tests.image_host import ImageHost
from tests.kafka_server import KafkaServer, kafka_server
from tests.model import PICTURES
from tests.pictures import jpeg_picture
from tests.programs import Programs, programs
from tests.tcp_proxy import TcpProxy

WORKERS_MAX = 3


class Program:
    """One of the project's commands, which faults end and which is started again."""

    def __init__(self, job: Programs, arguments: list[str], port_setting: str) -> None:
        self.port = str(free_port())
        self._arguments = arguments
        self._environment = job.environment() | {f"CATALOGUE_{port_setting.upper()}": self.port}
        self._log = job.folder / f"{arguments[0]}-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.unexpected_ends: list[str] = []

    @property
    def running(self) -> bool:
        """Whether it was started and not ended since."""
        return self._process is not None

    def start(self) -> None:
        """Start it where it does not run."""
        if self._process is not None:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._arguments],
                cwd=self._log.parent,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def end(self, number: signal.Signals, *expected: int) -> None:
        """Send a signal that ends it, and wait; any other exit code than the `expected` ones is remembered."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            code = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait(60)
        if code not in expected:
            self.unexpected_ends.append(f"{self._log.name}: exit code {code} after {number.name}")

    def kill(self) -> None:
        """End it as a power cut would."""
        self.end(signal.SIGKILL, -signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to leave cleanly; one that stands still could not hear it."""
        self.thaw()
        # Where it had only begun to start, the command's own answer to the signal, or the system's, comes first.
        self.end(signal.SIGTERM, 0, 128 + signal.SIGTERM, -signal.SIGTERM)

    def freeze(self) -> None:
        """Let it stand still, connections open."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def look(self) -> None:
        """Note, and start again, where it ended by itself: nothing a soak does may end it."""
        if self._process is not None and self._process.poll() is not None:
            self.unexpected_ends.append(f"{self._log.name}: exit code {self._process.returncode}, by itself")
            self._process = None
            self.start()


@dataclass
class World:
    """The running system; `close` ends all of it."""

    job: Programs
    elasticsearch: ElasticsearchServer
    store_proxy: ElasticsearchProxy
    kafka: KafkaServer
    kafka_proxy: TcpProxy
    pictures: ImageHost
    workers: list[Program]
    searcher: Program
    stack: ExitStack = field(repr=False)

    @property
    def base(self) -> str:
        """The searcher's URL."""
        return f"http://127.0.0.1:{self.searcher.port}"

    def programs(self) -> list[Program]:
        """All processes under test."""
        return [*self.workers, self.searcher]

    def picture_url(self, picture: int) -> str:
        """Where the image host has a picture of the model."""
        return self.pictures.url(f"/{picture}.jpg")

    def serve_pictures(self, status: int) -> None:
        """Let the image host answer with this status from now on, and with the pictures where it is 200."""
        for picture in range(PICTURES):
            content = base64.b64decode(jpeg_picture(picture)) if status == 200 else b""
            self.pictures.serve(f"/{picture}.jpg", content, status=status)

    def close(self) -> None:
        """End everything."""
        for program in self.programs():
            program.thaw()
            program.kill()
        self.stack.close()


def open_world(folder: Path) -> World:
    """Start everything but the workers; an encoder is not fitted yet."""
    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
    with ExitStack() as stack:
        elasticsearch = stack.enter_context(elasticsearch_server())
        kafka_port = free_port()
        kafka = stack.enter_context(kafka_server(advertised_port=kafka_port))
        kafka_proxy = stack.enter_context(TcpProxy("127.0.0.1", int(kafka.plain.partition(":")[2]), kafka_port))
        kafka_proxy.open()
        store_proxy = stack.enter_context(ElasticsearchProxy("127.0.0.1", elasticsearch.port))
        pictures = stack.enter_context(ImageHost())
        job = programs(
            folder,
            events_url=f"kafka://127.0.0.1:{kafka_proxy.port}/events",
            store_url=f"elasticsearch://127.0.0.1:{store_proxy.port}",
            elasticsearch_seconds="5",
            kafka_session_seconds="6",
            retry_seconds_max="2",
            in_flight_records_max="64",
            fetch_allowed_hosts=f"127.0.0.1:{pictures.port}",
            fetch_retry_seconds="3",
            fetch_retries="20",
        )
        workers = [Program(job, ["indexer", "run"], "metrics_port") for _ in range(WORKERS_MAX)]
        searcher = Program(job, ["searcher", "serve"], "http_port")
        world = World(
            job,
            elasticsearch,
            store_proxy,
            kafka,
            kafka_proxy,
            pictures,
            workers,
            searcher,
            stack.pop_all(),
        )
    world.serve_pictures(200)
    return world


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait for a condition; gives the seconds that it took. TimeoutError where it does not come."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            raise TimeoutError(f"gave up waiting for {what} after {seconds:g} s")
        time.sleep(0.1)
    return time.monotonic() - start
