"""Makes the client anew: the OpenAPI description from the searcher's routes, the package from the description."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from searcher.web import api_description

HERE = Path(__file__).parent
PROJECT = HERE.parents[1] / "pyproject.toml"
DESCRIPTION = "openapi.json"
PACKAGE = "catalogue_client"
# Not what a version of ruff takes for its default: some of that breaks types.
_MENDED = "F401,I,UP"


def make_client(folder: Path) -> None:
    """Write the description and the package into `folder`, in place of those that are there."""
    description, package = folder / DESCRIPTION, folder / PACKAGE
    description.write_text(json.dumps(api_description(), indent=2, ensure_ascii=False) + "\n")
    shutil.rmtree(package, ignore_errors=True)
    where = ("--path", description, "--output-path", package, "--config", HERE / "generator.yml")
    _run("openapi_python_client", "generate", "--meta", "none", "--fail-on-warning", *where)
    (package / "py.typed").touch()
    _run("ruff", "check", "--quiet", "--isolated", "--target-version", "py311", "--select", _MENDED, "--fix", package)
    _run("ruff", "format", "--quiet", "--config", PROJECT, package)


def _run(module: str, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", module, *map(str, arguments)], check=True)


if __name__ == "__main__":
    make_client(HERE)
