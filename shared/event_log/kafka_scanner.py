"""Reading a whole Kafka topic without a group."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from shared.event_log import Record
from shared.event_log.kafka import (
    ANSWER_MS,
    KafkaClients,
    KafkaError,
    offsets_of,
)
from shared.event_log.kafka_options import KafkaTopic
from shared.event_log.kafka_record import record_of
from shared.settings import Settings

_RECORDS_AT_ONCE = 500


class KafkaScanner:
    """Reads all partitions of a topic side by side."""

    def __init__(self, topic: KafkaTopic, settings: Settings) -> None:
        """Connects at each scan."""
        self._topic = topic
        self._clients = KafkaClients(topic, settings)
        self._consumer: Any = None

    def scan(self, since: Mapping[str, int] = MappingProxyType({})) -> Iterator[Record]:
        """Every record that was there when the scan began; none where the topic is missing."""
        self.close()
        with self._clients.errors():
            self._consumer = self._clients.consumer()
            yield from self._read_all(self._consumer, since)
        self.close()

    def end_positions(self) -> Mapping[str, int]:
        """The end of every partition; none where the topic is missing. Ends a scan that is not at its end."""
        self.close()
        with self._clients.errors():
            self._consumer = self._clients.consumer()
            ends = offsets_of(self._consumer.end_offsets, self._clients.partitions())
        self.close()
        return {str(partition.partition): end for partition, end in ends.items()}

    def close(self) -> None:
        """End a scan that is not at its end."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(KafkaError):
                consumer.close(autocommit=False, timeout_ms=ANSWER_MS)

    def _read_all(self, consumer: Any, since: Mapping[str, int]) -> Iterator[Record]:
        partitions = self._clients.partitions()
        starts, ends = offsets_of(consumer.beginning_offsets, partitions), offsets_of(consumer.end_offsets, partitions)
        # What lay before the beginning is gone by now.
        starts = {one: max(start, since.get(str(one.partition), 0)) for one, start in starts.items()}
        unread = {partition for partition in partitions if starts[partition] < ends[partition]}
        consumer.assign(sorted(unread))
        for partition in unread:
            consumer.seek(partition, starts[partition])
        while unread:
            batches = consumer.poll(timeout_ms=ANSWER_MS, max_records=_RECORDS_AT_ONCE)
            if not batches:
                offsets_of(consumer.end_offsets, unread)  # Raises where the brokers are away.
            for partition, batch in batches.items():
                yield from (record_of(one) for one in batch if one.offset < ends[partition])
            # Positions, not records, tell the end: it may lie behind what is no record (transaction markers).
            read = {one for one in unread if consumer.position(one, timeout_ms=ANSWER_MS) >= ends[one]}
            if read:
                unread -= read
                consumer.assign(sorted(unread))
