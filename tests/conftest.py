"""Fixtures of the whole suite: test data, real servers in containers, and the rule that CI skips only what needs a GPU."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

DATA_VARIABLE = "CATALOGUE_TEST_DATA"
IN_CI = os.environ.get("CI") == "true"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI a skipped test is a failed one, unless it needs a GPU."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("gpu") is None:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr[2]}"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the picture collections and the pretrained network."""
    folder = Path(os.environ.get(DATA_VARIABLE, Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no picture collections: {DATA_VARIABLE} names no folder with data/ and models/")
    return folder


def free_port() -> int:
    """A TCP port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def docker() -> None:
    """Skip where no Docker engine answers."""
    import docker as docker_client  # noqa: PLC0415 (installed with testcontainers, slow to import)

    try:
        client = docker_client.from_env()
        client.ping()
        client.close()
    except docker_client.errors.DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")


@pytest.fixture(scope="session")
def elasticsearch_url(docker: None) -> Iterator[str]:
    """`elasticsearch://host:port` of a real single-node Elasticsearch, empty at the start of the session."""
    from testcontainers.community.elasticsearch import ElasticSearchContainer  # noqa: PLC0415

    container = ElasticSearchContainer("docker.elastic.co/elasticsearch/elasticsearch:9.5.0", mem_limit="2g")
    container.with_env("ES_JAVA_OPTS", "-Xms768m -Xmx768m").with_env("discovery.type", "single-node")
    with container:
        yield f"elasticsearch://{container.get_container_host_ip()}:{container.get_exposed_port(9200)}"


@pytest.fixture(scope="session")
def kafka_broker(docker: None) -> Iterator[str]:
    """`host:port` of a real Kafka broker."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

    port = free_port()
    container = (
        DockerContainer("apache/kafka:4.1.0", mem_limit="1g")
        .with_bind_ports(9092, port)
        .with_env("KAFKA_NODE_ID", "1")
        .with_env("KAFKA_PROCESS_ROLES", "broker,controller")
        .with_env("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093")
        .with_env("KAFKA_ADVERTISED_LISTENERS", f"PLAINTEXT://127.0.0.1:{port}")
        .with_env("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")
        .with_env("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT")
        .with_env("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093")
        .with_env("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
        .with_env("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
        .waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(60))
    )
    with container:
        yield f"127.0.0.1:{port}"
