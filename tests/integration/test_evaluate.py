"""`searcher evaluate` as it is run, on a slice for each recipe, and `searcher distance`."""

import json
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.evaluations import average_precision
from tests.pictures import draw
from tests.programs import ROOT, Programs, programs

pytestmark = pytest.mark.data

K = 10
# Of each recipe the variants that run here, with weights at random where there are no others, and small sizes.
SLICES = {
    "cifar10-elasticsearch": ["--variants=bovw", "--methods=float,float-pca:8,itq:32"],
    "faces": ["--variants=efficientnet", "--methods=float,learned:32", "--weights=random:0"],
    "deepfashion": ["--variants=mobilenet", "--methods=float,itq:16", "--embedder=onnx:{network}"],
    "identical-images": ["--variants=bit", "--methods=float,itq:16", "--weights=random:0", "--limit=8"],
    # The recipe holds queries out for its learned codes; so few pictures would leave them nothing relevant.
    "near-duplicates": [
        "--variants=vgg16-fc8",
        "--methods=float,hyperplanes:4096",
        "--queries=all",
        "--weights=random:0",
        "--limit=16",
    ],
}


def evaluate(run: Programs, recipe: str, data: Path, *more: str) -> dict[str, Any]:
    """The report of a recipe's slice, in the folder `out`."""
    network = data / "models" / "mobilenet_v1_075_224.onnx"
    options = [option.format(network=network) for option in SLICES[recipe]]
    dataset = [f"--dataset={data / 'data' / 'clothing'}"] if recipe == "faces" else []
    told = run.json(
        "searcher",
        "evaluate",
        f"--recipe={ROOT / 'deploy' / 'recipes' / recipe}.toml",
        f"--data={data / 'data'}",
        "--limit=24",
        f"--k={K}",
        "--out=out",
        *dataset,
        *options,
        *more,
    )
    assert isinstance(told, dict)
    return told


def average_precisions(folder: Path, run: str) -> list[float]:
    """AP of each query of a TREC run, divided by min(k, R), read from the files by hand."""
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "qrels.txt").read_text().splitlines():
        query, _, image, _ = line.split()
        relevant[query].add(image)
    hits: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for line in (folder / run).read_text().splitlines():
        query, _, image, rank, _, _ = line.split()
        hits[query].append((int(rank), image))
    return [
        average_precision([image in wanted for _, image in sorted(hits[query])], min(K, len(wanted)))
        for query, wanted in relevant.items()
    ]


@pytest.mark.parametrize("recipe", SLICES)
def test_a_slice_of_every_recipe_runs_and_reports_what_its_files_say(
    tmp_path: Path, data_dir: Path, recipe: str
) -> None:
    report = evaluate(programs(tmp_path), recipe, data_dir)
    out = tmp_path / "out"
    assert json.loads((out / "report.json").read_text()) == report
    (sizes,) = report["variants"].values()
    assert sizes["gallery"] in (8, 16, 24)
    assert sizes["refused"] == 0
    for method in report["methods"]:
        name = method["method"].replace(":", "-")
        by_hand = average_precisions(out / "trec" / method["variant"], f"run-{name}.txt")
        assert len(by_hand) == sizes["queries"]
        measured = method["measures"][f"AP@{K}/min({K},R)"]
        assert measured["mean"] == pytest.approx(sum(by_hand) / len(by_hand), abs=1e-9)
        assert measured["low"] <= measured["mean"] <= measured["high"]
        for words in ("best", "worst"):
            with Image.open(out / "grids" / f"{method['variant']}-{name}-{words}.jpg") as grid:
                assert grid.width > grid.height / 2 > 0
    plots = {path.stem for path in (out / "plots").glob("*.svg")}
    assert plots == {"precision-recall", "distances", "quality-against-size", "recall-against-radius", "bits"}
    told = (out / "report.md").read_text()
    assert all(f"| {method['variant']} {method['method']} |" in told for method in report["methods"])
    assert all(f"(plots/{plot}.svg)" in told for plot in plots)


def test_the_same_command_goes_on_and_another_one_is_refused(tmp_path: Path) -> None:
    run = programs(tmp_path)
    write_classes(tmp_path / "shop")
    options = ["searcher", "evaluate", "--dataset=shop", "--methods=float,itq:16", "--k=3", "--knn=3", "--out=out"]
    first = run.json(*options)
    ranking = tmp_path / "out" / "work" / "itq-16" / "ranking.npz"
    asked = ranking.stat().st_mtime_ns
    again = run.json(*options)
    assert ranking.stat().st_mtime_ns == asked
    assert without_commands(again) == without_commands(first)
    assert set(first["methods"][1]["knn"]["by_class"]) == {"blue", "red"}
    refused = run.run(*options, "--seed=1")
    assert refused.returncode == 2
    assert "other options" in refused.stderr
    # Two methods can't share a store.
    shared = run.run("searcher", "evaluate", "--dataset=shop", "--methods=itq:16,itq:32", "--store-url=sqlite:a.db")
    assert (shared.returncode, "one encoder" in shared.stderr) == (2, True)


def test_distances_of_pairs_and_sets_are_told_with_a_threshold(tmp_path: Path) -> None:
    run = programs(tmp_path)
    write_classes(tmp_path / "shop")
    sets = run.json("searcher", "distance", "shop", "shop", "--float", "--false-accept-rate=0.5")
    # No picture is compared with itself.
    assert len(sets["pairs"]) == 16 * 15
    assert (sets["unit"], sets["encoder"]) == ("1 - cosine", None)
    assert (sets["roc"]["pairs_of_the_same"], sets["roc"]["pairs_of_others"]) == (16 * 7, 16 * 8)
    assert sets["roc"]["threshold"]["false_accept_rate"] <= 0.5
    # Neither folder tells classes apart, so there is nothing to learn of a threshold from a pair.
    one, other = "shop/red/0.png", "shop/red/1.png"
    assert "roc" not in run.json("searcher", "distance", one, other, "--float")
    refused = run.run("searcher", "distance", one, other)
    assert (refused.returncode, "no encoder is active" in refused.stderr) == (2, True)
    run.ok("indexer", "produce", "--images=shop", "--inline")
    run.ok("indexer", "fit", "--bits=16")
    (pair,) = run.json("searcher", "distance", one, other)["pairs"]
    assert pair["distance"] in range(17)
    assert "of the same label" in run.ok("searcher", "distance", "shop/red", "shop")


@pytest.mark.containers
def test_codes_and_floats_in_elasticsearch_are_found_as_here(tmp_path: Path, clean_elasticsearch_url: str) -> None:
    run = programs(tmp_path)
    write_classes(tmp_path / "shop")
    options = ["searcher", "evaluate", "--dataset=shop", "--k=5"]
    here = run.json(*options, "--methods=float,itq:32", "--out=here")
    there = run.json(
        *options, "--methods=float-elasticsearch,itq:32", "--out=there", f"--store-url={clean_elasticsearch_url}"
    )
    assert [one["measures"] for one in there["methods"]] == [one["measures"] for one in here["methods"]]
    assert there["methods"][0]["recall_of_float"]["mean"] == 1.0
    with urllib.request.urlopen(f"{clean_elasticsearch_url.replace('elasticsearch', 'http')}/_all") as reply:
        left = list(json.load(reply))
    assert left
    assert not [name for name in left if name.startswith("evaluation")]


def write_classes(folder: Path) -> None:
    """Two classes of eight pictures each."""
    for place in range(16):
        path = folder / ("red" if place % 2 else "blue") / f"{place // 2}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(64, 48 + 8 * (place % 2), seed=place).save(path)


def without_commands(report: Mapping[str, Any]) -> dict[str, Any]:
    """All that does not tell how it was started."""
    return {name: value for name, value in report.items() if name != "commands"}
