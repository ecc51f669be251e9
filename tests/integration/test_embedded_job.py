"""The whole job with the real programs on the embedded default."""

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.pictures import jpeg_picture
from tests.programs import Programs, get_json, get_status, metric, programs, until


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
    with demo.serving() as base:
        newest = get_json(f"{base}/v1/images?limit=5")
        image_id = newest["images"][0]["image_id"]
        reply = get_json(f"{base}/v1/search", {"seeds": [{"image_id": image_id}], "k": 10})
        assert reply["complete"]
        assert reply["hits"][0]["distance"] == 0
        assert image_id in {hit["image_id"] for hit in reply["hits"]}
        assert [(hit["distance"], hit["image_id"]) for hit in reply["hits"]] == sorted(
            (hit["distance"], hit["image_id"]) for hit in reply["hits"]
        )
    printed = demo.json("searcher", "query", "--id", image_id, "-k", "10")
    assert printed["hits"] == reply["hits"]


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


def events_for_killing(generator: random.Random, now: datetime) -> tuple[list[dict[str, object]], dict[str, int]]:
    """Shuffled events of 60 images: updates, repeats, deletes; and the version of each that must be visible."""
    events: list[dict[str, object]] = []
    visible: dict[str, int] = {}
    for number in range(60):
        image_id = f"image/{number}"
        versions = generator.randint(1, 5)
        for version in range(1, versions + 1):
            event: dict[str, object] = {
                "image_id": image_id,
                "version": version,
                "event_time": (now - timedelta(days=versions - version)).isoformat(),
            }
            if generator.random() < 0.2:
                event["deleted"] = True
                visible.pop(image_id, None)
            else:
                event["image"] = {"bytes": jpeg_picture(generator.randrange(2**31))}
                visible[image_id] = version
            events += [event] * generator.randint(1, 2)
    generator.shuffle(events)
    return events, visible


def kill_after(job: Programs, records: int) -> None:
    """Start a worker and kill it when it has read so many records, or all there are."""
    port = job.settings["metrics_port"]

    def reached() -> bool:
        consumed = metric(port, "catalogue_indexer_records_consumed_total")
        in_flight = metric(port, "catalogue_indexer_in_flight_records")
        waiting = metric(port, "catalogue_indexer_lag_records")
        return consumed >= records or (consumed > 0 and in_flight == waiting == 0)

    with job.running("indexer", "run") as worker:
        until(reached, 60, "work", worker)
        worker.kill()
        worker.wait(30)


def all_visible(base: str) -> dict[str, int]:
    """Image ids and versions of every visible image, each met once."""
    found: dict[str, int] = {}
    cursor = ""
    while True:
        page = get_json(f"{base}/v1/images?limit=50{cursor}")
        for image in page["images"]:
            assert image["image_id"] not in found
            found[image["image_id"]] = get_json(f"{base}/v1/images/{image['image_id']}")["version"]
        if not page.get("cursor"):
            return found
        cursor = f"&cursor={page['cursor']}"
