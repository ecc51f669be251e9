"""The whole job through a real Kafka and a real Elasticsearch, beside the embedded default."""

import csv
import random
from pathlib import Path
from typing import Any

import pytest

from tests.programs import Programs, get_json, get_status, metric, programs, until
from tests.tcp_proxy import TcpProxy

pytestmark = pytest.mark.containers


@pytest.mark.data
def test_the_clothing_pictures_give_the_same_hits_on_both_and_rank_as_well_as_known(
    real: Programs, tmp_path_factory: pytest.TempPathFactory, data_dir: Path
) -> None:
    network = {"embedder": f"onnx:{data_dir}/models/mobilenet_v1_075_224.onnx#embedding"}
    table = data_dir / "data" / "clothing" / "items.csv"
    with table.open() as rows:
        image_ids = [row["path"] for row in csv.DictReader(rows)]
    embedded = programs(tmp_path_factory.mktemp("embedded"), **network)
    real.settings |= network
    seeds = random.Random(1).sample(image_ids, 300)
    replies = []
    for job in (real, embedded):
        job.ok("indexer", "produce", "--csv", str(table), "--inline")
        job.ok("indexer", "fit")
        job.ok("indexer", "run", "--until-caught-up")
        with job.serving() as base:
            until(lambda base=base: visible_count(base) == len(image_ids), 30, "the refresh")  # type: ignore[misc]
            replies.append([get_json(f"{base}/v1/search", {"seeds": [{"image_id": seed}], "k": 11}) for seed in seeds])
    assert [ranking(reply) for reply in replies[0]] == [ranking(reply) for reply in replies[1]]
    assert replies[0][0]["encoder"] == replies[1][0]["encoder"]
    # The reference figure for 256 ITQ bits of this network on these pictures is .646.
    assert precision_at_10(replies[0], seeds) >= 0.626


def visible_count(base: str) -> int:
    found, cursor = 0, ""
    while True:
        page = get_json(f"{base}/v1/images?limit=100{cursor}")
        found += len(page["images"])
        if not page.get("cursor"):
            return found
        cursor = f"&cursor={page['cursor']}"


def ranking(reply: dict[str, Any]) -> list[tuple[int, str]]:
    return [(hit["distance"], hit["image_id"]) for hit in reply["hits"]]


def precision_at_10(replies: list[dict[str, Any]], seeds: list[str]) -> float:
    """The share of each seed's ten nearest others that are of its category; the id's first part is the category."""
    shares: list[float] = []
    for reply, seed in zip(replies, seeds, strict=True):
        others = [hit for hit in reply["hits"] if hit["image_id"] != seed][:10]
        shares.append(sum(hit["attributes"]["category"] == seed.split("/")[0] for hit in others) / 10)
    return sum(shares) / len(shares)


def test_a_store_that_is_away_at_the_start_and_later_is_waited_for_and_told_once(real: Programs) -> None:
    """F06: absent at the start, refusing connections later."""
    host, _, port = real.settings["store_url"].removeprefix("elasticsearch://").partition(":")
    real.ok("indexer", "produce", "--demo", "8")
    real.ok("indexer", "fit", "--sample", "20")
    with TcpProxy(host, int(port)) as proxy:
        real.settings["store_url"] = f"elasticsearch://127.0.0.1:{proxy.port}"
        ready = f"http://127.0.0.1:{real.settings['metrics_port']}/readyz"
        with real.running("indexer", "run") as worker:
            until(lambda: told(real, "dependency_away") == 1, 60, "the outage at the start", worker)
            assert get_status(ready) == 503
            proxy.open()
            until(lambda: get_status(ready) == 200, 60, "the worker", worker)
            until(lambda: done(real) == consumed(real) > 0, 60, "the records", worker)
            proxy.cut()
            real.ok("indexer", "produce", "--demo", "9")
            until(lambda: told(real, "dependency_away") == 2, 60, "the later outage", worker)
            assert get_status(ready) == 503
            before = done(real)
            proxy.open()
            until(lambda: done(real) == consumed(real) > before, 60, "the records after it", worker)
        assert told(real, "dependency_away") == told(real, "dependency_back") == 2


def told(job: Programs, event: str) -> int:
    """How often the worker's log has this event."""
    return (job.folder / "indexer.log").read_text().count(f'"event": "{event}"')


def done(job: Programs) -> float:
    return metric(job.settings["metrics_port"], "catalogue_indexer_records_total")


def consumed(job: Programs) -> float:
    return metric(job.settings["metrics_port"], "catalogue_indexer_records_consumed_total")
