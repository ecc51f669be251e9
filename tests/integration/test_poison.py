"""Records that can't be indexed, through the real worker: each a dead letter, none a dead worker (F14, F22).

Between two such records lies a good one.
"""

import base64
import hashlib
import json
import os
import signal
import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from indexer.dead_letters import DeadLetter, from_record
from shared.errors import RejectionReason
from shared.event_log import NewRecord, opening
from tests.image_host import ImageHost
from tests.pictures import draw, encode, jpeg_picture
from tests.programs import Programs, get_json, programs, until

NOW = datetime.now(UTC)
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Poison:
    """A value that is no good event, and why it has to be refused."""

    value: bytes | None
    reason: RejectionReason
    key: bytes | None = None


@pytest.fixture
def host() -> Iterator[ImageHost]:
    with ImageHost() as opened:
        yield opened


def event(image_id: object, **changed: Any) -> dict[str, Any]:
    made = {"image_id": image_id, "version": 1, "event_time": NOW.isoformat(), "image": {"bytes": jpeg_picture(1)}}
    return {name: value for name, value in (made | changed).items() if value is not None}


def with_picture(content: bytes) -> bytes:
    image_id = f"picture-{hashlib.sha256(content).hexdigest()}"
    return as_json(event(image_id, image={"bytes": base64.b64encode(content).decode()}))


def with_url(url: str) -> bytes:
    return as_json(event("url", image={"url": url}))


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def png_bomb() -> bytes:
    """A PNG of few bytes that says it is 30,000 x 30,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(10 * MEBIBYTE), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def poison(host: ImageHost) -> list[Poison]:
    """One record of each kind that the world has sent to somebody."""
    page = {"Content-Type": "image/jpeg"}
    reason = RejectionReason
    return [
        Poison(b"no JSON", reason.EVENT_NOT_JSON),
        Poison(b'{"image_id": "cut off', reason.EVENT_NOT_JSON),
        Poison(b"[" * 100_000, reason.EVENT_NOT_JSON),
        Poison(bytes(range(11, 256)), reason.EVENT_NOT_JSON),
        Poison(b"null", reason.EVENT_INVALID),
        Poison(b"[1, 2]", reason.EVENT_INVALID),
        Poison(as_json(event("", version=2)), reason.EVENT_INVALID),
        Poison(as_json(event(None)), reason.EVENT_INVALID),
        # F22: a field of another type than it has
        Poison(as_json(event(7)), reason.EVENT_INVALID),
        Poison(as_json(event("a", version="2")), reason.EVENT_INVALID),
        Poison(as_json(event("a", version=1.5)), reason.EVENT_INVALID),
        Poison(as_json(event("a", event_time=1_700_000_000)), reason.EVENT_INVALID),
        Poison(as_json(event("a", event_time="yesterday")), reason.EVENT_INVALID),
        Poison(as_json(event("a", deleted="yes")), reason.EVENT_INVALID),
        Poison(as_json(event("a", image="https://example.com/a.jpg")), reason.EVENT_INVALID),
        Poison(as_json(event("a", image={"bytes": "no base64!"})), reason.EVENT_INVALID),
        Poison(as_json(event("a", attributes=["red"])), reason.EVENT_INVALID),
        Poison(as_json(event("a", attributes={"size": {"width": 1}})), reason.EVENT_INVALID),
        Poison(b'{"image_id": "\\ud800", "version": 1}', reason.EVENT_INVALID),
        # F22: a field that was renamed
        Poison(as_json(event("a", image=None, picture={"url": "https://example.com/a.jpg"})), reason.EVENT_INVALID),
        Poison(as_json(event("a", event_time=(NOW + timedelta(days=2)).isoformat())), reason.EVENT_FROM_THE_FUTURE),
        Poison(as_json(event("good-0", version=None)), reason.VERSION_MIXED),
        Poison(with_url("https://example.com/" + "a" * 9000), reason.EVENT_INVALID),
        Poison(with_url("http://169.254.169.254/latest/meta-data/"), reason.URL_FORBIDDEN),
        Poison(with_url("file:///etc/passwd"), reason.URL_FORBIDDEN),
        Poison(with_url(host.redirect("/away", "http://[::ffff:127.0.0.1]/")), reason.URL_FORBIDDEN),
        Poison(with_url(host.serve("/gone.jpg", status=410)), reason.IMAGE_NOT_FOUND),
        Poison(with_url(host.serve("/large.jpg", bytes(11 * MEBIBYTE))), reason.IMAGE_TOO_LARGE),
        Poison(
            with_url(host.serve("/page.jpg", b"<!doctype html><title>404", headers=page)),
            reason.IMAGE_FORMAT_UNSUPPORTED,
        ),
        Poison(with_picture(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), reason.IMAGE_FORMAT_UNSUPPORTED),
        Poison(with_picture(b""), reason.IMAGE_FORMAT_UNSUPPORTED),
        Poison(with_picture(half(encode(draw(), "JPEG"))), reason.IMAGE_UNDECODABLE),
        Poison(with_picture(half(encode(draw(), "PNG"))), reason.IMAGE_UNDECODABLE),
        Poison(with_picture(png_bomb()), reason.IMAGE_TOO_LARGE),
        Poison(with_picture(bytes(11 * MEBIBYTE)), reason.IMAGE_TOO_LARGE),
        Poison(b'{"image_id": "' + b"a" * (20 * MEBIBYTE) + b'"}', reason.EVENT_TOO_LARGE),
    ]


def only_in_kafka() -> list[Poison]:
    """Records that a line of a file can't be."""
    reason = RejectionReason
    return [
        Poison(None, reason.EVENT_INVALID),
        Poison(None, reason.EVENT_INVALID, b"\xff"),
        Poison(b"", reason.EVENT_NOT_JSON, b"empty"),
        Poison(as_json(event("a")), reason.EVENT_INVALID, b"b"),
    ]


def test_f14_each_poisonous_record_is_a_dead_letter_once_and_its_neighbours_are_indexed(
    job: Programs, host: ImageHost
) -> None:
    job.settings |= {"fetch_allowed_hosts": f"127.0.0.1:{host.port}", "kafka_partitions": "1"}
    in_kafka = job.settings["events_url"].startswith("kafka")
    bad = poison(host) + (only_in_kafka() if in_kafka else [])
    # F22: what a newer producer adds is no fault.
    newer = {"schema": 2, "added": {"later": True}}
    good = [event(f"good-{number}", **newer) for number in range(len(bad) + 1)]
    headers = [("trace", b"\x00\xff")]
    records = [NewRecord(b"good-0", as_json(good[0]))]
    for one, neighbour in zip(bad, good[1:], strict=True):
        records.append(
            NewRecord(one.key, one.value, headers) if one.value or one.key else NewRecord(b"", None, headers)
        )
        records.append(NewRecord(str(neighbour["image_id"]).encode(), as_json(neighbour)))
    job.append(records)
    job.ok("indexer", "fit", "--sample", "20")
    job.ok("indexer", "run", "--until-caught-up")
    letters = dead_letters(job)
    by_place = sorted(letters, key=lambda letter: letter.record.offset)
    told = [(letter.reason, letter.detail, (letter.record.value or b"")[:60]) for letter in by_place]
    assert [reason for reason, _, _ in told] == [one.reason for one in bad], told
    assert [digest(letter.record.value) for letter in by_place] == [digest(one.value) for one in bad], told
    assert all(letter.detail for letter in letters)
    if in_kafka:
        assert [letter.record.offset for letter in by_place] == list(range(1, 2 * len(bad), 2))
        assert {letter.record.partition for letter in letters} == {"0"}
        assert all(list(letter.record.headers) == headers for letter in letters)
        assert [letter.record.key or None for letter in by_place] == [one.key for one in bad]
    with job.serving() as base:
        until(lambda: len(visible(base)) == len(good), 30, "the refresh")
        assert visible(base) == {one["image_id"] for one in good}


def digest(value: bytes | None) -> str | None:
    """What stands for a value of megabytes where a test fails."""
    return None if value is None else hashlib.sha256(value).hexdigest()


def dead_letters(job: Programs) -> list[DeadLetter]:
    with closing(opening.open_dead_letter_scanner(job.settings_of_programs())) as scanner:
        found = [from_record(record) for record in scanner.scan()]
    return [letter for letter in found if letter is not None]


def visible(base: str) -> set[str]:
    return {image["image_id"] for image in get_json(f"{base}/v1/images?limit=200")["images"]}


# Pictures that break the process that decodes them -----------------------------------------------------------------


def children_of(process_id: int) -> set[int]:
    tasks = Path(f"/proc/{process_id}/task").iterdir()
    return {int(child) for task in tasks for child in (task / "children").read_text().split()}


def test_a_decoder_that_crashes_hangs_or_runs_out_of_memory_is_a_dead_letter_and_not_a_dead_worker(
    tmp_path: Path,
) -> None:
    job = programs(
        tmp_path, decode_processes="1", decode_seconds="2", decode_memory_bytes=str(256 * MEBIBYTE), batch_size="1"
    )
    job.append([event("good-0")])
    job.ok("indexer", "fit", "--sample", "1", "--binarizer", "hyperplanes")
    with job.worker() as worker:
        until(lambda: job.worker_metric("records_total") == 1, 60, "the first picture", worker)
        (crashing,) = children_of(worker.pid)
        os.kill(crashing, signal.SIGSTOP)
        job.append([event("crashing")])
        until(lambda: job.worker_metric("queue_depth", stage="decode") == 1, 30, "the picture", worker)
        os.kill(crashing, signal.SIGSEGV)
        os.kill(crashing, signal.SIGCONT)
        until(lambda: job.worker_metric("records_total") == 2, 30, "the crash", worker)
        job.append([event("good-1")])
        until(lambda: job.worker_metric("records_total") == 3, 30, "the picture after the crash", worker)
        (hanging,) = children_of(worker.pid)
        assert hanging != crashing
        os.kill(hanging, signal.SIGSTOP)
        job.append([event("hanging")])
        until(lambda: job.worker_metric("records_total") == 4, 30, "the end of its time", worker)
        # 39 million pixels of four bytes, and as many without transparency, take more than 256 MiB.
        large = base64.b64encode(encode(Image.new("RGBA", (7800, 5000)), "PNG")).decode()
        job.append([event("large", image={"bytes": large}), event("good-2")])
        until(lambda: job.worker_metric("records_total") == 6, 60, "the picture after the large one", worker)
        assert job.worker_status("/readyz") == 200
    letters = {json.loads(letter.record.value or b"")["image_id"]: letter for letter in dead_letters(job)}
    # A child that died before it was given the picture takes none along: another one decodes it.
    assert {"hanging", "large"} <= set(letters) <= {"crashing", "hanging", "large"}
    assert {letter.reason for letter in letters.values()} <= {
        RejectionReason.IMAGE_UNDECODABLE,
        RejectionReason.IMAGE_TOO_LARGE,
    }
    with job.serving() as base:
        assert visible(base) == {"good-0", "good-1", "good-2", "crashing"} - set(letters)
