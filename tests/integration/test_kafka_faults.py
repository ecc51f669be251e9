"""Workers with three real Kafka brokers and a real Elasticsearch while brokers restart, groups move, and topics refuse.

The ids (F11, …) name faults and their limits. The durations here are those of every run; a soak uses the full ones.
After each fault the index holds exactly what the model of the catalogue says.
"""

import gc
import json
import logging
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError
from structlog import get_logger

from shared.errors import EventLogUnavailableError
from shared.event_log import NewRecord, Poll, Record, kafka
from shared.event_log.kafka_options import KafkaTopic
from shared.event_log.kafka_reader import KafkaReader
from shared.event_log.kafka_scanner import KafkaScanner
from shared.event_log.kafka_writer import KafkaWriter
from shared.settings import Settings
from tests.conftest import free_port
from tests.elasticsearch_server import ElasticsearchServer
from tests.kafka_server import KafkaServer, kafka_cluster
from tests.model import CatalogueModel, compare
from tests.programs import Programs, get_status, metric, programs, until

# The client leaves the sockets of failed connections to the garbage collector.
pytestmark = [pytest.mark.containers, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]

STORM_ROUNDS = 1
"""How often a group grows from one worker to three and shrinks again; in full for 300 s (F12)."""
LAG_SECONDS = 60.0
"""Within which the lag is below `LAG_RECORDS` after the last broker is back."""
LAG_RECORDS = 100
IN_FLIGHT_RECORDS = 32
RECORD_BYTES_MAX = 1024 * 1024
POLL_INTERVAL_MS = 6000


@pytest.fixture(autouse=True)
def collected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Collect such sockets while their warning is ignored; records of the client's log would keep them."""
    with caplog.at_level(logging.CRITICAL, "kafka"):
        yield
    gc.collect()


@pytest.fixture(scope="module")
def brokers(docker: None) -> Iterator[list[KafkaServer]]:
    with kafka_cluster() as started:
        yield started


@dataclass
class Job:
    """Workers' settings, their topic, and what their index must come to hold."""

    programs: Programs
    topic: KafkaTopic
    store: ElasticsearchServer
    model: CatalogueModel
    records: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    """Every event by partition and offset."""

    def produce(self, count: int) -> None:
        """Append the model's next events."""
        events = [
            NewRecord(str(event["image_id"]).encode(), json.dumps(event).encode()) for event in self.model.events(count)
        ]
        with closing(KafkaWriter(self.topic, Settings(kafka_partitions=6))) as writer:
            writer.append(events)
        with closing(KafkaScanner(self.topic, Settings())) as scanner:
            # At once, for another thread reads it.
            self.records = {(one.partition, one.offset): json.loads(one.value or b"") for one in scanner.scan()}

    @contextmanager
    def worker(self) -> Iterator["Worker"]:
        """A worker that joins the group."""
        port = str(free_port())
        job = replace(self.programs, settings=self.programs.settings | {"metrics_port": port})
        with job.running("indexer", "run") as process:
            until(lambda: get_status(f"http://127.0.0.1:{port}/readyz") == 200, 60, "the worker", process)
            yield Worker(process, port)

    def assert_as_modelled(self) -> None:
        """The index is what the model says, through a searcher and in the index itself; there are no dead letters."""
        expected = self.model.visible()
        assert self.store.live_copies() == sorted((one, version.number) for one, version in expected.items())
        with self.programs.serving() as base:
            findings = compare(base, expected)
        assert findings.clean, findings
        assert findings.checked == len(expected)


@dataclass
class Worker:
    """A running worker."""

    process: Any
    port: str
    consumed: float = 0.0

    def metric(self, name: str) -> float:
        return metric(self.port, f"catalogue_indexer_{name}")

    def stop(self) -> None:
        """Let it drain and leave the group; what it consumed is read until it is gone."""
        self.process.terminate()
        deadline = time.monotonic() + 40
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it does not end"
            self.consumed = max(self.consumed, self.metric("records_consumed_total"))
        assert self.process.returncode == 0


@pytest.fixture
def job(tmp_path: Path, brokers: list[KafkaServer], elasticsearch_node: ElasticsearchServer) -> Job:
    elasticsearch_node.remove_indices()
    servers = [broker.plain for broker in brokers]
    topic = KafkaTopic(servers, f"events-{uuid.uuid4().hex[:8]}", RECORD_BYTES_MAX, {})
    made = programs(
        tmp_path,
        events_url=f"kafka://{','.join(servers)}/{topic.name}",
        store_url=elasticsearch_node.url,
        in_flight_records_max=str(IN_FLIGHT_RECORDS),
        write_batch_size="8",
        retry_seconds_max="1",
        commit_interval_seconds="0.2",
        kafka_session_seconds="6",
    )
    job = Job(made, topic, elasticsearch_node, CatalogueModel(random.Random(7), datetime.now(UTC), images=300))
    job.produce(300)
    made.ok("indexer", "fit", "--sample", "40")
    return job


class Watch:
    """Checks, all the time, that no committed position passes a record whose image the store has no such version of."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._checked: set[tuple[str, int]] = set()
        self._stopping = threading.Event()
        self._reader = KafkaReader(job.topic, "catalogue-indexer", Settings(), get_logger())
        self.committed: Mapping[str, int] = {}
        self.samples = 0
        self.failures: list[str] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)
        self._reader.close()

    @property
    def lag(self) -> int:
        """Records that are not committed."""
        return len(self._job.records) - len(self._checked)

    def _run(self) -> None:
        while not self._stopping.wait(0.1):
            # A server that is away, or too busy, makes no statement about positions.
            with suppress(EventLogUnavailableError, OSError):
                self.committed = self._reader.committed_positions()
                self._check(self.committed)
                self.samples += 1

    def await_end(self) -> None:
        """Wait until every record is committed; where that does not come, say which partitions lag."""
        deadline = time.monotonic() + LAG_SECONDS
        while self.lag:
            ends = Counter(partition for partition, _ in self._job.records)
            assert time.monotonic() < deadline, f"committed {self.committed} of {ends}"
            self._stopping.wait(0.1)

    def _check(self, committed: Mapping[str, int]) -> None:
        new = [key for key in self._job.records if key not in self._checked and key[1] < committed.get(key[0], 0)]
        if not new:
            return
        stored = self._stored([self._job.records[key]["image_id"] for key in new])
        for key in new:
            event = self._job.records[key]
            if stored.get(event["image_id"], 0) < event["version"]:
                self.failures.append(f"{key} is committed, and {event['image_id']} is not at {event['version']}")
        self._checked.update(new)

    def _stored(self, image_ids: list[str]) -> dict[str, int]:
        """The highest version of each image, in real time."""
        (index,) = self._job.store.ask("GET", "catalogue")
        found = self._job.store.ask("POST", f"{index}/_mget?_source=false", {"ids": sorted(set(image_ids))})
        return {one["_id"]: one["_version"] for one in found["docs"] if one["found"]}


def test_a_group_that_grows_and_shrinks_commits_nothing_that_is_not_done(job: Job) -> None:
    """F12: from one worker to three and back; a committed position never passes work that is not in the store."""
    job.produce(1500)
    with ExitStack() as stack, Watch(job) as watch:
        first = stack.enter_context(job.worker())
        workers = [first]
        for _ in range(STORM_ROUNDS):
            joined = [stack.enter_context(job.worker()) for _ in range(2)]
            workers += joined
            for worker in joined:
                until(lambda worker=worker: worker.metric("records_total") > 0, 30, "its share")  # type: ignore[misc]
                job.produce(200)
            for worker in joined:
                worker.stop()
        watch.await_end()
        first.stop()
    redone = sum(worker.consumed for worker in workers) - len(job.records)
    print("redone", redone, "of", len(job.records), "samples", watch.samples)
    assert watch.failures == []
    assert watch.samples > 10
    # Two arrive and two leave, and each time what moves is what one of them had in flight; what is finished while it is
    # handed over is done once.
    assert redone <= STORM_ROUNDS * 4 * IN_FLIGHT_RECORDS
    job.assert_as_modelled()


def test_brokers_that_restart_one_after_the_other_and_a_leader_that_is_killed_lose_nothing(
    job: Job, brokers: list[KafkaServer]
) -> None:
    """F11: after the last one is back the lag is soon small, and every record has been done."""
    with job.worker() as worker, Watch(job) as watch:
        for _ in brokers:
            job.produce(150)
            # Each is the leader of this partition in its turn, so that a new one has to be found.
            leader = brokers[leader_of_the_first_partition(job) - 1]
            if leader is brokers[0]:
                leader.kill()
            else:
                leader.stop()
            until(lambda: len(brokers_up(job)) == 2, 60, "the end of a broker")
            leader.start()
            until(lambda: len(brokers_up(job)) == 3, 60, "the broker")
        back = time.monotonic()
        until(lambda: watch.lag < LAG_RECORDS, LAG_SECONDS, "the lag", worker.process)
        print("lag small after", time.monotonic() - back)
        watch.await_end()
    assert watch.failures == []
    job.assert_as_modelled()


def brokers_up(job: Job) -> list[int]:
    """The ids of the brokers that the cluster knows to be up; none where the one that was asked just went."""
    try:
        with closing(KafkaAdminClient(bootstrap_servers=list(job.topic.servers))) as admin:
            return [one["broker_id"] for one in admin.describe_cluster()["brokers"] if not one["is_fenced"]]
    except KafkaError:
        return []


def leader_of_the_first_partition(job: Job) -> int:
    with closing(KafkaAdminClient(bootstrap_servers=list(job.topic.servers))) as admin:
        (described,) = admin.describe_topics([job.topic.name])
    return int(described["partitions"][0]["leader_id"])


def test_a_member_that_polls_too_late_commits_nothing_of_what_it_lost(
    brokers: list[KafkaServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F13: the group gave its partitions away while it was busy; it hears of that before it reads on."""
    monkeypatch.setattr(kafka, "_POLL_INTERVAL_MS", POLL_INTERVAL_MS)
    topic = KafkaTopic([one.plain for one in brokers], f"late-{uuid.uuid4().hex[:8]}", RECORD_BYTES_MAX, {})
    made = Settings(kafka_session_seconds=6, kafka_partitions=4)
    with ExitStack() as stack:
        writer = stack.enter_context(closing(KafkaWriter(topic, made)))
        late, other = (stack.enter_context(closing(KafkaReader(topic, "group", made, get_logger()))) for _ in range(2))
        writer.append([NewRecord(str(number).encode(), b"") for number in range(40)])
        read = read_all(late, 40)
        # The other one gets everything only because the late one does not poll.
        again = read_all(other, 40)
        late.commit({record.partition: record.next_offset for record in read})
        assert set(other.committed_positions().values()) == {0}
        other.commit({record.partition: record.next_offset for record in again})
        lost: set[str] = set()
        while not lost:
            lost |= poll(late).lost
        assert lost == {record.partition for record in read}
        assert sum(other.committed_positions().values()) == 40


def read_all(reader: KafkaReader, count: int) -> list[Record]:
    """Poll until so many records have come."""
    records: list[Record] = []
    deadline = time.monotonic() + 60
    while len(records) < count:
        assert time.monotonic() < deadline, "waited in vain"
        records += poll(reader).records
    return records


def poll(reader: KafkaReader) -> Poll:
    """A poll, while a broker may be away for a moment."""
    try:
        return reader.poll(100, 0.2)
    except EventLogUnavailableError:
        return Poll([])


def test_dead_letters_that_can_not_be_written_are_waited_for_and_never_skipped(
    job: Job, brokers: list[KafkaServer]
) -> None:
    """F16: no position passes the record, the worker says what it waits for, and it goes on by itself."""
    letters = f"{job.topic.name}.dead-letters"
    with closing(KafkaAdminClient(bootstrap_servers=list(job.topic.servers))) as admin:
        # With a broker less, only this topic takes nothing.
        configs = {"min.insync.replicas": "3"}
        admin.create_topics({letters: {"num_partitions": 1, "replication_factor": 3, "configs": configs}})
    with closing(KafkaWriter(job.topic, Settings())) as writer:
        writer.append([NewRecord(b"poison", b"no JSON")])
    with closing(KafkaScanner(job.topic, Settings())) as scanner:
        (poison,) = [record for record in scanner.scan() if record.key == b"poison"]
    brokers[2].stop()
    until(lambda: len(brokers_up(job)) == 2, 60, "the end of a broker")
    with (
        job.worker() as worker,
        closing(KafkaReader(job.topic, "catalogue-indexer", Settings(), get_logger())) as group,
    ):
        until(lambda: worker.metric('waiting{dependency="dead_letters"}') == 1, 60, "the refusal", worker.process)
        assert get_status(f"http://127.0.0.1:{worker.port}/readyz") == 503
        assert not passes(group, poison)
        brokers[2].start()
        until(lambda: dead_letters_are_back(worker) and everything_is_committed(group), 90, "the rest", worker.process)
    job.assert_as_modelled()
    (letter,) = job.programs.json("indexer", "dead-letters", "list")["dead_letters"]
    assert letter["reason"] == "event_not_json"


def passes(group: KafkaReader, record: Record) -> bool:
    """Whether the group's committed position has left the record behind."""
    return group.committed_positions()[record.partition] > record.offset


def dead_letters_are_back(worker: Worker) -> bool:
    """Whether the dead letters are waited for no more."""
    return worker.metric('waiting{dependency="dead_letters"}') == 0


def everything_is_committed(group: KafkaReader) -> bool:
    """Whether the group is at the end of its topic; not known while a broker comes back."""
    try:
        return group.committed_positions() == group.end_positions()
    except EventLogUnavailableError:
        return False
