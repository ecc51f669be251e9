"""Waiting for acknowledgements ends in time, however many records wait."""

from dataclasses import dataclass, field

from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from shared.event_log.kafka_writer import failures_of


@dataclass
class Clock:
    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class SentRecord:
    """A record that is acknowledged, refused or forgotten `after` so many seconds, by a clock that waiting moves."""

    clock: Clock
    after: float
    refusal: Exception | None = None
    asked: list[float] = field(default_factory=list)

    def get(self, timeout: float) -> None:
        self.asked.append(timeout)
        if self.after > self.clock.seconds + timeout:
            self.clock.seconds += timeout
            raise KafkaTimeoutError
        self.clock.seconds = max(self.clock.seconds, self.after)
        if self.refusal is not None:
            raise self.refusal


def test_all_records_share_one_limit_and_those_behind_a_forgotten_one_are_still_looked_at() -> None:
    clock = Clock()
    forgotten = [SentRecord(clock, float("inf")) for _ in range(200)]
    refused = SentRecord(clock, 3, MessageSizeTooLargeError())
    failures = failures_of([SentRecord(clock, 1), *forgotten, refused], 20, clock)
    assert clock.seconds == 20
    assert [type(failure) for failure in failures] == [KafkaTimeoutError] * 200 + [MessageSizeTooLargeError]
    assert refused.asked == [0]


def test_records_that_are_all_acknowledged_have_no_failures() -> None:
    clock = Clock()
    assert failures_of([SentRecord(clock, 1), SentRecord(clock, 2)], 20, clock) == []
    assert clock.seconds == 2
