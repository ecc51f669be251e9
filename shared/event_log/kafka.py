"""kafka-python with the project's settings and errors; the one module that imports it.

kafka-python 3.x drives its connections on a daemon thread of its own; calls here block for a bounded time.
"""

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.consumer.subscription_state import AsyncConsumerRebalanceListener
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.sasl.oauth import AbstractTokenProvider
from kafka.net.selector import NetworkSelector
from kafka.structs import MemberState, OffsetAndMetadata

from shared.errors import BadInputHaltError, ConfigurationError, EventLogUnavailableError
from shared.event_log.kafka_handover import Handover
from shared.event_log.kafka_options import KafkaTopic, client_options
from shared.settings import Settings

__all__ = ["KafkaClients", "KafkaError", "TopicAlreadyExistsError", "TopicPartition"]

# How long one question to a broker may take, where the client takes a limit for it.
ANSWER_MS = 3000
# How long a member lets its work be finished before it hands its partitions over. The others may take as long to hear
# of the rebalance, by their heartbeats, and the client warns of a second.
_HANDOVER_SECONDS = 0.9
_HANDOVER_LOOK_SECONDS = 0.01
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
# At the start a mistake in the settings; later they were revoked, and may be given back.
_REFUSED_PERMISSION = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
)
_REFUSED_RECORD = (
    kafka_errors.MessageSizeTooLargeError,
    kafka_errors.RecordListTooLargeError,
    kafka_errors.InvalidRecordError,
)


class KafkaClients:
    """Opens clients of the brokers of a topic, and tells what their errors mean."""

    def __init__(self, topic: KafkaTopic, settings: Settings, *, let_in: bool = False) -> None:
        """Connects nowhere; ConfigurationError where a setting can't be. `let_in`: the credentials have worked."""
        self._topic = topic
        self._settings = settings
        self._let_in = let_in
        self._permitted = False
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
            # Not the cooperative assignor of kafka-python 3.0: a member that was thrown out goes on claiming what it
            # had, the owner claims it too, and then nobody gets it, for ever.
            partition_assignment_strategy=[RangePartitionAssignor],
            session_timeout_ms=int(session_seconds * 1000),
            # A member hears of a rebalance by its heartbeat, so this bounds how long the others wait for it.
            heartbeat_interval_ms=1000,
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

    def note_permission(self) -> None:
        """Note that the credentials were enough: what they are refused from now on is waited for."""
        self._permitted = True

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise the client's errors as the project's own."""
        try:
            yield
        except KafkaError as error:
            raise self._translated(error) from error
        except UnicodeDecodeError as error:
            # The client decodes the names of headers, and stays where it can't.
            raise BadInputHaltError(f"topic {self._topic.name}: the name of a header is not UTF-8: {error}") from error

    def _open(self, client_class: Callable[..., Any], **options: Any) -> Any:
        opened: list[_Connections] = []
        options |= self._options
        if "sasl_plain_password" in options:
            options["sasl_plain_password"] = self._settings.secret("kafka_password")

        def open_connections(**configuration: Any) -> KafkaNetClient:
            loop = NetworkSelector(**configuration)
            opened.append(_Connections(loop, **configuration))
            return KafkaNetClient(net=loop, manager=opened[0], **configuration)

        try:
            client = client_class(**options, kafka_client=open_connections)
        except KafkaError as error:
            for connections in opened:
                connections.close_all()
                # The client itself says no more than that no broker let it in.
                if isinstance(error, kafka_errors.KafkaTimeoutError) and connections.failure is not None:
                    if isinstance(connections.failure.__context__, ssl.SSLCertVerificationError):
                        raise ConfigurationError(f"CATALOGUE_KAFKA_CA_FILE: {connections.failure}") from error
                    raise connections.failure from error
            raise
        self._let_in = True
        return client

    def _translated(self, error: KafkaError) -> Exception:
        # The text of some errors quotes the whole request, content included.
        reason = getattr(error, "description", None) or str(error)[:200]
        where = f"Kafka at {','.join(self._topic.servers)}, topic {self._topic.name}: {reason}"
        if isinstance(error, _REFUSED_RECORD):
            return BadInputHaltError(f"{where} (the topic's max.message.bytes and cleanup.policy decide)")
        if isinstance(error, kafka_errors.SaslAuthenticationFailedError) and (self._token_is_renewed or self._let_in):
            secret = "OAUTH_TOKEN" if self._token_is_renewed else "PASSWORD"
            return EventLogUnavailableError(f"{where} (CATALOGUE_KAFKA_{secret}_FILE is read again at each try)")
        if isinstance(error, _REFUSED_PERMISSION) and self._permitted:
            return EventLogUnavailableError(f"{where} (it was permitted before)")
        for fault, setting in _SETTING_AT_FAULT.items():
            if isinstance(error, fault):
                return ConfigurationError(f"{setting}: {where}")
        return EventLogUnavailableError(where)


class GroupListener(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Hands partitions over when the group is redistributed.

    Called on the client's own thread, while the reader's thread waits in a poll or in close. A rebalance revokes all
    partitions and assigns anew; of those that come back at once the client keeps where it was, so they were never gone.
    """

    def __init__(
        self,
        consumer: Any,
        handover: Handover,
        log: structlog.typing.FilteringBoundLogger,
        clock: Callable[[], float],
    ) -> None:
        """Commits through `consumer`."""
        self._consumer = consumer
        self._handover = handover
        self._log = log
        self._clock = clock
        self._revoked: set[TopicPartition] = set()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let what was read of them be finished, for a moment, and commit it while they are still ours."""
        self._revoked = set(revoked)
        names = [str(one.partition) for one in self._revoked]
        deadline = self._clock() + _HANDOVER_SECONDS
        while not self._handover.is_done(names) and self._clock() < deadline:
            # On the client's loop, so that its heartbeats go on.
            await self._consumer._coordinator._net.sleep(_HANDOVER_LOOK_SECONDS)
        offsets = staged_offsets(self._handover, self._revoked)
        if offsets:
            try:
                await self._consumer.commit_async(offsets)
            except KafkaError as error:
                self._log.debug("handover_commit_failed", reason=type(error).__name__)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """What was revoked and did not come back has gone. The next poll pauses or resumes what is held by then."""
        gone, self._revoked = self._revoked - set(assigned), set()
        self._handover.lose(str(one.partition) for one in gone)

    async def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Another member may have them already."""
        self._revoked = set()
        self._handover.lose(str(one.partition) for one in lost)


def staged_offsets(handover: Handover, held: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
    """What is staged of some partitions, as a commit takes it."""
    by_name = {str(one.partition): one for one in held}
    return {by_name[name]: OffsetAndMetadata(at, "", -1) for name, at in handover.staged(by_name).items()}


def is_rebalancing(consumer: Any) -> bool:
    """Whether a group consumer waits to be told its partitions."""
    return bool(consumer.group_metadata().state == MemberState.REBALANCING)


def join_again(consumer: Any) -> None:
    """Let a group consumer finish a rebalance that it has begun and forgotten.

    kafka-python 3.0 begins one when the topic's metadata change. Where a poll ends before it does, and the metadata are
    by then what they should be, no later poll comes back to it: the consumer stays between two assignments without a
    heartbeat, for ever. Its state changes within polls only, so between two of them this is no race.
    """
    coordinator = consumer._coordinator
    if coordinator.rebalance_in_progress() and not coordinator.need_rejoin():
        coordinator.request_rejoin()


def make_room_for_what_is_kept(consumer: Any) -> None:
    """Let a consumer read on what it had fetched of partitions before they were paused; to be called before each poll.

    kafka-python 3.0 keeps that apart, one entry a partition, and takes one up again where none is being read. It does
    not see that one which is read to its end is no longer being read, so the others wait, and are not fetched either:
    for ever, unless all are paused once more. What is being read changes within polls only.
    """
    fetcher = consumer._fetcher
    if not fetcher._next_partition_records:
        fetcher._next_partition_records = None


def offsets_of(question: Callable[..., Any], partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """What a consumer's `beginning_offsets` or `end_offsets` answers about some partitions."""
    asked = list(partitions)
    if not asked:
        return {}
    try:
        return dict(question(asked, timeout_ms=ANSWER_MS))
    except KeyError as error:
        # kafka-python 3.0 stumbles over a partition whose leader it does not know yet.
        raise kafka_errors.LeaderNotAvailableError(*error.args) from error


class _Connections(KafkaConnectionManager):  # type: ignore[misc]
    """The connections of one client; makes up for what kafka-python 3.0 leaves undone."""

    def __init__(self, loop: NetworkSelector, **configuration: Any) -> None:
        super().__init__(loop, **configuration)
        self._loop = loop
        self.failure: KafkaError | None = None
        # The option is not handed down: readers would make a missing topic, with one partition.
        self.cluster.config["allow_auto_create_topics"] = False

    def get_connection(self, *arguments: Any, **options: Any) -> Any:
        """A connection that leaves word of why it failed."""
        connection = super().get_connection(*arguments, **options)
        connection.init_future.add_errback(self._note_failure)
        return connection

    def close_all(self) -> None:
        """Free what a client that could not be made leaves behind: its thread and its sockets."""
        self.close()
        self._loop.close()

    async def _build_transport(self, *arguments: Any, **options: Any) -> Any:
        # What arrives together with the end of the connection is dropped otherwise: why a login was refused.
        transport = await super()._build_transport(*arguments, **options)
        receive = transport._sock_recv

        def receive_last_words() -> tuple[bytes, Any]:
            content, error = receive()
            return content, None if content else error

        transport._sock_recv = receive_last_words
        return transport

    def _note_failure(self, error: Exception) -> None:
        # The last try is cut short, which says less than the failures before it.
        cut_short = isinstance(error, kafka_errors.RequestTimedOutError | kafka_errors.KafkaTimeoutError)
        if isinstance(error, KafkaError) and (self.failure is None or not cut_short):
            self.failure = error


class _TokenFile(AbstractTokenProvider):  # type: ignore[misc]
    """The OAUTHBEARER token, read anew whenever a broker asks for it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def token(self) -> str:
        return self._path.read_text().strip()
