"""Templates and assets of the page: loaded once, written with autoescape."""

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from searcher.page.docs import inline, prose
from searcher.people import person_asking

_ASSET_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Asset:
    """Style, script or icon, with the start of its SHA-256."""

    content: bytes
    media_type: str
    digest: str


def _load_assets() -> dict[str, Asset]:
    files = (file for file in resources.files("searcher.page").iterdir() if file.name.endswith(tuple(_ASSET_TYPES)))
    return {file.name: _asset(file.name, file.read_bytes()) for file in files}


def _asset(name: str, content: bytes) -> Asset:
    return Asset(content, _ASSET_TYPES[name.rpartition(".")[2]], hashlib.sha256(content).hexdigest()[:16])


def _asset_path(name: str) -> str:
    return f"/assets/{ASSETS[name].digest}/{name}"


def render(template: str, **values: Any) -> str:
    """A template with values, as HTML. The frame shows who asks."""
    return _TEMPLATES.get_template(template).render(asset=_asset_path, asking=person_asking(), **values)


ASSETS = _load_assets()
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"inline": inline, "prose": prose}
