"""kafka-python with the project's settings and errors; the one module that imports it.

kafka-python 3.x drives its connections on a daemon thread of its own; calls here block for a bounded time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.net.compat import KafkaNetClient
from kafka.net.sasl.oauth import AbstractTokenProvider
from kafka.structs import OffsetAndMetadata

from indexer.event_log import Record
from indexer.event_log.kafka_options import KafkaTopic, client_options, explain_tls_failure
from shared.errors import BadInputHaltError, ConfigurationError, EventLogUnavailableError
from shared.settings import Settings

__all__ = ["Handover", "KafkaClients", "KafkaError", "TopicAlreadyExistsError", "TopicPartition"]

# How long one question to a broker may take, where the client takes a limit for it.
ANSWER_MS = 3000
# What a commit meets while the group is being redistributed. The work is done again by the new owner.
NOT_OURS_NOW = (
    kafka_errors.CommitFailedError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.UnknownMemberIdError,
)

# A member that does not poll for so long is taken for stuck; the worker polls all the time.
_POLL_INTERVAL_MS = 60_000
_SETTING_AT_FAULT = {
    kafka_errors.InvalidTopicError: "CATALOGUE_EVENTS_URL",
    kafka_errors.TopicAuthorizationFailedError: "CATALOGUE_EVENTS_URL",
    kafka_errors.ClusterAuthorizationFailedError: "CATALOGUE_KAFKA_USERNAME",
    kafka_errors.SaslAuthenticationFailedError: "CATALOGUE_KAFKA_USERNAME, CATALOGUE_KAFKA_PASSWORD",
    kafka_errors.UnsupportedSaslMechanismError: "CATALOGUE_KAFKA_SASL_MECHANISM",
    kafka_errors.GroupAuthorizationFailedError: "CATALOGUE_GROUP",
    kafka_errors.InvalidGroupIdError: "CATALOGUE_GROUP",
    kafka_errors.InconsistentGroupProtocolError: "CATALOGUE_GROUP",
    kafka_errors.InvalidSessionTimeoutError: "CATALOGUE_KAFKA_SESSION_SECONDS",
    kafka_errors.InvalidReplicationFactorError: "CATALOGUE_KAFKA_REPLICATION",
    kafka_errors.InvalidPartitionsError: "CATALOGUE_KAFKA_PARTITIONS",
}
_REFUSED_RECORD = (
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
    kafka_errors.InvalidRecordError,
)


class KafkaClients:
    """Opens clients of the brokers of a topic, and tells what their errors mean."""

    def __init__(self, topic: KafkaTopic, settings: Settings) -> None:
        """Connects nowhere; ConfigurationError where a setting can't be."""
        self._topic = topic
        self._options = client_options(topic.servers, settings)
        self._token_is_renewed = self._options.get("sasl_mechanism") == "OAUTHBEARER"
        if self._token_is_renewed:
            assert settings.kafka_oauth_token_file is not None, "client_options checked it"
            self._options["sasl_oauth_token_provider"] = _TokenFile(settings.kafka_oauth_token_file)

    def group_consumer(self, group: str, session_seconds: float) -> Any:
        """A KafkaConsumer that may join `group`."""
        return self._open(
            KafkaConsumer,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy=[CooperativeStickyAssignor],
            session_timeout_ms=int(session_seconds * 1000),
            heartbeat_interval_ms=int(session_seconds * 1000 / 4),
            max_poll_interval_ms=_POLL_INTERVAL_MS,
            metrics_enabled=False,
        )

    def consumer(self) -> Any:
        """A KafkaConsumer without a group."""
        return self._open(
            KafkaConsumer, auto_offset_reset="earliest", isolation_level="read_committed", metrics_enabled=False
        )

    def producer(self, delivery_seconds: float) -> Any:
        """An idempotent KafkaProducer; a record that is not durable after `delivery_seconds` has failed."""
        return self._open(
            KafkaProducer,
            acks="all",
            enable_idempotence=True,
            max_request_size=self._topic.message_bytes_max,
            batch_size=256 * 1024,
            max_block_ms=ANSWER_MS,
            delivery_timeout_ms=int(delivery_seconds * 1000),
            metrics_enabled=False,
        )

    @contextmanager
    def admin(self) -> Iterator[Any]:
        """A KafkaAdminClient, closed afterwards."""
        client = self._open(KafkaAdminClient)
        try:
            yield client
        finally:
            client.close()

    def partitions(self) -> list[TopicPartition]:
        """All partitions of the topic; none where it is missing.

        A consumer knows them too, but where its metadata come while it asks, it may miss the topic, or wait for ever.
        """
        with self.admin() as admin:
            (described,) = admin.describe_topics([self._topic.name])
        fault = kafka_errors.for_code(described["error_code"])
        if fault not in {kafka_errors.NoError, kafka_errors.UnknownTopicOrPartitionError}:
            raise fault(self._topic.name)
        return [TopicPartition(self._topic.name, one["partition_index"]) for one in described["partitions"]]

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise the client's errors as the project's own."""
        try:
            yield
        except KafkaError as error:
            raise self._translated(error) from error

    def _open(self, client_class: Callable[..., Any], **options: Any) -> Any:
        opened: list[KafkaNetClient] = []

        def open_connections(**configuration: Any) -> KafkaNetClient:
            connections = KafkaNetClient(**configuration)
            # kafka-python 3.0 does not hand this option down: readers would make missing topics, with one partition.
            connections.cluster.config["allow_auto_create_topics"] = False
            opened.append(connections)
            return connections

        try:
            return client_class(**self._options, **options, kafka_client=open_connections)
        except KafkaError as error:
            # The class leaves its thread and sockets behind when no broker answers.
            for connections in opened:
                connections.close()
            if "ssl_context" in self._options and isinstance(error, kafka_errors.KafkaTimeoutError):
                explain_tls_failure(self._topic.servers, self._options["ssl_context"])
            raise

    def _translated(self, error: KafkaError) -> Exception:
        # The text of some errors quotes the whole request, content included.
        reason = f"{type(error).__name__}: {getattr(error, 'description', None) or str(error)[:200]}"
        where = f"Kafka at {','.join(self._topic.servers)}, topic {self._topic.name}: {reason}"
        if isinstance(error, _REFUSED_RECORD):
            return BadInputHaltError(f"{where} (the topic's max.message.bytes and cleanup.policy decide)")
        if isinstance(error, kafka_errors.SaslAuthenticationFailedError) and self._token_is_renewed:
            return EventLogUnavailableError(f"{where} (CATALOGUE_KAFKA_OAUTH_TOKEN_FILE is read again at each try)")
        for fault, setting in _SETTING_AT_FAULT.items():
            if isinstance(error, fault):
                return ConfigurationError(f"{setting}: {where}")
        return EventLogUnavailableError(where)


class Handover(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Commits what is staged of partitions that go to another member, and remembers which ones went.

    Called on the client's own thread, while the reader's thread waits in a poll or in close.
    """

    def __init__(self, topic: str, log: structlog.typing.FilteringBoundLogger) -> None:
        """Nothing is staged, nothing lost."""
        self._topic = topic
        self._log = log
        self._consumer: Any = None
        self._staged: dict[TopicPartition, int] = {}
        self._lost: set[str] = set()

    def begin(self, consumer: Any) -> None:
        """Commit through this consumer from now on."""
        self._consumer = consumer

    def end(self, held: Iterable[TopicPartition]) -> None:
        """Give up `held`; nothing is committed any more."""
        self._consumer = None
        self._forget(held)

    def stage(self, positions: Mapping[str, int]) -> None:
        """Keep positions for a hand-over; those of partitions that are lost already do not count."""
        for name, position in positions.items():
            if name not in self._lost:
                self._staged[TopicPartition(self._topic, int(name))] = position

    def offsets(self, held: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """What is staged of `held`, as a commit takes it."""
        return {one: OffsetAndMetadata(self._staged[one], "", -1) for one in held if one in self._staged}

    def take_lost(self) -> frozenset[str]:
        """The partitions that went since this was last asked."""
        lost, self._lost = frozenset(self._lost), set()
        return lost

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Commit them while they are still ours."""
        offsets = self.offsets(revoked)
        self._forget(revoked)
        if offsets and self._consumer is not None:
            try:
                await self._consumer.commit_async(offsets)
            except KafkaError as error:
                self._log.debug("handover_commit_failed", reason=type(error).__name__)

    async def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Another member may have them already."""
        self._forget(lost)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing to do: the next poll pauses or resumes what is held by then."""

    def _forget(self, partitions: Iterable[TopicPartition]) -> None:
        for partition in partitions:
            self._staged.pop(partition, None)
            self._lost.add(str(partition.partition))


def record_of(one: Any) -> Record:
    """A ConsumerRecord as a Record; a null header counts as an empty one."""
    return Record(
        partition=str(one.partition),
        offset=one.offset,
        next_offset=one.offset + 1,
        timestamp_ms=one.timestamp if one.timestamp >= 0 else None,
        key=one.key,
        value=one.value,
        headers=[(name, value or b"") for name, value in one.headers],
    )


def starts_of(consumer: Any, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """The first offset that is still there, for each partition."""
    asked = list(partitions)
    return dict(consumer.beginning_offsets(asked, timeout_ms=ANSWER_MS)) if asked else {}


def ends_of(consumer: Any, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """The offset of the next record to come, for each partition."""
    asked = list(partitions)
    return dict(consumer.end_offsets(asked, timeout_ms=ANSWER_MS)) if asked else {}


class _TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """The OAUTHBEARER token, read anew whenever a broker asks for it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def token(self) -> str:
        return self._path.read_text().strip()
