"""Readers, writers and scanners against a broker that rebalances, stops, freezes and comes back."""

import gc
import logging
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from kafka.structs import MemberState
from structlog import get_logger

from shared.errors import BadInputHaltError, EventLogUnavailableError
from shared.event_log import NewRecord, Record
from shared.event_log.kafka_handover import Handover
from shared.event_log.kafka_options import KafkaTopic
from shared.event_log.kafka_reader import KafkaReader
from shared.event_log.kafka_record import record_of
from shared.event_log.kafka_scanner import KafkaScanner
from shared.event_log.kafka_writer import KafkaWriter
from shared.settings import Settings
from tests.conftest import free_port
from tests.kafka_server import KafkaServer, kafka_server

# The client leaves the sockets of failed connections to the garbage collector.
pytestmark = [pytest.mark.containers, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]

SESSION_SECONDS = 6
PARTITIONS = 4
RECORD_BYTES_MAX = 1024 * 1024
ALL = {str(number) for number in range(PARTITIONS)}


Join = Callable[..., "Member"]


@dataclass
class Topic:
    """A topic of one test, and what the test has opened of it."""

    server: str
    closing: ExitStack
    name: str

    def settings(self, **changed: Any) -> Settings:
        return Settings(kafka_session_seconds=SESSION_SECONDS, kafka_partitions=PARTITIONS, **changed)

    def of(self) -> KafkaTopic:
        return KafkaTopic([self.server], self.name, RECORD_BYTES_MAX, {"retention.ms": "-1"})

    def reader(self, group: str = "group") -> KafkaReader:
        reader = KafkaReader(self.of(), group, self.settings(), get_logger())
        self.closing.callback(reader.close)
        return reader

    def writer(self) -> KafkaWriter:
        writer = KafkaWriter(self.of(), self.settings())
        self.closing.callback(writer.close)
        return writer

    def scanner(self) -> KafkaScanner:
        scanner = KafkaScanner(self.of(), self.settings())
        self.closing.callback(scanner.close)
        return scanner


@pytest.fixture(autouse=True)
def collected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Collect such sockets while their warning is ignored; records of the client's log would keep them."""
    with caplog.at_level(logging.CRITICAL, "kafka"):
        yield
    gc.collect()


@pytest.fixture
def topic(kafka_broker: str) -> Iterator[Topic]:
    with ExitStack() as closing:
        yield Topic(kafka_broker, closing, f"log-{uuid.uuid4().hex}")


def events(count: int, start: int = 0) -> list[NewRecord]:
    return [NewRecord(f"image-{n}".encode(), str(n).encode()) for n in range(start, start + count)]


class Member:
    """A reader on a thread of its own, as a worker has it: it polls all the time, and stages what it has read."""

    def __init__(self, reader: KafkaReader, *, stage: bool = True, records_max: int = 1000) -> None:
        self.reader = reader
        self.records_max = records_max
        self.records: list[Record] = []
        self.lost: list[str] = []
        self.held: set[str] = set()
        self._stage = stage
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._failure: BaseException | None = None
        self._thread.start()

    def ask(self, question: Callable[[], Any]) -> Any:
        """Put a question to the reader between two polls."""
        future: Future[Any] = Future()
        self._calls.put((question, future))
        return future.result(30)

    def stop(self) -> None:
        """Stop polling; the reader stays a member until it is closed."""
        self._stopping.set()
        self._thread.join(30)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def positions(self) -> list[tuple[str, int]]:
        return [(record.partition, record.offset) for record in self.records]

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._step()
        except BaseException as error:  # noqa: BLE001 (raised to the test by `stop`)
            self._failure = error

    def _step(self) -> None:
        poll = self.reader.poll(self.records_max, 0.1)
        self.lost += poll.lost
        self.records += poll.records
        if self._stage:
            self.reader.stage({record.partition: record.next_offset for record in poll.records})
        while not self._calls.empty():
            question, future = self._calls.get()
            future.set_result(question())
        # A partition that was added a moment ago has no leader yet.
        answers(lambda: setattr(self, "held", set(self.reader.lag())))


@pytest.fixture
def join(topic: Topic) -> Iterator[Callable[..., Member]]:
    """Let another member join the group of the topic."""
    with ExitStack() as members:

        def joined(**options: Any) -> Member:
            member = Member(topic.reader(), **options)
            members.callback(member.stop)
            return member

        yield joined


def until(condition: Callable[[], bool], seconds: float = 30) -> float:
    """Wait until `condition` holds; gives the seconds that took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "waited in vain"
        threading.Event().wait(0.02)
    return time.monotonic() - start


# Rebalances -----------------------------------------------------------------------------------------------------------


def test_a_member_that_joins_takes_over_behind_what_was_staged_and_nothing_comes_twice(
    topic: Topic, join: Join
) -> None:
    writer = topic.writer()
    writer.append(events(200))
    first = join()
    until(lambda: len(first.records) == 200)
    second = join()
    until(lambda: len(second.held) == len(first.held) == 2)
    assert first.held | second.held == ALL
    assert set(first.lost) == second.held
    writer.append(events(200, 200))
    until(lambda: len(first.records) + len(second.records) >= 400)
    for member in (first, second):
        member.stop()
    together = first.positions() + second.positions()
    assert len(together) == len(set(together)) == 400
    assert {partition for partition, _ in second.positions()} == second.held


def test_members_come_and_go_and_each_record_is_read_once(topic: Topic, join: Join) -> None:
    """F12, of the reader alone."""
    writer = topic.writer()
    members = [join()]
    for round_ in range(4):
        writer.append(events(100, 100 * round_))
        if round_ < 2:
            members.append(join())
        else:
            leaving = members[round_ - 2]
            leaving.stop()
            leaving.reader.commit({record.partition: record.next_offset for record in leaving.records})
            leaving.reader.close()
        until(lambda: sum(len(member.records) for member in members) >= 100 * (round_ + 1))  # noqa: B023
    together = [position for member in members for position in member.positions()]
    assert len(together) == len(set(together)) == 400


def test_a_hand_over_waits_for_what_is_being_done(topic: Topic, join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    topic.writer().append(events(40))
    first = join(stage=False)
    until(lambda: len(first.records) == 40)
    looks = 0

    def look(handover: Handover, names: Iterable[str]) -> bool:
        nonlocal looks
        looks += 1
        if looks == 5:
            first.reader.stage({record.partition: record.next_offset for record in first.records})
        return is_done(handover, names)

    is_done = Handover.is_done
    monkeypatch.setattr(Handover, "is_done", look)
    second = join()
    until(lambda: len(second.held) == len(first.held) == 2)
    assert looks >= 5
    topic.writer().append(events(40, 40))
    until(lambda: len(first.records) + len(second.records) >= 80)
    together = first.positions() + second.positions()
    assert len(together) == len(set(together)) == 80


def test_partitions_that_were_paused_in_the_middle_of_what_was_fetched_are_all_read_on(topic: Topic) -> None:
    """kafka-python 3.0 keeps what it has fetched of each, and forgets the others once the first is read to its end."""
    topic.writer().append(events(100))
    reader = topic.reader()
    records = [*read_some(reader)]
    for _ in range(2):
        # A rebalance leaves some paused and others not; here one after the other.
        reader._member.pause(TopicPartition(topic.name, int(records[-1].partition)))
        batches = reader._member.poll(timeout_ms=10_000, max_records=3)
        records += [record_of(one) for batch in batches.values() for one in batch]
    assert len({record.partition for record in records}) == 3
    deadline = time.monotonic() + 30
    while len(records) < 100:
        assert time.monotonic() < deadline, f"{len(records)} were read"
        records += reader.poll(1000, 0.1).records
    assert len({(record.partition, record.offset) for record in records}) == len(records)


def read_some(reader: KafkaReader) -> Sequence[Record]:
    """The first three records, or fewer."""
    while not (records := reader.poll(3, 0.2).records):
        pass
    return records


def test_work_that_was_not_staged_before_a_hand_over_is_done_again(topic: Topic, join: Join) -> None:
    topic.writer().append(events(40))
    first = join(stage=False)
    until(lambda: len(first.records) == 40)
    second = join()
    until(lambda: len(second.held) == 2)
    expected = {position for position in first.positions() if position[0] in second.held}
    until(lambda: set(second.positions()) == expected)


def test_a_lost_partition_is_told_before_its_records_come_back(topic: Topic, join: Join) -> None:
    topic.writer().append(events(40))
    first = join(stage=False)
    until(lambda: len(first.records) == 40)
    second = join(stage=False)
    until(lambda: len(second.held) == len(first.held) == 2)
    given_away = second.held
    assert sorted(first.lost) == sorted(given_away)
    second.stop()
    second.reader.close()
    until(lambda: first.held == ALL and len(first.records) > 40)
    assert {record.partition for record in first.records[40:]} == given_away
    assert sorted(first.lost) == sorted(given_away)


def test_a_rebalance_that_the_client_began_and_forgot_is_brought_to_its_end(topic: Topic) -> None:
    topic.writer().append(events(4))
    reader = topic.reader()
    records: list[Record] = []

    def read() -> int:
        records.extend(reader.poll(10, 0.1).records)
        return len(records)

    until(lambda: read() == 4)
    # What a change of the topic's metadata leaves behind where it is over before the rebalance is.
    coordinator = reader._member._coordinator
    coordinator._disable_heartbeat()
    coordinator.state = MemberState.REBALANCING
    topic.writer().append(events(4, 4))
    until(lambda: read() >= 8 and coordinator.stable())
    assert sorted(int(record.value or b"") for record in records) == list(range(8))


def test_positions_of_partitions_that_went_are_not_committed(topic: Topic, join: Join) -> None:
    """F13, where the partitions went in a rebalance."""
    topic.writer().append(events(40))
    first = join(stage=False)
    until(lambda: len(first.records) == 40)
    second = join(stage=False)
    until(lambda: len(second.held) == len(first.held) == 2)
    first.ask(lambda: first.reader.commit({record.partition: record.next_offset for record in first.records}))
    committed = topic.reader().committed_positions()
    assert {partition for partition, position in committed.items() if position} == first.held


def test_a_paused_member_keeps_its_partitions_and_takes_part_in_a_rebalance(topic: Topic, join: Join) -> None:
    topic.writer().append(events(40))
    first = join()
    until(lambda: len(first.records) == 40)
    first.records_max = 0
    topic.writer().append(events(40, 40))
    second = join(records_max=0)
    until(lambda: len(second.held) == len(first.held) == 2)
    committed = topic.reader().committed_positions()
    assert {partition for partition, position in committed.items() if position} == ALL
    assert (len(first.records), len(second.records)) == (40, 0)
    first.records_max = second.records_max = 1000
    until(lambda: len(first.records) + len(second.records) >= 80)
    assert len(set(first.positions() + second.positions())) == 80


READER = """
import sys
from structlog import get_logger
from shared.event_log.kafka_options import KafkaTopic
from shared.event_log.kafka_reader import KafkaReader
from shared.settings import Settings

topic = KafkaTopic([sys.argv[1]], sys.argv[2], 1024 * 1024, {})
reader = KafkaReader(topic, "group", Settings(kafka_session_seconds=6), get_logger())
while True:
    reader.poll(100, 0.1)
    print(len(reader.lag()), flush=True)
"""


def test_the_partitions_of_a_killed_member_come_back_within_the_session_timeout(topic: Topic, join: Join) -> None:
    topic.writer().append(events(40))
    command = [sys.executable, "-c", READER, topic.server, topic.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        try:
            assert killed.stdout is not None
            assert any(line == f"{PARTITIONS}\n" for line in killed.stdout)
            survivor = join()
            until(lambda: len(survivor.held) == 2)
        finally:
            killed.kill()
    seconds = until(lambda: survivor.held == ALL and len(survivor.records) == 40)
    assert seconds < SESSION_SECONDS + 5


# The topic ------------------------------------------------------------------------------------------------------------


def test_a_writer_makes_its_topic_as_the_settings_say_and_a_reader_never_does(topic: Topic) -> None:
    reader = topic.reader()
    for _ in range(10):
        assert reader.poll(10, 0.1).records == []
    assert reader.end_positions() == {}
    topic.writer().append(events(1))
    until(lambda: set(reader.end_positions()) == ALL)


def test_partitions_that_are_added_are_read(topic: Topic, join: Join) -> None:
    member = join()
    topic.writer().append(events(40))
    until(lambda: len(member.records) == 40)
    with closing(KafkaAdminClient(bootstrap_servers=topic.server)) as admin:
        admin.create_partitions({topic.name: PARTITIONS + 2})
    until(lambda: len(member.held) == PARTITIONS + 2)
    topic.writer().append(events(100, 40))
    until(lambda: len(member.records) == 140)
    assert len(member.reader.end_positions()) == PARTITIONS + 2


def test_a_topic_that_takes_smaller_records_only_halts_the_writer_with_its_name(topic: Topic) -> None:
    small = KafkaTopic([topic.server], topic.name, RECORD_BYTES_MAX, {"max.message.bytes": "2000"})
    writer = KafkaWriter(small, topic.settings())
    topic.closing.callback(writer.close)
    writer.append(events(1))
    with pytest.raises(BadInputHaltError, match=f"{topic.name}.*max.message.bytes"):
        writer.append([NewRecord(b"key", b"x" * 3000)])
    writer.append(events(1))
    assert len(list(topic.scanner().scan())) == 2


# Brokers that are away ------------------------------------------------------------------------------------------------


@pytest.fixture
def away(topic: Topic) -> Topic:
    return Topic(f"127.0.0.1:{free_port()}", topic.closing, topic.name)


def test_brokers_that_are_away_at_the_start_are_told_at_every_call_in_bounded_time(away: Topic) -> None:
    reader, writer, scanner = away.reader(), away.writer(), away.scanner()
    threads = threading.active_count()
    calls: list[Callable[[], object]] = [
        lambda: reader.poll(10, 0.1),
        reader.end_positions,
        reader.committed_positions,
        lambda: writer.append(events(1)),
        lambda: list(scanner.scan()),
    ]
    for call in calls:
        start = time.monotonic()
        with pytest.raises(EventLogUnavailableError, match=f"Kafka at {away.server}"):
            call()
        assert time.monotonic() - start < 5
    assert reader.lag() == {}
    reader.stage({"0": 1})
    reader.commit({"0": 1})
    assert threading.active_count() == threads


@pytest.fixture(scope="module")
def own_broker(docker: None) -> Iterator[KafkaServer]:
    with kafka_server() as server:
        yield server


@pytest.fixture
def own(own_broker: KafkaServer) -> Iterator[Topic]:
    with ExitStack() as closing:
        yield Topic(own_broker.plain, closing, f"log-{uuid.uuid4().hex}")


def test_a_broker_that_stops_and_starts_is_used_again_without_a_new_object(own_broker: KafkaServer, own: Topic) -> None:
    """F11, of the clients alone."""
    reader, writer, scanner = own.reader(), own.writer(), own.scanner()
    writer.append(events(20))
    positions = behind(read(reader, 20))
    reader.commit(positions)
    assert len(list(scanner.scan())) == 20
    own_broker.stop()
    try:
        assert_away(lambda: reader.poll(10, 0.1), reader.committed_positions, reader.end_positions)
        assert_away(lambda: writer.append(events(1)), lambda: list(scanner.scan()))
    finally:
        own_broker.start()
    until(lambda: answers(lambda: writer.append(events(20, 20))), 60)
    assert {record.value for record in read(reader, 20)} == {one.value for one in events(20, 20)}
    assert len(list(scanner.scan())) == 40
    assert sum(reader.end_positions().values()) == 40
    assert positions.items() <= reader.committed_positions().items()


def test_a_broker_that_freezes_longer_than_the_session_is_read_on_when_it_thaws(
    own_broker: KafkaServer, own: Topic
) -> None:
    reader, writer = own.reader(), own.writer()
    writer.append(events(20))
    reader.commit(behind(read(reader, 20)))
    own_broker.freeze()
    try:
        frozen_at = time.monotonic()
        while time.monotonic() - frozen_at < SESSION_SECONDS + 4:
            assert_away(lambda: reader.poll(10, 0.1))
        assert_away(reader.committed_positions, lambda: writer.append(events(1)))
    finally:
        own_broker.thaw()
    until(lambda: answers(lambda: writer.append(events(20, 20))), 60)
    # What a writer sent to a frozen broker may arrive, so the first event may come again.
    values = {record.value for record in read(reader, 20)}
    assert values - {b"0"} <= {one.value for one in events(20, 20)}


def read(reader: KafkaReader, count: int) -> list[Record]:
    """Poll until so many records have come; the broker may still be away."""
    records: list[Record] = []

    def poll() -> bool:
        answers(lambda: records.extend(reader.poll(100, 0.1).records))
        return len(records) >= count

    until(poll, 60)
    return records


def behind(records: list[Record]) -> dict[str, int]:
    """The positions that leave all of these behind."""
    return {record.partition: record.next_offset for record in records}


def answers(call: Callable[[], object]) -> bool:
    try:
        call()
    except EventLogUnavailableError:
        return False
    return True


def assert_away(*calls: Callable[[], object]) -> None:
    """Each call soon says that the broker is away, and none takes long over it."""
    for call in calls:
        tries: list[float] = []
        answered = True
        while answered:
            start = time.monotonic()
            answered = answers(call)
            tries.append(time.monotonic() - start)
            assert sum(tries) < 45, "waited in vain"
        assert max(tries) < 25


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_records_are_read_in_whichever_way_their_producer_compressed_them(topic: Topic, codec: str) -> None:
    topic.writer().append([NewRecord(b"plain", b"0")])
    with closing(KafkaProducer(bootstrap_servers=[topic.server], compression_type=codec)) as producer:
        for number in range(3):
            producer.send(topic.name, key=codec.encode(), value=str(number).encode() * 1000)
        producer.flush(10)
    read = [record.value for record in topic.scanner().scan()]
    assert sorted(value or b"" for value in read) == sorted([b"0", *(str(n).encode() * 1000 for n in range(3))])
