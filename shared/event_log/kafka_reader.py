"""A member of a Kafka consumer group; partitions are named by their numbers, positions are offsets."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import structlog

from shared.event_log import Poll
from shared.event_log.kafka import (
    ANSWER_MS,
    NOT_OURS_NOW,
    GroupListener,
    KafkaClients,
    KafkaError,
    TopicPartition,
    is_rebalancing,
    join_again,
    make_room_for_what_is_kept,
    staged_offsets,
)
from shared.event_log.kafka_handover import Handover
from shared.event_log.kafka_observer import KafkaObserver
from shared.event_log.kafka_options import KafkaTopic
from shared.event_log.kafka_record import record_of
from shared.settings import Settings

# After so much silence a poll asks whether the brokers are there: an empty poll can't tell quiet from away.
_SILENCE_SECONDS = 2.0
# How much longer than asked a poll may take while the group is being redistributed, see `_poll_until_settled`.
_SETTLE_SECONDS = 3.0


class KafkaReader:
    """Reads what the group assigns to it. Partitions that a rebalance leaves with it are read on undisturbed.

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
        self._observer = KafkaObserver(topic, group, self._session_seconds, self._clients, clock)
        self._handover = Handover()
        self._log = log
        self._clock = clock
        self._member: Any = None
        self._answered_at = 0.0
        self._commit_again = False

    def poll(self, records_max: int, timeout_seconds: float) -> Poll:
        """The next records; a topic that is missing is waited for."""
        self._handover.note_return()
        with self._errors():
            if self._member is None:
                self._join()
            if self._commit_again:
                self._commit_staged()
            # From here on nothing may fail once there are records: they would not come a second time.
            batches = self._poll_member(records_max, timeout_seconds)
            if not batches and self._clock() - self._answered_at > _SILENCE_SECONDS:
                self._observer.make_sure_of_answers()
                self._answered_at = self._clock()
        lost = self._handover.take_lost()
        records = [record_of(one) for batch in batches.values() for one in batch]
        self._handover.read({record.partition: record.next_offset for record in records})
        return Poll(records, lost)

    def stage(self, positions: Mapping[str, int]) -> None:
        """Keep what a hand-over may commit; any thread may say so, during a poll, too."""
        self._handover.stage(positions)

    def commit(self, positions: Mapping[str, int]) -> None:
        """Commit these and what is staged; where a rebalance is under way, at the next poll after it."""
        self._handover.note_return()
        self.stage(positions)
        if self._member is not None:
            with self._errors():
                self._commit_staged()

    def lag(self) -> Mapping[str, int]:
        """Records between what was polled and the end; partitions whose position is not known yet are left out."""
        if self._member is None:
            return {}
        with self._errors():
            ends = self._observer.ends()
            read_to = {one: self._member.position(one, timeout_ms=0) for one in self._member.assignment()}
        return {
            str(partition.partition): max(0, ends[partition] - offset)
            for partition, offset in read_to.items()
            if offset is not None and partition in ends
        }

    def end_positions(self) -> Mapping[str, int]:
        """The next offset of every partition; nothing where the topic is missing."""
        with self._errors():
            return _by_name(self._observer.ends())

    def committed_positions(self) -> Mapping[str, int]:
        """The group's offset in every partition, at least the first one that is still there."""
        with self._errors():
            return _by_name(self._observer.committed())

    def close(self) -> None:
        """Leave the group."""
        self._observer.close()
        self._leave()

    def _join(self) -> None:
        self._member = self._clients.group_consumer(self._group, self._session_seconds)
        self._member.subscribe(
            [self._topic.name], listener=GroupListener(self._member, self._handover, self._log, self._clock)
        )
        self._answered_at = self._clock()

    def _leave(self) -> None:
        member, self._member = self._member, None
        if member is not None:
            # With nothing left staged, closing commits nothing.
            self._handover.lose(str(one.partition) for one in member.assignment())
            with suppress(KafkaError):
                member.close(autocommit=False, timeout_ms=ANSWER_MS)

    def _poll_member(self, records_max: int, timeout_seconds: float) -> Mapping[TopicPartition, Any]:
        held = self._member.assignment()
        (self._member.resume if records_max else self._member.pause)(*held)
        batches = self._poll_until_settled(records_max, timeout_seconds)
        if batches:
            self._clients.note_permission()
            self._answered_at = self._clock()
        if records_max == 0:
            # A partition that came in a rebalance just now was not paused yet.
            for partition, batch in batches.items():
                self._member.seek(partition, batch[0].offset)
            return {}
        return batches

    def _poll_until_settled(self, records_max: int, timeout_seconds: float) -> Mapping[TopicPartition, Any]:
        """Poll, and stay in it while a rebalance is under way.

        kafka-python 3.0 forgets a rebalance that ends between two polls, and asks for another one; members that poll
        for a short time each could go on so for ever.
        """
        deadline = self._clock() + timeout_seconds + _SETTLE_SECONDS
        while True:
            make_room_for_what_is_kept(self._member)
            batches: Mapping[TopicPartition, Any] = self._member.poll(
                timeout_ms=int(timeout_seconds * 1000), max_records=max(1, records_max)
            )
            join_again(self._member)
            if batches or not is_rebalancing(self._member) or self._clock() >= deadline:
                return batches
            timeout_seconds = max(0.0, deadline - self._clock())

    def _commit_staged(self) -> None:
        offsets = staged_offsets(self._handover, self._member.assignment())
        self._commit_again = False
        if not offsets:
            return
        try:
            self._member.commit(offsets, timeout_ms=ANSWER_MS)
        except NOT_OURS_NOW as error:
            self._commit_again = True
            self._log.debug("commit_postponed", reason=type(error).__name__)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        with self._clients.errors():
            try:
                yield
            except KafkaError as error:
                # Once the session is over nothing of it is left to save, and a new client also finds new addresses.
                if not error.retriable or self._clock() - self._answered_at > self._session_seconds:
                    self._leave()
                raise


def _by_name(offsets: Mapping[TopicPartition, int]) -> Mapping[str, int]:
    return {str(partition.partition): offset for partition, offset in offsets.items()}
