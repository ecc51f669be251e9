"""Reading a whole Kafka topic without a group."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from indexer.event_log import Record
from indexer.event_log.kafka import (
    ANSWER_MS,
    KafkaClients,
    KafkaError,
    TopicPartition,
    ends_of,
    record_of,
    starts_of,
)
from indexer.event_log.kafka_options import KafkaTopic
from shared.settings import Settings

_RECORDS_AT_ONCE = 500


class KafkaScanner:
    """Reads all partitions of a topic side by side."""

    def __init__(self, topic: KafkaTopic, settings: Settings) -> None:
        """Connects at the first scan."""
        self._topic = topic
        self._clients = KafkaClients(topic, settings)
        self._consumer: Any = None

    def scan(self) -> Iterator[Record]:
        """Every record that was there when the scan began; none where the topic is missing."""
        with self._clients.errors():
            try:
                if self._consumer is None:
                    self._consumer = self._clients.consumer()
                yield from self._read_all(self._consumer)
            except KafkaError:
                self.close()
                raise

    def close(self) -> None:
        """Close the connections."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(KafkaError):
                consumer.close(autocommit=False, timeout_ms=ANSWER_MS)

    def _read_all(self, consumer: Any) -> Iterator[Record]:
        numbers = consumer.partitions_for_topic(self._topic.name)
        partitions = [TopicPartition(self._topic.name, number) for number in numbers]
        starts, ends = starts_of(consumer, partitions), ends_of(consumer, partitions)
        unread = {partition for partition in partitions if starts[partition] < ends[partition]}
        consumer.assign(sorted(unread))
        consumer.resume(*unread)  # An earlier scan paused them, which outlives a new assignment.
        for partition in unread:
            consumer.seek(partition, starts[partition])
        while unread:
            batches = consumer.poll(timeout_ms=ANSWER_MS, max_records=_RECORDS_AT_ONCE)
            if not batches:
                ends_of(consumer, unread)  # Raises where the brokers are away.
            for partition, batch in batches.items():
                yield from (record_of(one) for one in batch if one.offset < ends[partition])
            # Positions, not records, tell the end: it may lie behind what is no record (transaction markers).
            read = {one for one in unread if consumer.position(one, timeout_ms=ANSWER_MS) >= ends[one]}
            consumer.pause(*read)
            unread -= read
