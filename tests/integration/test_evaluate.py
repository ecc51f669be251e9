"""`searcher evaluate` as it is run, on a slice for each recipe, and `searcher distance`.

The searcher's command runs in this process, which imports its libraries once for all; the indexer's are processes.
"""

import contextlib
import io
import json
import os
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from searcher.__main__ import main
from shared.errors import EXIT_CONFIGURATION
from tests.evaluations import average_precision
from tests.pictures import draw
from tests.programs import ROOT, Programs, programs

pytestmark = pytest.mark.data

K = 10
SHOP = ["searcher", "evaluate", "--dataset=shop", "--methods=float,itq:32", "--k=5", "--knn=3"]
# Of each recipe a variant, with few bits and, where its network takes seconds to open, another network in its place.
SLICES = {
    "cifar10-elasticsearch": ["--variants=bovw", "--methods=float,float-pca:8,itq:32"],
    "faces": ["--variants=efficientnet", "--methods=float,learned:32", "--embedder=onnx:{network}"],
    "deepfashion": ["--variants=resnet50", "--methods=float,itq:16", "--embedder=onnx:{network}"],
    # The one that tunes a network, which ONNX can't be.
    "identical-images": [
        "--variants=bit",
        "--methods=float,itq:16,tuned:16",
        "--embedder=timm:test_resnet.r160_in1k",
        "--weights=random:1",
    ],
    # The recipe holds queries out for its learned codes; so few pictures would leave them nothing relevant.
    "near-duplicates": [
        "--variants=vgg16-fc8",
        "--methods=float,hyperplanes:512",
        "--queries=all",
        "--embedder=onnx:{network}",
    ],
}


@dataclass(frozen=True)
class Told:
    """What a command of the searcher gave."""

    code: int
    out: str
    err: str


def told_by(*arguments: str) -> Told:
    """Run a command here."""
    assert arguments[0] == "searcher"
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(list(arguments[1:]))
    return Told(code, out.getvalue(), err.getvalue())


def report_of(*arguments: str) -> Any:
    """What a command that must succeed prints with --json."""
    told = told_by(*arguments, "--json")
    assert told.code == 0, told.err
    return json.loads(told.out)


@contextlib.contextmanager
def at(run: Programs) -> Iterator[None]:
    """This process with the programs' folder and settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(run.folder)
        for name in [name for name in os.environ if name.startswith("CATALOGUE_")]:
            patch.delenv(name)
        for name, value in run.environment().items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """An empty folder that commands run in."""
    with at(programs(tmp_path)):
        yield tmp_path


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder with two classes of pictures, `shop`, their evaluation, `out`, and its report."""
    folder = tmp_path_factory.mktemp("evaluated")
    write_classes(folder / "shop")
    with at(programs(folder)):
        return folder, report_of(*SHOP, "--out=out")


@pytest.fixture
def beside(evaluated: tuple[Path, Any]) -> Iterator[Path]:
    """The same folder, and commands run in it with the store of its code."""
    folder, _ = evaluated
    with at(programs(folder, store_url=f"sqlite://{folder}/out/work/itq-32/catalogue.db")):
        yield folder


def evaluate(recipe: str, data: Path) -> dict[str, Any]:
    """The report of a recipe's slice, in the folder `out`."""
    file = ROOT / "deploy" / "recipes" / f"{recipe}.toml"
    network = data / "models" / "mobilenet_v1_075_224.onnx"
    dataset = [f"--dataset={data / 'data' / 'clothing'}"] if recipe == "faces" else []
    report = report_of(
        "searcher",
        "evaluate",
        f"--recipe={file}",
        f"--data={data / 'data'}",
        "--limit=24",
        f"--k={K}",
        "--out=out",
        *dataset,
        *(option.format(network=network) for option in SLICES[recipe]),
    )
    assert isinstance(report, dict)
    return report


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
def test_a_slice_of_every_recipe_runs_and_reports_what_its_files_say(here: Path, data_dir: Path, recipe: str) -> None:
    report = evaluate(recipe, data_dir)
    out = here / "out"
    assert json.loads((out / "report.json").read_text()) == report
    (sizes,) = report["variants"].values()
    assert sizes["gallery"] == 24
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


def test_the_same_command_goes_on_and_another_one_is_refused(beside: Path, evaluated: tuple[Path, Any]) -> None:
    _, first = evaluated
    ranking = beside / "out" / "work" / "itq-32" / "ranking.npz"
    asked = ranking.stat().st_mtime_ns
    again = report_of(*SHOP, "--out=out")
    assert ranking.stat().st_mtime_ns == asked
    assert without_commands(again) == without_commands(first)
    assert set(first["methods"][1]["knn"]["by_class"]) == {"blue", "red"}
    refused = told_by(*SHOP, "--out=out", "--seed=1")
    assert refused.code == EXIT_CONFIGURATION
    assert "other options" in refused.err
    # Two methods can't share a store.
    shared = told_by("searcher", "evaluate", "--dataset=shop", "--methods=itq:16,itq:32", "--store-url=sqlite:a.db")
    assert (shared.code, "one encoder" in shared.err) == (EXIT_CONFIGURATION, True)


def test_distances_of_pairs_and_sets_are_told_with_a_threshold(beside: Path) -> None:
    sets = report_of("searcher", "distance", "shop", "shop", "--float", "--false-accept-rate=0.5")
    # No picture is compared with itself.
    assert len(sets["pairs"]) == 16 * 15
    assert (sets["unit"], sets["encoder"]) == ("1 - cosine", None)
    assert (sets["roc"]["pairs_of_the_same"], sets["roc"]["pairs_of_others"]) == (16 * 7, 16 * 8)
    assert sets["roc"]["threshold"]["false_accept_rate"] <= 0.5
    # Neither folder tells classes apart, so there is nothing to learn of a threshold from a pair.
    one, other = "shop/red/0.png", "shop/red/1.png"
    assert "roc" not in report_of("searcher", "distance", one, other, "--float")
    refused = told_by("searcher", "distance", one, other, f"--store-url=sqlite://{beside}/empty.db")
    assert (refused.code, "no encoder is active" in refused.err) == (EXIT_CONFIGURATION, True)
    (pair,) = report_of("searcher", "distance", one, other)["pairs"]
    assert pair["distance"] in range(33)
    assert "of the same label" in told_by("searcher", "distance", "shop/red", "shop").out


@pytest.mark.containers
def test_codes_and_floats_in_elasticsearch_are_found_as_here(
    beside: Path, evaluated: tuple[Path, Any], clean_elasticsearch_url: str
) -> None:
    _, in_sqlite = evaluated
    options = ["--methods=float-elasticsearch,itq:32", f"--store-url={clean_elasticsearch_url}", "--out=there"]
    there = report_of(*(option for option in SHOP if not option.startswith("--methods")), *options)
    assert [one["measures"] for one in there["methods"]] == [one["measures"] for one in in_sqlite["methods"]]
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
