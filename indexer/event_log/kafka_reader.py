"""A member of a Kafka consumer group; partitions are named by their numbers, positions are offsets."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import structlog

from indexer.event_log import Poll
from indexer.event_log.kafka import (
    ANSWER_MS,
    NOT_OURS_NOW,
    Handover,
    KafkaClients,
    KafkaError,
    TopicPartition,
    ends_of,
    record_of,
    starts_of,
)
from indexer.event_log.kafka_options import KafkaTopic
from shared.settings import Settings

# After so much silence a poll asks the coordinator whether it is there: an empty poll can't tell quiet from away.
_SILENCE_SECONDS = 2.0
# Partitions that are added to the topic count from then on.
_PARTITIONS_SECONDS = 5.0


class KafkaReader:
    """Reads what the group assigns to it. Partitions move one by one; those that stay are read on undisturbed.

    Brokers that are away give EventLogUnavailableError at every call; the same object works again once they are back.
    """

    def __init__(
        self,
        topic: KafkaTopic,
        group: str,
        settings: Settings,
        log: structlog.typing.FilteringBoundLogger,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connects at the first call that needs it, joins the group at the first poll."""
        self._topic = topic
        self._group = group
        self._session_seconds = settings.kafka_session_seconds
        self._clients = KafkaClients(topic, settings)
        self._handover = Handover(topic.name, log)
        self._log = log
        self._clock = clock
        self._consumer: Any = None
        self._answered_at = 0.0
        self._commit_again = False
        self._known_partitions: list[TopicPartition] = []
        self._partitions_at = 0.0

    def poll(self, records_max: int, timeout_seconds: float) -> Poll:
        """The next records; a topic that is missing is waited for."""
        with self._asking() as consumer:
            held = consumer.assignment()
            (consumer.resume if records_max else consumer.pause)(*held)
            batches = consumer.poll(timeout_ms=int(timeout_seconds * 1000), max_records=max(1, records_max))
            if records_max == 0:
                # A partition that came in a rebalance just now was not paused yet.
                for partition, batch in batches.items():
                    consumer.seek(partition, batch[0].offset)
                batches = {}
            if self._commit_again:
                self._commit_staged(consumer)
            self._make_sure_of_answers(consumer, heard=bool(batches))
        return Poll([record_of(one) for batch in batches.values() for one in batch], self._handover.take_lost())

    def stage(self, positions: Mapping[str, int]) -> None:
        """Keep what a hand-over may commit."""
        self._handover.stage(positions)

    def commit(self, positions: Mapping[str, int]) -> None:
        """Commit these and what is staged; where a rebalance is under way, at the next poll after it."""
        self.stage(positions)
        if self._consumer is not None:
            with self._asking() as consumer:
                self._commit_staged(consumer)

    def lag(self) -> Mapping[str, int]:
        """Records between what was polled and the end; partitions whose position is not known yet are left out."""
        if self._consumer is None:
            return {}
        with self._asking() as consumer:
            ends = ends_of(consumer, consumer.assignment())
            read_to = {partition: consumer.position(partition, timeout_ms=ANSWER_MS) for partition in ends}
        return {
            str(partition.partition): max(0, ends[partition] - offset)
            for partition, offset in read_to.items()
            if offset is not None
        }

    def end_positions(self) -> Mapping[str, int]:
        """The next offset of every partition; nothing where the topic is missing."""
        with self._asking() as consumer:
            ends = ends_of(consumer, self._partitions())
        return {str(partition.partition): offset for partition, offset in ends.items()}

    def committed_positions(self) -> Mapping[str, int]:
        """The group's offset in every partition, at least the first one that is still there."""
        with self._asking() as consumer:
            return {
                str(partition.partition): max(start, consumer.committed(partition, timeout_ms=ANSWER_MS) or 0)
                for partition, start in starts_of(consumer, self._partitions()).items()
            }

    def close(self) -> None:
        """Leave the group."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            self._handover.end(consumer.assignment())
            with suppress(KafkaError):
                consumer.close(autocommit=False, timeout_ms=ANSWER_MS)

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        with self._clients.errors():
            if self._consumer is None:
                self._connect()
            try:
                yield self._consumer
            except KafkaError as error:
                # Once the session is over nothing of it is left to save, and a new client also finds new addresses.
                if not error.retriable or self._clock() - self._answered_at > self._session_seconds:
                    self.close()
                raise

    def _connect(self) -> None:
        consumer = self._clients.group_consumer(self._group, self._session_seconds)
        self._handover.begin(consumer)
        consumer.subscribe([self._topic.name], listener=self._handover)
        self._consumer, self._answered_at = consumer, self._clock()

    def _commit_staged(self, consumer: Any) -> None:
        offsets = self._handover.offsets(consumer.assignment())
        self._commit_again = False
        if not offsets:
            return
        try:
            consumer.commit(offsets, timeout_ms=ANSWER_MS)
        except NOT_OURS_NOW as error:
            self._commit_again = True
            self._log.debug("commit_postponed", reason=type(error).__name__)

    def _make_sure_of_answers(self, consumer: Any, *, heard: bool) -> None:
        if not heard:
            if self._clock() - self._answered_at < _SILENCE_SECONDS:
                return
            consumer.committed(TopicPartition(self._topic.name, 0), timeout_ms=ANSWER_MS)
        self._answered_at = self._clock()

    def _partitions(self) -> list[TopicPartition]:
        if self._clock() - self._partitions_at > _PARTITIONS_SECONDS or not self._known_partitions:
            self._known_partitions = self._clients.partitions()
            self._partitions_at = self._clock()
        return self._known_partitions
