"""Makes the client anew: the OpenAPI description from the searcher's routes, the package from the description."""

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from searcher.web import api_description

HERE = Path(__file__).parent
PROJECT = HERE.parents[1] / "pyproject.toml"
DESCRIPTION = "openapi.json"
PACKAGE = "catalogue_client"
# Not what a version of ruff takes for its default: some of that breaks types.
_MENDED = "F401,I,UP"


def make_client(folder: Path) -> None:
    """Write the description and the package into `folder`, in place of those that are there."""
    description = api_description()
    with TemporaryDirectory() as made:
        read, package = Path(made, DESCRIPTION), Path(made, PACKAGE)
        read.write_text(json.dumps(_without_keys(description)))
        where = ("--path", read, "--output-path", package, "--config", HERE / "generator.yml")
        _run("openapi_python_client", "generate", "--meta", "none", "--fail-on-warning", *where)
        (package / "py.typed").touch()
        _run(
            "ruff", "check", "--quiet", "--isolated", "--target-version", "py311", "--select", _MENDED, "--fix", package
        )
        _run("ruff", "format", "-q", "--config", PROJECT, package)
        shutil.rmtree(folder / PACKAGE, ignore_errors=True)
        shutil.copytree(package, folder / PACKAGE)
    (folder / DESCRIPTION).write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n")


def _without_keys(description: dict[str, Any]) -> dict[str, Any]:
    """The same with keys optional, as they are: functions then take a client with a key and one without."""
    kept = copy.deepcopy(description)
    for operations in kept["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    return kept


def _run(module: str, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", module, *map(str, arguments)], check=True)


if __name__ == "__main__":
    make_client(HERE)
