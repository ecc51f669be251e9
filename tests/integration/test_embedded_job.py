"""The whole job with the real programs on the embedded default."""

import base64
import subprocess
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

import pytest
from catalogue_client import Client
from catalogue_client.api.images import images, thumbnail
from catalogue_client.api.search import search
from catalogue_client.models import SearchRequest, Seed

from tests.answers import answered
from tests.programs import ROOT, Programs, get_status, programs, until


@pytest.fixture
def job(tmp_path: Path) -> Programs:
    return programs(tmp_path)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """A demo catalogue of 40 items, indexed."""
    made = programs(tmp_path_factory.mktemp("demo"))
    made.ok("indexer", "produce", "--demo", "40")
    made.ok("indexer", "fit", "--sample", "100")
    made.ok("indexer", "run", "--until-caught-up")
    return made


def test_the_demo_catalogue_is_indexed_and_searched(demo: Programs) -> None:
    with demo.serving() as base, Client(base_url=base) as client:
        image_id = answered(images.sync(client=client, limit=5)).images[0].image_id
        reply = answered(search.sync(client=client, body=SearchRequest(seeds=[Seed(image_id=image_id)], k=10)))
        assert reply.complete
        assert reply.hits[0].distance == 0
        ranking = [(hit.distance, hit.image_id) for hit in reply.hits]
        assert image_id in {hit.image_id for hit in reply.hits}
        assert ranking == sorted(ranking)
    printed = demo.json("searcher", "query", "--id", image_id, "-k", "10")
    assert printed["hits"] == [hit.to_dict() for hit in reply.hits]


def test_the_example_of_the_client_searches_judges_and_watches(demo: Programs, tmp_path: Path) -> None:
    picture = tmp_path / "picture.webp"
    with demo.serving() as base, ExitStack() as stack:
        with Client(base_url=base) as client:
            image_id = answered(images.sync(client=client, limit=1)).images[0].image_id
            picture.write_bytes(answered(thumbnail.sync(image_id, client=client)).payload.read())
        example = stack.enter_context(the_example(picture, "--url", base, "-k", "3", "--alerts", "2"))
        # It may not wait for ever for what does not come.
        deadline = threading.Timer(60, example.kill)
        deadline.start()
        stack.callback(deadline.cancel)
        assert example.stdin
        assert example.stdout
        example.stdin.write("y\nn\n?\n")
        example.stdin.flush()
        said = list(takewhile(lambda line: not line.endswith(" at 0 bits\n"), example.stdout))
        content = base64.b64encode(picture.read_bytes()).decode()
        now = datetime.now(UTC).isoformat()
        demo.append([{"image_id": "a-copy", "event_time": now, "image": {"bytes": content}}])
        demo.ok("indexer", "run", "--until-caught-up")
        assert "a-copy at 0 bits" in example.stdout.read()
        assert example.wait(20) == 0
    assert said[0].startswith("3 hits (exact), case ")
    assert said[-4].endswith("3 judged, 1 relevant\n")
    assert all(line.startswith("next: ") for line in said[-3:])


def the_example(*arguments: str | Path) -> "subprocess.Popen[str]":
    folder = ROOT / "deploy" / "client"
    command = [sys.executable, folder / "example.py", *arguments]
    environment = {"PYTHONPATH": str(folder)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def test_every_record_of_the_demo_has_one_outcome_and_none_is_a_dead_letter(demo: Programs) -> None:
    assert demo.json("indexer", "dead-letters", "list")["dead_letters"] == []


def test_a_second_fit_is_refused_and_names_the_active_encoder(demo: Programs) -> None:
    refused = demo.run("indexer", "fit")
    assert refused.returncode == 2
    assert "classic" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_without_an_encoder_a_run_until_caught_up_names_the_command_to_call(job: Programs) -> None:
    job.ok("indexer", "produce", "--demo", "2")
    refused = job.run("indexer", "run", "--until-caught-up")
    assert refused.returncode == 2
    assert "indexer fit" in refused.stderr


def test_without_an_encoder_worker_and_searcher_wait_unready_and_begin_by_themselves(job: Programs) -> None:
    job.ok("indexer", "produce", "--demo", "3")
    worker_ready = f"http://127.0.0.1:{job.settings['metrics_port']}/readyz"
    searcher_ready = f"http://127.0.0.1:{job.settings['http_port']}/readyz"
    with job.running("indexer", "run") as worker, job.running("searcher", "serve") as searcher:
        until(lambda: get_status(worker_ready) == 503, 60, "the worker", worker)
        until(lambda: get_status(searcher_ready) == 503, 60, "the searcher", searcher)
        job.ok("indexer", "fit", "--sample", "20")
        until(lambda: get_status(worker_ready) == 200, 60, "the worker", worker)
        until(lambda: get_status(searcher_ready) == 200, 60, "the searcher", searcher)
