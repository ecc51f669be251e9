"""Reading the audit log: over HTTP and by the command."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from searcher.__main__ import main
from tests.described import described_client
from tests.searchers import FakeSearcher, fake_searcher, image

BASE = "http://localhost"


@pytest.fixture
def made(tmp_path: Path) -> Iterator[FakeSearcher]:
    with fake_searcher(workbench_url=f"sqlite://{tmp_path}/workbench.db") as found:
        yield found


@pytest.fixture
def client(made: FakeSearcher) -> Iterator[TestClient]:
    app = made.app()
    with described_client(app, BASE) as client:
        yield client
    app.state.services.casework.desk.close()


@pytest.fixture
def case_ids(made: FakeSearcher, client: TestClient) -> list[str]:
    """Two cases, of which the first was exported, then the second."""
    made.put(image("mug"))
    found = []
    for name in ("Mugs", "Lamps"):
        case_id = client.post("/v1/cases", json={"name": name, "seeds": [{"image_id": "mug"}]}).json()["case_id"]
        assert client.get(f"/v1/cases/{case_id}/export", params={"format": "csv"}).status_code == 200
        found.append(case_id)
    return found


def entries(client: TestClient, **parameters: Any) -> tuple[list[tuple[str, str | None]], int | None]:
    reply = client.get("/v1/audit", params=parameters)
    assert reply.status_code == 200, reply.text
    found = reply.json()
    return [(one["action"], one["case_id"]) for one in found["entries"]], found["before"]


def test_the_log_is_read_from_its_end_page_by_page(client: TestClient, case_ids: list[str]) -> None:
    first, second = case_ids
    everything, end = entries(client)
    assert end is None
    assert [one for one in everything if one[0] == "exported"] == [("exported", second), ("exported", first)]
    page, before = entries(client, limit=1)
    rest, _ = entries(client, before=before)
    assert page + rest == everything
    of_first, _ = entries(client, case_id=first)
    assert of_first == [one for one in everything if one[1] == first]


def test_an_entry_tells_who_did_what(client: TestClient, case_ids: list[str]) -> None:
    newest = client.get("/v1/audit", params={"limit": 1}).json()["entries"][0]
    assert (newest["who"], newest["action"], newest["case_id"]) == ("local", "exported", case_ids[1])
    assert newest["detail"]["format"] == "csv"


def test_the_command_shows_the_newest_entries(
    made: FakeSearcher, case_ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    url = made.settings.workbench_url
    assert main(["audit", "--workbench-url", url, "--count", "1", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["case_id"] == case_ids[1]
    assert main(["audit", "--workbench-url", url, "--case", case_ids[0], "--all"]) == 0
    shown = capsys.readouterr().out
    assert "exported" in shown
    assert case_ids[1] not in shown
