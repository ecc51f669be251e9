"""Workers and searchers that are killed, stopped and asked to end, as processes (F01, F02, F03).

Pictures come from a host of the test's own, which counts requests: a fetch that is repeated is work that was redone.
"""

import base64
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from shared.event_log import opening
from tests.image_host import ImageHost, Script, Send
from tests.model import CatalogueModel, compare
from tests.pictures import jpeg_picture
from tests.programs import Programs, get_json, programs, until

IN_FLIGHT_RECORDS_MAX = 16
SESSION_SECONDS = 6
SMALL_BATCHES = {
    "in_flight_records_max": str(IN_FLIGHT_RECORDS_MAX),
    "write_batch_size": "4",
    "batch_size": "4",
    "retry_seconds_max": "1",
}


@pytest.fixture
def host() -> Iterator[ImageHost]:
    with ImageHost() as opened:
        yield opened


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Pictures behind it are sent once it is set."""
    event = threading.Event()
    yield event
    event.set()


def allow(job: Programs, host: ImageHost, **settings: str) -> None:
    job.settings |= SMALL_BATCHES | {"fetch_allowed_hosts": f"127.0.0.1:{host.port}", "fetch_seconds": "60"} | settings


def by_url(events: Sequence[Mapping[str, Any]], host: ImageHost) -> list[dict[str, Any]]:
    """The events with a URL of the host in place of each picture, another one for each version."""
    return [dict(event) | ({"image": image} if (image := _hosted(event, host)) else {}) for event in events]


def _hosted(event: Mapping[str, Any], host: ImageHost) -> dict[str, str] | None:
    if "image" not in event:
        return None
    path = f"/{quote(event['image_id'])}/{event['version']}.jpg"
    return {"url": host.serve(path, base64.b64decode(event["image"]["bytes"]))}


def fetches(host: ImageHost) -> Counter[str]:
    return Counter(unquote(path) for path, _ in host.requests)


def image_event(host: ImageHost, image_id: str, version: int, *, script: Script | None = None) -> dict[str, Any]:
    path = f"/{image_id}/{version}.jpg"
    url = host.script(path, script) if script else host.serve(path, picture(version))
    now = datetime.now(UTC).isoformat()
    return {"image_id": image_id, "version": version, "event_time": now, "image": {"url": url}}


def picture(seed: int) -> bytes:
    return base64.b64decode(jpeg_picture(seed))


def behind(gate: threading.Event, content: bytes) -> Script:
    """Answers with a picture once the gate is open."""

    def script(send: Send, _: threading.Event) -> None:
        gate.wait(120)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
        send(head.encode() + content)

    return script


def fit(job: Programs) -> None:
    """Fit on what is in the source."""
    job.ok("indexer", "fit", "--sample", "24")


# F01 ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "kills"),
    [
        ("embedded", 40),
        pytest.param("elasticsearch", 6, marks=pytest.mark.containers),
        pytest.param("kafka and elasticsearch", 4, marks=pytest.mark.containers),
    ],
)
def test_f01_workers_killed_at_random_moments_lose_nothing_and_redo_no_more_than_was_in_flight(
    tmp_path: Path, host: ImageHost, request: pytest.FixtureRequest, where: str, kills: int
) -> None:
    job: Programs = request.getfixturevalue("real") if "kafka" in where else programs(tmp_path)
    allow(job, host)
    if "elasticsearch" in where:
        job.settings["store_url"] = request.getfixturevalue("clean_elasticsearch_url")
    dice = random.Random(kills)
    model = CatalogueModel(dice, datetime.now(UTC), images=80)
    job.append(by_url(model.events(60), host))
    fit(job)
    host.requests.clear()
    for _ in range(kills):
        # There is always more to do than a worker can do before it is killed.
        job.append(by_url(model.events(25), host))
        with job.worker() as worker:
            if "kafka" in where:
                # The group gives a dead member's partitions away only after the session timeout.
                until(lambda: job.worker_metric("records_consumed_total") > 0, 60, "its partitions", worker)
            with suppress(subprocess.TimeoutExpired):
                worker.wait(dice.uniform(0, 0.4))
    job.ok("indexer", "run", "--until-caught-up")
    with job.serving() as base:
        expected = model.visible()
        until(lambda: len(compare(base, expected).lost) == 0, 30, "the refresh")
        findings = compare(base, expected)
    assert findings.clean, findings
    redone = sum(count - 1 for count in fetches(host).values())
    assert 0 < redone <= kills * IN_FLIGHT_RECORDS_MAX


@pytest.mark.containers
def test_f01_after_a_kill_the_next_record_is_indexed_within_the_session_timeout_and_15_s(
    real: Programs, host: ImageHost
) -> None:
    allow(real, host)
    real.append(image_event(host, f"image-{number}", 1) for number in range(40))
    fit(real)
    for kill in range(3):
        with real.worker() as worker:
            real.append([image_event(host, "killed", kill)])
            until(lambda: real.worker_metric("records_total", outcome="indexed") > 0, 60, "work", worker)
        killed_at = time.monotonic()
        real.append([image_event(host, f"after-kill-{kill}", 1)])
        with real.worker() as worker:
            until(lambda kill=kill: fetches(host)[f"/after-kill-{kill}/1.jpg"] > 0, 60, "the next record", worker)  # type: ignore[misc]
            until(lambda: real.worker_metric("in_flight_records") == 0, 60, "its end", worker)
        assert time.monotonic() - killed_at <= SESSION_SECONDS + 15


# F02 ------------------------------------------------------------------------------------------------------------------


def test_f02_sigterm_under_load_drains_commits_and_leaves_nothing_to_redo(
    job: Programs, host: ImageHost, gate: threading.Event
) -> None:
    allow(job, host)
    job.append(image_event(host, f"sample-{number}", 1) for number in range(3))
    fit(job)
    host.requests.clear()
    job.append(image_event(host, f"image-{n}", 1, script=behind(gate, picture(n))) for n in range(30))
    with job.worker() as worker:
        until(lambda: job.worker_metric("in_flight_records") == IN_FLIGHT_RECORDS_MAX, 60, "a full load", worker)
        worker.send_signal(signal.SIGTERM)
        until(lambda: job.worker_status("/readyz") == 503, 5, "the worker to be unready", worker)
        assert job.worker_status("/livez") == 200
        assert worker.poll() is None
        gate.set()
        assert worker.wait(30) == 0
    fetched = fetches(host)
    assert 0 < len(fetched) < 33, "the drain does not read on"
    job.ok("indexer", "run", "--until-caught-up")
    assert set(fetches(host).values()) == {1}
    assert len(fetches(host)) == 33


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_f02_a_fit_that_is_asked_to_end_does_so_at_once_and_changes_nothing(
    tmp_path: Path, host: ImageHost, gate: threading.Event, number: signal.Signals, code: int
) -> None:
    job = programs(tmp_path)
    allow(job, host)
    job.append(image_event(host, f"image-{n}", 1, script=behind(gate, picture(n))) for n in range(10))
    with job.running("indexer", "fit") as process:
        until(lambda: len(host.requests) > 0, 30, "the first fetch", process)
        process.send_signal(number)
        assert process.wait(15) == code
    assert "Traceback" not in (job.folder / "indexer.log").read_text()
    gate.set()
    fit(job)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_f02_a_produce_that_is_asked_to_end_leaves_whole_events(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    job = programs(tmp_path)
    events = tmp_path / "events.jsonl"
    with job.running("indexer", "produce", "--demo", "5000") as process:
        until(events.exists, 30, "the first events", process)
        process.send_signal(number)
        assert process.wait(15) == code
    assert "Traceback" not in (job.folder / "indexer.log").read_text()
    assert events.read_bytes().endswith(b"\n")


def test_f02_a_searcher_that_is_asked_to_end_answers_what_it_has_begun(
    tmp_path: Path, host: ImageHost, gate: threading.Event
) -> None:
    job = programs(tmp_path)
    allow(job, host)
    job.append(image_event(host, f"image-{n}", 1) for n in range(3))
    fit(job)
    job.ok("indexer", "run", "--until-caught-up")
    held = host.script("/seed.jpg", behind(gate, picture(1)))
    with job.running("searcher", "serve") as process, ThreadPoolExecutor(1) as thread:
        base = f"http://127.0.0.1:{job.settings['http_port']}"
        until(lambda: job.searcher_status("/readyz") == 200, 60, "the searcher", process)
        reply = thread.submit(get_json, f"{base}/v1/search", {"seeds": [{"url": held}], "k": 3})
        until(lambda: fetches(host)["/seed.jpg"] == 1, 30, "the query", process)
        process.send_signal(signal.SIGTERM)
        until(lambda: job.searcher_status("/livez") == 0, 10, "the listener to close", process)
        assert not reply.done()
        gate.set()
        assert len(reply.result(30)["hits"]) == 3
        assert process.wait(30) == 0


# F03 ------------------------------------------------------------------------------------------------------------------


@pytest.mark.containers
def test_f03_a_worker_stopped_for_longer_than_its_session_loses_by_version_and_commits_nothing(
    real: Programs, host: ImageHost, gate: threading.Event
) -> None:
    """The zombie has fetched nothing yet when it is stopped; its plans, made before, say that it may write."""
    allow(real, host, kafka_partitions="1")
    names = [f"image-{number}" for number in range(8)]
    real.append(image_event(host, f"sample-{number}", 1) for number in range(3))
    fit(real)
    other = real.beside()
    with real.worker() as zombie:
        until(lambda: real.worker_metric("records_total") == 3, 60, "the samples", zombie)
        real.append(image_event(host, name, 1, script=behind(gate, picture(1))) for name in names)
        until(lambda: sum(fetches(host)[f"/{name}/1.jpg"] for name in names) == 8, 60, "the fetches", zombie)
        zombie.send_signal(signal.SIGSTOP)
        real.append(image_event(host, name, 2) for name in names)
        # Others answer the successor, so that it need not wait for what the zombie waits for.
        for name in names:
            host.serve(f"/{name}/1.jpg", picture(1))
        with other.worker() as successor:
            until(lambda: other.worker_metric("records_total") >= 16, 60, "the successor's work", successor)
            committed = committed_position(real)
            gate.set()
            zombie.send_signal(signal.SIGCONT)
            until(lambda: real.worker_metric("in_flight_records") == 0, 60, "the zombie's writes", zombie)
            late = sum(real.worker_metric("records_total", outcome=one) for one in ("superseded", "repeated"))
            assert late >= 8, "each of the zombie's writes lost"
            assert real.worker_metric("records_total", outcome="indexed") == 3
            assert committed_position(real) >= committed
            successor.send_signal(signal.SIGTERM)
            assert successor.wait(30) == 0
        # The zombie is a member again and takes over what the successor left.
        real.append(image_event(host, name, 3) for name in names[:4])
        until(lambda: real.worker_metric("records_total", outcome="indexed") == 7, 60, "new work", zombie)
    assert versions(real) == {f"sample-{n}": 1 for n in range(3)} | dict.fromkeys(names[:4], 3) | dict.fromkeys(
        names[4:], 2
    )


def test_f03_a_second_worker_on_a_file_waits_for_a_stopped_one_and_takes_over_from_a_dead_one(
    tmp_path: Path, host: ImageHost
) -> None:
    job = programs(tmp_path)
    allow(job, host)
    job.append(image_event(host, f"image-{n}", 1) for n in range(3))
    fit(job)
    other = job.beside()
    with job.worker() as first:
        until(lambda: job.worker_metric("records_total") == 3, 60, "the first work", first)
        first.send_signal(signal.SIGSTOP)
        job.append(image_event(host, f"image-{n}", 2) for n in range(3))
        with other.running("indexer", "run") as second:
            for log in ("event_log", "retries_log"):
                until(lambda: other.worker_metric("waits_total", dependency=log) > 1, 60, "its turn", second)  # noqa: B023
            assert other.worker_status("/readyz") == 503
            # Once for the events and once for the retries.
            assert other.told("dependency_away") == 2
            first.send_signal(signal.SIGCONT)
            until(lambda: job.worker_metric("records_total") == 6, 60, "the first one's work", first)
            assert other.worker_metric("records_consumed_total") == 0
            first.kill()
            job.append(image_event(host, f"image-{n}", 3) for n in range(3))
            until(lambda: other.worker_metric("records_total", outcome="indexed") == 3, 60, "the take-over", second)
            until(lambda: other.worker_status("/readyz") == 200, 10, "the retries", second)
    assert versions(job) == {f"image-{n}": 3 for n in range(3)}


def committed_position(job: Programs) -> int:
    with closing(opening.open_reader(job.settings_of_programs())) as reader:
        return sum(reader.committed_positions().values())


def versions(job: Programs) -> dict[str, int]:
    """The version that each visible image shows."""
    with job.serving() as base:
        images = get_json(f"{base}/v1/images?limit=100")["images"]
        assert len({image["image_id"] for image in images}) == len(images)
        return {image["image_id"]: get_json(f"{base}/v1/images/{image['image_id']}")["version"] for image in images}
