"""What a Kafka topic and a group have come to, asked without being a member of the group."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from shared.event_log.kafka import ANSWER_MS, KafkaClients, KafkaError, TopicPartition, offsets_of
from shared.event_log.kafka_options import KafkaTopic

# Partitions that are added to the topic count from then on.
_PARTITIONS_SECONDS = 5.0


class KafkaObserver:
    """Answers over connections of its own: on a member's, a question waits behind its fetches and rebalances.

    Every method may raise KafkaError, in bounded time; the next call starts with new connections.
    """

    def __init__(
        self,
        topic: KafkaTopic,
        group: str,
        session_seconds: float,
        clients: KafkaClients,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connects at the first question."""
        self._topic = topic
        self._group = group
        self._session_seconds = session_seconds
        self._clients = clients
        self._clock = clock
        self._consumer: Any = None
        self._partitions: list[TopicPartition] = []
        self._partitions_at = 0.0

    def make_sure_of_answers(self) -> None:
        """Return where the group's coordinator answers, whether or not the topic is there."""
        with self._asking() as consumer:
            consumer.committed(TopicPartition(self._topic.name, 0), timeout_ms=ANSWER_MS)

    def starts(self) -> Mapping[TopicPartition, int]:
        """The first offset that is still there, for each partition; nothing where the topic is missing."""
        with self._asking() as consumer:
            return offsets_of(consumer.beginning_offsets, self._known_partitions())

    def ends(self) -> Mapping[TopicPartition, int]:
        """The offset of the next record to come, for each partition; nothing where the topic is missing."""
        with self._asking() as consumer:
            return offsets_of(consumer.end_offsets, self._known_partitions())

    def committed(self) -> Mapping[TopicPartition, int]:
        """The group's offset in each partition, at least the first one that is still there."""
        starts = self.starts()
        with self._asking() as consumer:
            return {
                partition: max(start, consumer.committed(partition, timeout_ms=ANSWER_MS) or 0)
                for partition, start in starts.items()
            }

    def close(self) -> None:
        """Close the connections."""
        consumer, self._consumer = self._consumer, None
        self._partitions = []
        if consumer is not None:
            with suppress(KafkaError):
                consumer.close(autocommit=False, timeout_ms=ANSWER_MS)

    def _known_partitions(self) -> list[TopicPartition]:
        if not self._partitions or self._clock() - self._partitions_at > _PARTITIONS_SECONDS:
            self._partitions = self._clients.partitions()
            self._partitions_at = self._clock()
        return self._partitions

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        try:
            if self._consumer is None:
                # A consumer that never polls never joins.
                self._consumer = self._clients.group_consumer(self._group, self._session_seconds)
            yield self._consumer
        except KafkaError:
            self.close()
            raise
