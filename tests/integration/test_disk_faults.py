"""A worker on the embedded default whose disk is full, whose files are locked, replaced or damaged (F29).

The disk is full for one process: its limit on the size of files (RLIMIT_FSIZE) is lowered while it runs, and lifted.
"""

import json
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from indexer.dead_letters import from_record
from shared.event_log import opening
from tests.pictures import jpeg_picture
from tests.programs import Programs, get_json, programs, until


def image_event(image_id: str, version: int = 1) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"image_id": image_id, "version": version, "event_time": now, "image": {"bytes": jpeg_picture(version % 24)}}


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a job with five indexed images."""
    made = programs(tmp_path_factory.mktemp("indexed"))
    made.append(image_event(f"image-{number}") for number in range(5))
    made.ok("indexer", "fit", "--sample", "5")
    made.ok("indexer", "run", "--until-caught-up")
    return made.folder


@pytest.fixture
def job(indexed: Path, tmp_path: Path) -> Programs:
    """A copy of that job."""
    shutil.copytree(indexed, tmp_path, dirs_exist_ok=True)
    return programs(tmp_path, retry_seconds_max="0.5")


@contextmanager
def full_disk(process: "subprocess.Popen[bytes]", left_bytes: int = 0) -> Iterator[None]:
    """Let the process write no file beyond `left_bytes`."""
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (left_bytes, hard))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (hard, hard))


def waits_for(job: Programs, dependency: str) -> bool:
    return job.worker_metric("waits_total", dependency=dependency) > 0 and job.worker_status("/readyz") == 503


def done(job: Programs) -> Mapping[str, float]:
    return {
        outcome: job.worker_metric("records_total", outcome=outcome)
        for outcome in ("indexed", "repeated", "dead_lettered")
    }


def visible(base: str) -> set[str]:
    return {image["image_id"] for image in get_json(f"{base}/v1/images?limit=100")["images"]}


def assert_whole(job: Programs) -> None:
    """SQLite finds nothing wrong with its file."""
    with closing(sqlite3.connect(job.folder / "catalogue.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_f29_with_a_full_disk_a_worker_waits_for_store_positions_and_dead_letters_and_loses_nothing(
    job: Programs,
) -> None:
    with job.serving() as base, job.worker() as worker:
        with full_disk(worker):
            # Its position has to be kept, and nothing else.
            job.append([image_event("image-0")])
            until(lambda: waits_for(job, "event_log"), 30, "the position", worker)
            with (job.folder / "events.jsonl").open("ab") as events:
                events.write(b"no JSON\n")
            job.append([image_event("image-5")])
        # A free moment lets the worker read on; then each thing that it wants to write is refused.
        until(lambda: job.worker_status("/readyz") == 200, 30, "the worker", worker)
        until(lambda: sum(done(job).values()) == 3, 30, "the records", worker)
        with full_disk(worker):
            # In this order: a letter waits for what was read before it.
            with (job.folder / "events.jsonl").open("ab") as events:
                events.write(b"no JSON either\n")
            job.append([image_event("image-6")])
            until(lambda: waits_for(job, "store") and waits_for(job, "dead_letters"), 30, "both", worker)
            assert visible(base) == {f"image-{number}" for number in range(6)}
            assert job.worker_status("/livez") == 200
            assert sum(done(job).values()) == 3
        until(lambda: sum(done(job).values()) == 5, 30, "the rest", worker)
        assert done(job) == {"indexed": 2, "repeated": 1, "dead_lettered": 2}
        assert job.worker_status("/readyz") == 200
        assert visible(base) == {f"image-{number}" for number in range(7)}
    with closing(opening.open_dead_letter_scanner(job.settings_of_programs())) as scanner:
        letters = [from_record(record) for record in scanner.scan()]
    assert [letter and letter.record.value for letter in letters] == [b"no JSON", b"no JSON either"]
    assert_whole(job)


def test_f29_a_worker_killed_on_a_full_disk_leaves_a_whole_store_and_goes_on(job: Programs) -> None:
    with job.worker() as worker, full_disk(worker, left_bytes=20_000):
        job.append(image_event(f"image-{number}", 2) for number in range(20))
        until(lambda: waits_for(job, "store"), 30, "the store", worker)
        assert job.told("dependency_away") == 1
    assert_whole(job)
    job.ok("indexer", "run", "--until-caught-up")
    with job.serving() as base:
        assert visible(base) == {f"image-{number}" for number in range(20)}


def test_f29_a_store_that_another_program_locks_is_waited_for_and_searched_meanwhile(job: Programs) -> None:
    with job.serving() as base, job.worker() as worker:
        with closing(sqlite3.connect(job.folder / "catalogue.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            job.append([image_event("image-5")])
            until(lambda: waits_for(job, "store"), 30, "the busy timeout to pass", worker)
            assert visible(base) == {f"image-{number}" for number in range(5)}
            assert job.told("dependency_away") == 1
            other.execute("ROLLBACK")
        until(lambda: job.worker_metric("records_total", outcome="indexed") == 1, 30, "the record", worker)
        until(lambda: job.worker_status("/readyz") == 200, 30, "the worker", worker)
        assert visible(base) == {f"image-{number}" for number in range(6)}


@pytest.mark.parametrize("damage", ["garbage", "truncated"])
def test_f29_a_damaged_store_is_told_in_one_line_and_left_as_it_is(job: Programs, damage: str) -> None:
    path = job.folder / "catalogue.db"
    path.write_bytes(b"garbage" * 10_000 if damage == "garbage" else path.read_bytes()[:-6000])
    before = path.read_bytes()
    for command in (("indexer", "run"), ("searcher", "query", "--id", "a")):
        refused = job.run(*command, timeout=60)
        assert refused.returncode == 2, refused.stderr
        told = refused.stderr.splitlines()[-1]
        assert "CATALOGUE_STORE_URL" in told
        assert "damaged" in told
        assert "Traceback" not in refused.stderr
    assert path.read_bytes() == before


def test_an_event_file_that_is_replaced_or_truncated_while_it_is_read_is_noticed_and_read_anew(job: Programs) -> None:
    path = job.folder / "events.jsonl"
    with job.serving() as base, job.worker() as worker:
        new = job.folder / "new.jsonl"
        new.write_text("".join(json.dumps(image_event(f"new-{number}")) + "\n" for number in range(9)))
        new.replace(path)
        until(lambda: job.worker_metric("records_total", outcome="indexed") == 9, 30, "the new file", worker)
        assert job.told("event_file_replaced") == 1
        with path.open("r+b") as events:
            events.truncate(0)
        until(lambda: job.told("event_file_replaced") == 2, 30, "the truncation", worker)
        job.append([image_event("last")])
        until(lambda: job.worker_metric("records_total", outcome="indexed") == 10, 30, "the event after it", worker)
        assert visible(base) == {"last", *(f"new-{n}" for n in range(9)), *(f"image-{n}" for n in range(5))}
        worker.terminate()
        assert worker.wait(30) == 0
