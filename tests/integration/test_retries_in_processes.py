"""Failed fetches with the real worker: tried again later, across a kill, and given up on at the bound (F23, F24)."""

import json
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.image_host import ImageHost
from tests.pictures import draw, encode
from tests.programs import Programs, get_json, programs, until


@pytest.fixture
def host() -> Iterator[ImageHost]:
    with ImageHost() as opened:
        yield opened


@pytest.fixture
def embedded(tmp_path: Path, host: ImageHost) -> Programs:
    return fitted(programs(tmp_path), host)


def fitted(job: Programs, host: ImageHost) -> Programs:
    """The job with one picture and an encoder."""
    job.settings |= {"fetch_tries": "1", "fetch_allowed_hosts": f"127.0.0.1:{host.port}"}
    job.append([event("fitted", host.serve("/fitted.png", encode(draw(seed=1), "PNG")))])
    job.ok("indexer", "fit", "--sample", "10")
    return job


def event(image_id: str, url: str, version: int = 1) -> dict[str, object]:
    return {
        "image_id": image_id,
        "version": version,
        "event_time": datetime.now(UTC).isoformat(),
        "image": {"url": url},
    }


def dead_host() -> str:
    """A URL where nobody listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{closed.getsockname()[1]}/a.png"


def test_f24_a_failed_fetch_keeps_its_place_through_a_kill_and_is_indexed_once_the_host_answers(
    job: Programs, host: ImageHost
) -> None:
    fitted(job, host).settings |= {"fetch_retry_seconds": "2", "fetch_host_pause_seconds": "0.5"}
    url = host.serve("/a.png", status=503)
    job.append([event("a", url), event("behind", host.url("/fitted.png"))])
    with job.worker() as worker:
        # What lies behind it is indexed and committed, although the host does not answer.
        until(lambda: job.worker_metric("records_total", outcome="indexed") == 2, 60, "the neighbours", worker)
        until(lambda: job.worker_metric("records_total", outcome="retried") >= 1, 60, "the first retry", worker)
        worker.send_signal(signal.SIGKILL)
        worker.wait(30)
    host.serve("/a.png", encode(draw(seed=2), "PNG"))
    job.ok("indexer", "run", "--until-caught-up")
    with job.serving() as base:
        assert get_json(f"{base}/v1/images/a")["version"] == 1
        assert {image["image_id"] for image in get_json(f"{base}/v1/images")["images"]} == {"fitted", "a", "behind"}
    assert job.json("indexer", "dead-letters", "list")["dead_letters"] == []


def test_f24_a_host_that_never_answers_ends_in_the_dead_letters_and_a_stop_waits_for_no_retry(
    embedded: Programs, host: ImageHost
) -> None:
    url = dead_host()
    embedded.settings |= {"fetch_allowed_hosts": f"127.0.0.1:{host.port},{url.split('/')[2]}"}
    embedded.append([event("a", url, version=7)])
    with embedded.worker() as worker:
        until(lambda: embedded.worker_metric("in_flight_records", log="retries") == 1, 60, "the retry", worker)
        worker.terminate()
        assert worker.wait(10) == 0
    assert embedded.json("indexer", "dead-letters", "list")["dead_letters"] == []
    embedded.settings |= {"fetch_retry_seconds": "0.2", "fetch_retries": "3"}
    embedded.ok("indexer", "run", "--until-caught-up")
    (letter,) = embedded.json("indexer", "dead-letters", "list")["dead_letters"]
    assert (letter["image_id"], letter["reason"]) == ("a", "image_unavailable")
    source = (embedded.folder / "events.jsonl").read_bytes()
    assert letter["source_partition"] == "events.jsonl"
    assert json.loads(source[letter["source_offset"] :])["image_id"] == "a"


def test_f15_a_bad_release_halts_the_worker_with_4_and_what_to_do(embedded: Programs) -> None:
    embedded.settings |= {"dead_letters_consecutive_max": "20"}
    embedded.append([{"image_id": f"bad-{number}", "picture": "renamed"} for number in range(500)])
    halted = embedded.run("indexer", "run", "--until-caught-up")
    assert halted.returncode == 4
    assert "the last 20 records were refused, most of them as event_invalid" in halted.stderr
    assert "CATALOGUE_DEAD_LETTERS_CONSECUTIVE_MAX" in halted.stderr
    assert "Traceback" not in halted.stderr
    assert len(embedded.json("indexer", "dead-letters", "list")["dead_letters"]) == 20
    # Nothing is lost: mended, or let through, it goes on where it stopped.
    embedded.settings |= {"dead_letters_consecutive_max": "0"}
    embedded.ok("indexer", "run", "--until-caught-up")
    letters = embedded.json("indexer", "dead-letters", "list")["dead_letters"]
    assert {letter["image_id"] for letter in letters} == {f"bad-{number}" for number in range(500)}
    (one,) = embedded.json("indexer", "dead-letters", "list", "--image-id", "bad-7")["dead_letters"]
    assert (one["image_id"], one["reason"]) == ("bad-7", "event_invalid")
