"""Appending to a Kafka topic, which is made where it is missing."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from shared.errors import BadInputHaltError
from shared.event_log import NewRecord
from shared.event_log.kafka import (
    ANSWER_MS,
    KafkaClients,
    KafkaError,
    TopicAlreadyExistsError,
)
from shared.event_log.kafka_options import REQUEST_SECONDS, KafkaTopic
from shared.settings import Settings

# From sending to the acknowledgement of all replicas, tries of the client's own included.
_DELIVERY_SECONDS = REQUEST_SECONDS


class KafkaWriter:
    """Appends with an idempotent producer: what the client sends again by itself is written once."""

    def __init__(self, topic: KafkaTopic, settings: Settings, *, let_in: bool = False) -> None:
        """Connects, and makes the topic where it is missing, at the first append.

        With `let_in` credentials that are refused are waited for also at the first append: a reader of this process has
        used them.
        """
        self._topic = topic
        self._settings = settings
        self._clients = KafkaClients(topic, settings, let_in=let_in)
        self._producer: Any = None

    def append(self, records: Sequence[NewRecord]) -> None:
        """Append all; each goes to the partition that its key decides (without key: any)."""
        if not records:
            return
        for record in records:
            self._check_size(record)
        with self._clients.errors():
            try:
                self._append(records)
            except KafkaError:
                self.close()
                raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Kafka keeps nobody from a topic: others may append meanwhile."""
        yield

    def close(self) -> None:
        """Close the connections."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError):
                producer.close(timeout=ANSWER_MS / 1000)

    def _append(self, records: Sequence[NewRecord]) -> None:
        if self._producer is None:
            self._make_topic()
            self._producer = self._clients.producer(_DELIVERY_SECONDS)
        sent = [
            self._producer.send(
                self._topic.name,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                timestamp_ms=record.timestamp_ms,
            )
            for record in records
        ]
        # All are waited for, also behind a failure: nothing may arrive after the caller has begun to repeat.
        failures = failures_of(sent, _DELIVERY_SECONDS + REQUEST_SECONDS, time.monotonic)
        if failures:
            raise failures[0]
        self._clients.note_permission()

    def _make_topic(self) -> None:
        if self._clients.partitions():
            return
        wanted = {
            "num_partitions": self._settings.kafka_partitions,
            "replication_factor": self._settings.kafka_replication,
            "configs": {"max.message.bytes": str(self._topic.message_bytes_max), **self._topic.configs},
        }
        with self._clients.admin() as admin, suppress(TopicAlreadyExistsError):
            admin.create_topics({self._topic.name: wanted}, wait_for_metadata=True)

    def _check_size(self, record: NewRecord) -> None:
        size = len(record.key or b"") + len(record.value or b"")
        if size > self._topic.record_bytes_max:
            raise BadInputHaltError(
                f"topic {self._topic.name}: a record of {size} bytes is larger than the {self._topic.record_bytes_max} "
                "that CATALOGUE_DEAD_LETTER_BYTES_MAX allows"
            )


def failures_of(sent: Sequence[Any], seconds: float, clock: Callable[[], float]) -> list[KafkaError]:
    """Why records did not become durable; `seconds` are for all futures together.

    A future should end by itself, yet a producer that met a restarting broker can forget to end any of them.
    """
    deadline = clock() + seconds
    failures = []
    for future in sent:
        try:
            future.get(timeout=max(0.0, deadline - clock()))
        except KafkaError as error:
            failures.append(error)
    return failures
