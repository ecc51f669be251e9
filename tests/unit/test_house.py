"""The rules of the house: who imports whom, who reads the environment, and documents that say what the code does."""

import ast
import importlib.metadata
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from shared.metrics import IndexerMetrics, SearcherMetrics, VerifyMetrics
from shared.settings import Settings, settings_table

ROOT = Path(__file__).parents[2]
PACKAGES = ("shared", "indexer", "searcher")
# Each client library has one module that imports it and translates its errors; SQLite has one for each kind of file.
# What computes with PyTorch lies in these folders alone.
CLIENTS = {
    "kafka": "shared/event_log/kafka.py",
    "elasticsearch": "shared/store/elasticsearch.py",
    "elastic_transport": "shared/store/elasticsearch.py",
    "aiohttp": "shared/images/fetcher.py",
    "sqlite3": "shared/store/sqlite.py shared/encoding/embedding_cache.py",
    "faiss": "shared/hamming_scan.py",
    "pdqhash": "shared/encoding/copy_code_pdq.py",
    "ir_measures": "searcher/evaluation/measures.py",
    "matplotlib": "searcher/evaluation/plots.py",
    "scipy": "searcher/workbench/estimating.py searcher/duplicates/finding.py",
    "alembic": "searcher/workbench/database.py searcher/workbench/migrations/",
    # One module for each subject; `database.py` alone opens and translates errors.
    "sqlalchemy": "searcher/workbench/",
    "standardwebhooks": "searcher/watching/webhooks.py",
    "onnxruntime": "shared/encoding/onnx.py",
    "torch": "shared/encoding/ indexer/training/",
    "torchvision": "shared/encoding/vgg16.py shared/encoding/backbone.py",
    "cv2": "shared/encoding/bag_of_words.py",
    "timm": "shared/encoding/backbone.py",
    "safetensors": "shared/encoding/network_weights.py",
}


def sources() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("shared", ("indexer", "searcher")),
        ("indexer", ("searcher",)),
        ("searcher", ("indexer",)),
    ],
)
def test_packages_import_in_one_direction(package: str, forbidden: tuple[str, ...]) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in imports_of(path)
        if name.split(".")[0] in forbidden
    ]
    assert wrong == []


def test_every_package_is_named_for_installation() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    there = {
        path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in sources() if path.name == "__init__.py"
    }
    assert set(named) == there


def test_a_client_library_is_imported_in_one_module() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources()
        for name in imports_of(path)
        if name.split(".")[0] in CLIENTS
        and not path.relative_to(ROOT).as_posix().startswith(tuple(CLIENTS[name.split(".")[0]].split()))
    ]
    assert wrong == []


def test_only_the_settings_read_the_environment() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if re.search(r"os\.environ|os\.getenv|getenv\(", path.read_text())
    ]
    # The decoder hands its children the loader's search path, and nothing else of the environment.
    assert readers == ["shared/images/decoder.py", "shared/settings/__init__.py"]


def test_no_other_distribution_claims_our_package_names() -> None:
    claims = importlib.metadata.packages_distributions()
    assert {name: set(claims.get(name, [])) for name in PACKAGES} == {name: {"catalogue-indexer"} for name in PACKAGES}


def test_the_readme_lists_every_setting_as_the_code_does() -> None:
    readme = (ROOT / "README.md").read_text()
    assert settings_table() in readme, "replace the README's table by the output of `python -m shared.settings`"


def test_env_example_names_only_settings_that_exist() -> None:
    names = re.findall(r"^#?\s*(CATALOGUE_[A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert names
    assert [name for name in names if name.removeprefix("CATALOGUE_").lower() not in Settings.model_fields] == []


def test_alerts_and_the_runbook_name_only_metrics_that_exist() -> None:
    registry = CollectorRegistry()
    IndexerMetrics(registry)
    SearcherMetrics(registry)
    VerifyMetrics(registry)
    known = {family.name for family in registry.collect()}
    for name in ("deploy/alerts.yml", "deploy/README.md", "README.md"):
        for metric in re.findall(r"\bcatalogue_(?:indexer|searcher|verify)_[a-z_]+", (ROOT / name).read_text()):
            assert re.sub(r"_(total|bucket|sum|count|created)$", "", metric) in known, f"{name}: {metric}"


def test_the_readme_tells_every_metric() -> None:
    registry = CollectorRegistry()
    IndexerMetrics(registry)
    SearcherMetrics(registry)
    VerifyMetrics(registry)
    readme = (ROOT / "README.md").read_text()
    assert [family.name for family in registry.collect() if family.name not in readme] == []
