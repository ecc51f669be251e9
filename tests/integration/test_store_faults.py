"""Workers with a real Elasticsearch that refuses, loses replies, is killed, or is blocked.

The ids (F04, …) name faults and their limits. The durations here are those of every run; a soak uses the full ones.
After each fault the index holds exactly what the model of the catalogue says.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.document import Document, Kind
from shared.errors import StoreUnavailableError
from shared.rolling_window import month_of, to_milliseconds
from shared.store import WriteOutcome
from shared.store.elasticsearch import Connection
from shared.store.elasticsearch_store import ElasticsearchStore
from tests.elasticsearch_server import ElasticsearchServer
from tests.fault_proxy import NO_HTTP_FAULT, ElasticsearchProxy, HttpFault
from tests.model import CatalogueModel, compare
from tests.programs import Programs, get_status, metric, programs, until
from tests.tcp_proxy import NO_TCP_FAULT, TcpFault, TcpProxy

pytestmark = pytest.mark.containers

OUTAGE_SECONDS = 2.0
"""How long a refusal lasts; in full 120 (F04), 600 (F06), 300 (F10)."""
RECOVERY_SECONDS = 60.0
"""Within which a worker is back at its work, and at 95 % of its rate."""
START_SECONDS = 180.0
"""Of Elasticsearch itself, on a busy machine."""
RATE_SECONDS = 1.0
MEMORY_GROWTH_BYTES = 64 * 1024 * 1024
KILLS = 1
"""How often the server is killed in the middle of a bulk; in full 20 (F07)."""
IN_FLIGHT_RECORDS = 64


@dataclass
class Job:
    """A worker's settings, the faults between it and its store, and what its index must come to hold."""

    programs: Programs
    proxy: ElasticsearchProxy
    server: ElasticsearchServer
    model: CatalogueModel
    produced: int = 0

    def produce(self, count: int) -> None:
        """Append the model's next events to the event file."""
        lines = [json.dumps(event) + "\n" for event in self.model.events(count)]
        self.produced += len(lines)
        with (self.programs.folder / "events.jsonl").open("a") as file:
            file.writelines(lines)

    def metric(self, name: str) -> float:
        return metric(self.programs.settings["metrics_port"], name)

    def status(self, path: str) -> int:
        return get_status(f"http://127.0.0.1:{self.programs.settings['metrics_port']}/{path}")

    def done(self) -> float:
        return self.metric("catalogue_indexer_records_total")

    def records_committed(self) -> int:
        """How many records lie before the committed position, a byte offset in the event file."""
        positions = list(self.programs.folder.glob("*.position"))
        if not positions:
            return 0
        position = json.loads(positions[0].read_text())["position"]
        return (self.programs.folder / "events.jsonl").read_bytes()[:position].count(b"\n")

    def is_waiting(self) -> bool:
        """Whether the worker is alive, not ready, and says that it waits for its store."""
        waits = self.metric('catalogue_indexer_waiting{dependency="store"}') == 1
        return waits and self.status("readyz") == 503 and self.status("livez") == 200

    def await_progress(self, records: int, process: Any) -> None:
        goal = self.done() + records
        until(lambda: self.done() >= goal, RECOVERY_SECONDS, "progress", process)

    def await_end(self, process: Any) -> None:
        until(lambda: self.done() == self.produced, RECOVERY_SECONDS, "the end", process)

    def assert_index_as_modelled(self) -> None:
        """The live copies in the index are those that the model says."""
        expected = self.model.visible()
        assert self.server.live_copies() == sorted((one, version.number) for one, version in expected.items())

    def assert_as_modelled(self) -> None:
        """A searcher, too, shows what the model says, record by record; and there are no dead letters."""
        self.assert_index_as_modelled()
        expected = self.model.visible()
        with self.programs.serving() as base:
            findings = compare(base, expected)
        assert findings.clean, findings
        assert findings.checked == len(expected)
        assert self.programs.json("indexer", "dead-letters", "list")["dead_letters"] == []


@pytest.fixture
def job(tmp_path: Path, own_elasticsearch: ElasticsearchServer) -> Iterator[Job]:
    server = own_elasticsearch
    server.remove_indices()
    (tmp_path / "key").write_text("first")
    with ElasticsearchProxy("127.0.0.1", server.port) as proxy:
        made = programs(
            tmp_path,
            store_url=f"elasticsearch://127.0.0.1:{proxy.port}",
            elasticsearch_api_key_file=str(tmp_path / "key"),
            in_flight_records_max=str(IN_FLIGHT_RECORDS),
            write_batch_size="16",
            retry_seconds_max="1",
            commit_interval_seconds="0.2",
        )
        job = Job(made, proxy, server, CatalogueModel(random.Random(tmp_path.name), datetime.now(UTC), images=400))
        job.produce(100)
        made.ok("indexer", "fit", "--sample", "40")
        yield job


REFUSALS = {
    "F04: 429": HttpFault(status=429),
    "F06: 503": HttpFault(status=503),
    "F09: 401": HttpFault(api_key="second"),
}


def test_a_store_that_refuses_everything_freezes_the_worker_which_goes_on_by_itself(job: Job) -> None:
    """F04, F06, F09: nothing lost, the position holds, memory does not grow, and the rate comes back.

    Soon after the fault either the rate is what it was before, or what had piled up is done.
    """
    key = job.programs.folder / "key"
    with job.programs.running("indexer", "run") as worker:
        for refusal in REFUSALS.values():
            job.produce(500)
            job.await_progress(100, worker)
            before = rate(job)
            job.proxy.fault = refusal
            job.produce(300)
            assert_frozen(job, worker)
            job.proxy.fault = NO_HTTP_FAULT if not refusal.api_key else refusal
            key.write_text(refusal.api_key or "first")
            started = time.monotonic()
            until(lambda: job.status("readyz") == 200, RECOVERY_SECONDS, "the worker", worker)
            print("ready after", time.monotonic() - started, "rate before", before)
            rates = [rate(job)]
            while rates[-1] < 0.95 * before and job.done() < job.produced:
                assert time.monotonic() - started < RECOVERY_SECONDS, rates
                rates.append(rate(job))
            print("rates", rates)
            job.await_end(worker)
            job.proxy.fault = NO_HTTP_FAULT
    job.assert_as_modelled()


def assert_frozen(job: Job, worker: Any) -> None:
    """While the fault lasts the worker says what it waits for, and neither its position nor its memory moves."""
    until(job.is_waiting, 30, "the fault to be noticed", worker)
    memory = job.metric("process_resident_memory_bytes")
    held = threading.Event()
    # What was done just before the fault is still committed.
    held.wait(2 * float(job.programs.settings["commit_interval_seconds"]))
    committed, done = job.records_committed(), job.done()
    end = time.monotonic() + OUTAGE_SECONDS
    while time.monotonic() < end:
        assert job.is_waiting()
        assert (job.records_committed(), job.done()) == (committed, done)
        assert committed <= done
        assert job.metric("catalogue_indexer_in_flight_records") <= IN_FLIGHT_RECORDS
        assert job.metric("process_resident_memory_bytes") - memory < MEMORY_GROWTH_BYTES
        held.wait(0.2)


def rate(job: Job) -> float:
    """Records done per second just now."""
    start, done = time.monotonic(), job.done()
    threading.Event().wait(RATE_SECONDS)
    return (job.done() - done) / (time.monotonic() - start)


def test_of_a_bulk_only_the_items_that_were_refused_are_sent_again(job: Job) -> None:
    """F05: 30 % of the items meet 429; each is written once, and each record has one outcome."""
    job.produce(400)
    job.proxy.take_counts()
    job.proxy.fault = HttpFault(item_share=0.3)
    with job.programs.running("indexer", "run") as worker:
        job.await_end(worker)
        outcomes = {
            name: job.metric(f'catalogue_indexer_records_total{{outcome="{name}"}}') for name in ("indexed", "deleted")
        }
    counts = job.proxy.take_counts()
    assert sum(counts.refused_items.values()) > 0.2 * len(counts.forwarded_items)
    assert set(counts.refused_items) <= set(counts.forwarded_items)
    assert set(counts.forwarded_items.values()) == {1}
    assert sum(outcomes.values()) <= len(counts.forwarded_items)
    job.assert_as_modelled()


def test_replies_that_are_lost_after_the_server_did_its_work_double_nothing(job: Job) -> None:
    """F08: four in ten replies get lost, to writes and to everything else."""
    job.produce(400)
    job.proxy.fault = HttpFault(lose_replies=0.4)
    with job.programs.running("indexer", "run") as worker:
        job.await_end(worker)
    assert job.proxy.take_counts().lost_replies > 20
    job.proxy.fault = NO_HTTP_FAULT
    job.assert_index_as_modelled()


def test_a_flood_stage_block_is_waited_out(job: Job) -> None:
    """F10: visible as a metric and in the log, nothing lost, no dead letter, resumed within a minute of its end."""
    month = f"catalogue-{month_of(datetime.now(UTC))}"
    with job.programs.running("indexer", "run") as worker:
        job.await_progress(50, worker)
        job.server.ask("PUT", f"{month}/_settings", {"index.blocks.read_only_allow_delete": True})
        job.produce(300)
        assert_frozen(job, worker)
        assert "read-only-allow-delete" in (job.programs.folder / "indexer.log").read_text()
        job.server.ask("PUT", f"{month}/_settings", {"index.blocks.read_only_allow_delete": None})
        job.await_end(worker)
    job.assert_index_as_modelled()


def test_a_server_killed_in_the_middle_of_bulks_loses_nothing_and_moves_images_once(job: Job) -> None:
    """F07: kill -9 and start, again and again, while images move from an older month's index to the newest."""
    job.programs.ok("indexer", "run", "--until-caught-up")
    now = datetime.now(UTC)
    job.server.age(month_of(now), older_month(now))
    job.produced = 0
    with job.programs.running("indexer", "run") as worker:
        for _ in range(KILLS):
            job.produce(300)
            job.await_progress(random.Random(job.produced).randrange(20, 150), worker)
            job.server.kill()
            until(job.is_waiting, 30, "the kill to be noticed", worker)
            job.server.start()
            until(job.server.answers, START_SECONDS, "Elasticsearch")
            started = time.monotonic()
            until(lambda: job.status("readyz") == 200, RECOVERY_SECONDS, "the worker", worker)
            print("ready after the store answers", time.monotonic() - started)
        job.await_end(worker)
    job.assert_as_modelled()


def older_month(now: datetime) -> str:
    """The month before."""
    return f"{now.year - (now.month == 1)}.{(now.month - 2) % 12 + 1:02}"


def test_a_slow_and_breaking_network_loses_nothing(job: Job) -> None:
    """Latency, a narrow line, resets, stalls and lost replies, one after the other, between worker and store."""
    with TcpProxy("127.0.0.1", job.server.port) as network:
        network.open()
        job.programs.settings["store_url"] = f"elasticsearch://127.0.0.1:{network.port}"
        job.programs.settings["elasticsearch_seconds"] = "2"
        faults: list[Callable[[], None]] = [
            network.reset,
            lambda: setattr(network, "fault", TcpFault(latency_seconds=0.1)),
            lambda: setattr(network, "fault", TcpFault(bytes_per_second=200_000)),
            lambda: setattr(network, "fault", TcpFault(lose_replies=True)),
            lambda: setattr(network, "fault", TcpFault(stalled=True)),
            network.cut,
        ]
        with job.programs.running("indexer", "run") as worker:
            for fault in faults:
                job.produce(100)
                job.await_progress(10, worker)
                fault()
                threading.Event().wait(OUTAGE_SECONDS)
                network.fault = NO_TCP_FAULT
                network.open()
                job.await_end(worker)
    job.assert_index_as_modelled()


def test_a_month_that_expires_under_writes_in_flight_is_not_made_again(own_elasticsearch: ElasticsearchServer) -> None:
    """F21: images move out of a month while it is dropped; no write fails for good, and the month stays gone."""
    server = own_elasticsearch
    server.remove_indices()
    with closing(Connection([server.base], api_key=None, ca_file=None, seconds=30)) as connection:
        store = ElasticsearchStore(connection)
        long_ago, now = datetime(2026, 7, 15, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
        store.write([image(number, 1, long_ago) for number in range(200)], long_ago)
        dropped: list[str] = []
        dropping = threading.Thread(target=lambda: dropped.extend(store.drop_expired(now, 3)))
        for start in range(0, 200, 20):
            if start == 60:
                dropping.start()
            batch = [image(number, 2, now) for number in range(start, start + 20)]
            try:
                assert store.write(batch, now) == [WriteOutcome.WRITTEN] * 20
            except StoreUnavailableError:
                # Just while a shard goes it may neither answer nor be gone; a worker then writes again.
                dropping.join()
                assert set(store.write(batch, now)) <= {WriteOutcome.WRITTEN, WriteOutcome.REPEATED}
        dropping.join()
        assert dropped == ["2026.07"]
        assert list(server.ask("GET", "catalogue*")) == ["catalogue-2026.11"]
    assert server.live_copies() == sorted((f"image/{number}", 2) for number in range(200))


def image(number: int, version: int, event_time: datetime) -> Document:
    return Document(
        f"image/{number}", Kind.IMAGE, version, True, to_milliseconds(event_time), codes={"e": number.to_bytes(2)}
    )
