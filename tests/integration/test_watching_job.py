"""From an event to an alert, its log and a signed webhook, with the real programs and a searcher that is killed."""

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from searcher.workbench.outbox import Stream
from shared.event_log.opening import open_published_scanner
from tests.pictures import draw, encode
from tests.programs import Programs, get_json, programs, until

SECRET = "whsec_" + base64.b64encode(b"a secret of the test's own 32 by").decode()
PICTURE = encode(draw(200, 150, 7), "PNG")


class Receiver(ThreadingHTTPServer):
    """Takes webhooks; `events` are those whose signature fits, by their ids."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: dict[str, Any] = {}


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        told = Webhook(SECRET).verify(content, dict(self.headers))
        self.server.events[self.headers["webhook-id"]] = told
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the parameter's name)
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def watched(job: Programs, tmp_path: Path, receiver: Receiver) -> Programs:
    host = f"127.0.0.1:{receiver.server_address[1]}"
    job.settings |= {
        "workbench_url": f"sqlite://{tmp_path}/workbench.db",
        "webhook_urls": f"http://{host}/hook",
        "webhook_secret": SECRET,
        "fetch_allowed_hosts": host,
    }
    return job


def event(image_id: str) -> dict[str, Any]:
    content = base64.b64encode(PICTURE).decode()
    return {"image_id": image_id, "event_time": datetime.now(UTC).isoformat(), "image": {"bytes": content}}


def alerts(base: str) -> dict[str, str]:
    """Alert ids by image id."""
    found = get_json(f"{base}/v1/alerts?limit=500")["alerts"]
    assert len({one["image"]["image_id"] for one in found}) == len(found), "an image has one alert"
    return {one["image"]["image_id"]: one["alert_id"] for one in found}


def published(job: Programs) -> list[str]:
    scanner = open_published_scanner(job.settings_of_programs(), Stream.ALERTS)
    return [json.loads(record.value or b"")["id"] for record in scanner.scan()]


def test_every_image_near_a_watch_is_one_alert_one_event_and_one_webhook(watched: Programs, receiver: Receiver) -> None:
    job = watched
    job.ok("indexer", "produce", "--demo", "3")
    job.append([event("there before")])
    job.ok("indexer", "fit", "--sample", "20")
    job.ok("indexer", "run", "--until-caught-up")
    with job.worker():
        with job.serving() as base:
            seed = {"image": base64.b64encode(PICTURE).decode()}
            watch = get_json(f"{base}/v1/watches", {"name": "Copies", "seeds": [seed], "radius": 0})
            until(lambda: alerts(base).keys() == {"there before"}, 60, "the run over the window")
            job.append([event("a copy")])
            until(lambda: "a copy" in alerts(base), 60, "the alert")
            until(lambda: len(receiver.events) == 2, 60, "the webhooks")
        # The searcher was killed. Another group reads all matches again.
        job.append([event("another copy")])
        job.settings |= {"group": "another-group"}
        with job.serving() as base:
            until(lambda: "another copy" in alerts(base), 60, "the alert of a match that nobody read")
            until(lambda: len(receiver.events) == 3, 90, "the webhooks")
            until(lambda: len(published(job)) == 3, 120, "the log of alerts")
            found = alerts(base)
            assert sorted(published(job)) == sorted(found.values())
            assert get_json(f"{base}/v1/watches/{watch['watch_id']}")["ran"]
    assert {one["image"]["image_id"]: one["id"] for one in receiver.events.values()} == found
    assert {(one["type"], one["watch"]["watch_id"]) for one in receiver.events.values()} == {
        ("alert.raised", watch["watch_id"])
    }


def test_webhooks_without_a_secret_are_refused_at_the_start(tmp_path: Path) -> None:
    refused = programs(tmp_path, webhook_urls="https://receiver.example/hook").run("searcher", "serve", timeout=60)
    assert refused.returncode == 2
    assert "CATALOGUE_WEBHOOK_SECRET" in refused.stderr
