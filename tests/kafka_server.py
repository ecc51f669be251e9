"""A real Kafka broker in a container, which can be stopped, started and frozen."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from tests.conftest import free_port

IMAGE = "apache/kafka:4.1.0"
SECRETS = "/mnt/shared/secrets"
# A broker of minutes never earns back what the second compiler costs.
SHORT_LIVED_JAVA = "-XX:TieredStopAtLevel=1"

_STARTED = "Kafka Server started"
_START_SECONDS = 90


@dataclass(frozen=True, slots=True)
class KafkaServer:
    """A running broker. `plain` and `secure` are `host:port` of its listeners; `secure` is "" where it has none."""

    plain: str
    secure: str
    container: Any

    def stop(self) -> None:
        """End the broker's process; what it has written stays."""
        self.container.stop(timeout=5)

    def kill(self) -> None:
        """End the broker's process at once, as `kill -9` does."""
        self.container.kill()

    def start(self) -> None:
        """Start it again at the same address."""
        self.container.start()

    def freeze(self) -> None:
        """Let connections stay open without an answer."""
        self.container.pause()

    def thaw(self) -> None:
        """Answer again."""
        self.container.unpause()


@contextmanager
def kafka_server(
    secrets: Path | None = None,
    secure_options: Mapping[str, str] | None = None,
    *,
    advertised_port: int | None = None,
    advertised_secure_port: int | None = None,
    memory: str = "1g",
    java: str = SHORT_LIVED_JAVA,
) -> Iterator[KafkaServer]:
    """A single broker; with `secrets`, a folder that its user may read, it has a SASL_SSL listener named SECURE too.
    `java` are options of the virtual machine.

    With `advertised_port` it sends its clients there, to a proxy, and not to the port of `plain`; with
    `advertised_secure_port` likewise those of `secure`.
    """
    plain_port, secure_port = free_port(), free_port()
    listeners = "PLAINTEXT://:9092,CONTROLLER://:9093"
    advertised = f"PLAINTEXT://127.0.0.1:{advertised_port or plain_port}"
    if secrets is not None:
        listeners += ",SECURE://:9094"
        advertised += f",SECURE://127.0.0.1:{advertised_secure_port or secure_port}"
    container = (
        DockerContainer(IMAGE, mem_limit=memory)
        .with_bind_ports(9092, plain_port)
        .with_env("KAFKA_OPTS", java)
        .with_env("KAFKA_NODE_ID", "1")
        .with_env("KAFKA_PROCESS_ROLES", "broker,controller")
        .with_env("KAFKA_LISTENERS", listeners)
        .with_env("KAFKA_ADVERTISED_LISTENERS", advertised)
        .with_env("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")
        .with_env("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL")
        .with_env("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093")
        .with_env("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
        .with_env("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
        .waiting_for(_started())
    )
    if secrets is not None:
        container.with_bind_ports(9094, secure_port).with_volume_mapping(str(secrets), SECRETS, "ro")
    for name, value in (secure_options or {}).items():
        container.with_env(name, value)
    with container:
        yield KafkaServer(
            f"127.0.0.1:{plain_port}",
            f"127.0.0.1:{secure_port}" if secrets is not None else "",
            container.get_wrapped_container(),
        )


@contextmanager
def kafka_cluster(brokers: int = 3) -> Iterator[list[KafkaServer]]:
    """Brokers that keep three copies of what they are given, and take it while two are up."""
    ports = [free_port() for _ in range(brokers)]
    voters = ",".join(f"{node}@kafka-{node}:9093" for node in range(1, brokers + 1))
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        containers = []
        for node, port in enumerate(ports, 1):
            container = (
                DockerContainer(IMAGE, mem_limit="700m")
                .with_network(network)
                .with_network_aliases(f"kafka-{node}")
                .with_bind_ports(9092, port)
                .with_env("CLUSTER_ID", "5L6g3nShT-eMCtK--X86sw")
                .with_env("KAFKA_HEAP_OPTS", "-Xms256m -Xmx256m")
                .with_env("KAFKA_OPTS", SHORT_LIVED_JAVA)
                .with_env("KAFKA_NODE_ID", str(node))
                .with_env("KAFKA_PROCESS_ROLES", "broker,controller")
                .with_env("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093,INTERNAL://:9094")
                .with_env("KAFKA_ADVERTISED_LISTENERS", f"PLAINTEXT://127.0.0.1:{port},INTERNAL://kafka-{node}:9094")
                .with_env("KAFKA_INTER_BROKER_LISTENER_NAME", "INTERNAL")
                .with_env("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")
                .with_env(
                    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP",
                    "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT",
                )
                .with_env("KAFKA_CONTROLLER_QUORUM_VOTERS", voters)
                .with_env("KAFKA_MIN_INSYNC_REPLICAS", str(brokers - 1))
                .with_env("KAFKA_DEFAULT_REPLICATION_FACTOR", str(brokers))
                .with_env("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", str(brokers))
                .with_env("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "5")
                .with_env("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
            )
            containers.append(stack.enter_context(container))
        for container in containers:
            _started().wait_until_ready(container)
        yield [
            KafkaServer(f"127.0.0.1:{port}", "", container.get_wrapped_container())
            for port, container in zip(ports, containers, strict=True)
        ]


def _started() -> LogMessageWaitStrategy:
    strategy = LogMessageWaitStrategy(_STARTED)
    strategy.with_startup_timeout(_START_SECONDS)
    return strategy
