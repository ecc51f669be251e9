"""Fixtures of the whole suite: test data, real servers in containers; and in CI nothing is skipped but for a GPU."""

import gc
import os
import secrets
import signal
import socket
import uuid
import warnings
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.elasticsearch_server import ElasticsearchServer
    from tests.programs import Programs

# A shell gives what it starts in the background no Ctrl-C, nor would the programs have one that tests start and stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

DATA_VARIABLE = "CATALOGUE_TEST_DATA"
IN_CI = os.environ.get("CI") == "true"

_PORTS_FROM, _PORTS_EACH = 20_000, 700

# On a busy machine an example may take long; what it takes says nothing of the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI a skipped test is a failed one, unless it needs a GPU."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("gpu") is None:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr[2]}"


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """The same for a file that is skipped whole."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped, which CI does not allow: {report.longrepr[2]}"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the picture collections and the pretrained network."""
    folder = Path(os.environ.get(DATA_VARIABLE, Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no picture collections: {DATA_VARIABLE} names no folder with data/ and models/")
    return folder


def free_port() -> int:
    """A TCP port that nothing listens on now, and that no other process of the tests is given."""
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("all ports of this process of the tests are taken")


def _own_ports() -> Iterator[int]:
    """Each process of one run of the tests (pytest-xdist calls them gw0, gw1 …) has its own, below those that systems
    give to clients; where it begins among them differs, since other runs may be going on."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _PORTS_FROM + worker * _PORTS_EACH
    begin = secrets.randbelow(_PORTS_EACH)
    return cycle(first + (begin + step) % _PORTS_EACH for step in range(_PORTS_EACH))


_ports = _own_ports()


@pytest.fixture(scope="session")
def docker() -> None:
    """Skip where no Docker engine answers."""
    if refusal := _refusal_of_docker():
        # The client leaves the socket of a failed connection to the garbage collector.
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()
        pytest.skip(f"no Docker engine answers: {refusal}")


def _refusal_of_docker() -> str | None:
    import docker as docker_client  # noqa: PLC0415 (installed with testcontainers, slow to import)

    try:
        client = docker_client.from_env()
        client.ping()
        client.close()
    except docker_client.errors.DockerException as error:
        return str(error)
    return None


@pytest.fixture(scope="session")
def elasticsearch_node(docker: None) -> Iterator["ElasticsearchServer"]:
    """A real single-node Elasticsearch for all tests that leave it running."""
    from tests.elasticsearch_server import elasticsearch_server  # noqa: PLC0415

    with elasticsearch_server(heap="768m") as server:
        yield server


@pytest.fixture
def clean_elasticsearch_url(elasticsearch_node: "ElasticsearchServer") -> str:
    """`elasticsearch://host:port` of the server, without any index of the project."""
    elasticsearch_node.remove_indices()
    return elasticsearch_node.url


@pytest.fixture
def real(tmp_path: Path, kafka_broker: str, clean_elasticsearch_url: str) -> "Programs":
    """The programs on a topic of their own and an empty Elasticsearch."""
    from tests.programs import programs  # noqa: PLC0415 (it needs this module)

    return programs(
        tmp_path,
        events_url=f"kafka://{kafka_broker}/events-{uuid.uuid4().hex[:8]}",
        store_url=clean_elasticsearch_url,
        kafka_session_seconds="6",
    )


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.containers)])
def job(request: pytest.FixtureRequest, tmp_path: Path) -> "Programs":
    """The programs on the embedded default, and on real servers."""
    from tests.programs import Programs, programs  # noqa: PLC0415 (it needs this module)

    if request.param == "embedded":
        return programs(tmp_path)
    found = request.getfixturevalue("real")
    assert isinstance(found, Programs)
    return found


@pytest.fixture(scope="session")
def own_elasticsearch(docker: None) -> Iterator["ElasticsearchServer"]:
    """A real Elasticsearch that a test may kill and start again; whoever takes it removes what is left in it."""
    from tests.elasticsearch_server import elasticsearch_server  # noqa: PLC0415

    with elasticsearch_server() as server:
        yield server


@pytest.fixture(scope="session")
def kafka_broker(docker: None) -> Iterator[str]:
    """`host:port` of a real Kafka broker."""
    from tests.kafka_server import kafka_server  # noqa: PLC0415

    with kafka_server() as server:
        yield server.plain


@pytest.fixture(scope="session")
def postgresql(docker: None) -> Iterator[tuple[str, str]]:
    """`postgresql://user@host:port/database` of a real PostgreSQL, and the user's password."""
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415

    with PostgresContainer("postgres:15", driver=None) as server:
        host, port = server.get_container_host_ip(), server.get_exposed_port(5432)
        yield f"postgresql://{server.username}@{host}:{port}/{server.dbname}", server.password
