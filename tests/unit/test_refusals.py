"""Why an image is not indexed, as its dead letter tells."""

import itertools
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from indexer.dead_letters import DeadLetter, to_new_record
from searcher.refusals import Refusals
from shared.dead_letter import Refusal
from shared.errors import EventLogUnavailableError, RejectionReason
from shared.event_log import Record
from shared.event_log.opening import open_dead_letter_scanner, open_dead_letter_writer
from shared.settings import Settings
from tests.described import described_client
from tests.searchers import FakeSearcher, fake_searcher

SEED = "00" * 32


@pytest.fixture
def made(tmp_path: Path) -> Iterator[FakeSearcher]:
    with fake_searcher(events_url=f"file://{tmp_path}/events.jsonl") as found:
        yield found


@pytest.fixture
def client(made: FakeSearcher) -> Iterator[TestClient]:
    with described_client(made.app(), "http://localhost") as client:
        yield client


def letter(image_id: str, reason: RejectionReason, detail: str, at_ms: int, *, keyed: bool = False) -> DeadLetter:
    """Of an event as Kafka has it, with a key, or as a file has it."""
    key, value = (image_id.encode(), b"no JSON") if keyed else (None, json.dumps({"image_id": image_id}).encode())
    return DeadLetter(Record("0", at_ms, at_ms + 1, None, key, value), reason, detail, None, at_ms)


def refuse(settings: Settings, letters: Sequence[DeadLetter]) -> None:
    with closing(open_dead_letter_writer(settings)) as writer:
        writer.append([to_new_record(one) for one in letters])


def explained(client: TestClient, image_id: str) -> dict[str, Any]:
    reply = client.get("/v1/explain", params={"code": SEED, "image_id": image_id})
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def test_an_image_whose_events_were_refused_is_told_the_last_reason(made: FakeSearcher, client: TestClient) -> None:
    assert explained(client, "mug")["verdict"] == "not_indexed"
    refuse(
        made.settings,
        [
            letter("mug", RejectionReason.IMAGE_UNAVAILABLE, "timed out", 1_000),
            letter("mug", RejectionReason.IMAGE_NOT_FOUND, "the host answers 404", 2_000),
            letter("lamp", RejectionReason.EVENT_INVALID, "no url", 3_000, keyed=True),
        ],
    )
    told = explained(client, "mug")
    assert told["verdict"] == "dead_lettered"
    assert told["dead_letter"] == {
        "reason": "image_not_found",
        "detail": "the host answers 404",
        "at": "1970-01-01T00:00:02.000Z",
    }
    assert "the host answers 404" in told["detail"]
    assert explained(client, "lamp")["dead_letter"]["reason"] == "event_invalid"
    assert explained(client, "chair")["verdict"] == "not_indexed"


def test_the_page_says_why_an_image_was_refused(made: FakeSearcher, client: TestClient) -> None:
    refuse(made.settings, [letter("mug", RejectionReason.IMAGE_NOT_FOUND, "the host <b>answers</b> 404", 1_000)])
    page = client.get("/", params={"code": SEED, "explain": "mug"}).text
    assert "Refused" in page
    assert "the host &lt;b&gt;answers&lt;/b&gt; 404" in page


def test_looking_ends_when_the_time_is_over(made: FakeSearcher) -> None:
    refuse(made.settings, [letter("mug", RejectionReason.EVENT_INVALID, f"{n}", n) for n in range(10)])
    refusals = Refusals(lambda: open_dead_letter_scanner(made.settings), 3.5, clock=itertools.count().__next__)
    assert refusals.last_of("mug") == (Refusal("event_invalid", "3", 3), False)
    in_time = Refusals(lambda: open_dead_letter_scanner(made.settings), 100, clock=itertools.count().__next__)
    assert in_time.last_of("mug") == (Refusal("event_invalid", "9", 9), True)


def test_what_could_not_be_looked_at_is_said(
    made: FakeSearcher, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Refusals, image_id: str) -> tuple[Refusal | None, bool]:
        raise EventLogUnavailableError(f"no brokers to ask about {image_id}")

    monkeypatch.setattr(Refusals, "last_of", away)
    told = explained(client, "mug")
    assert (told["verdict"], told["dead_letter"]) == ("not_indexed", None)
    assert "could not be told now" in told["detail"]
