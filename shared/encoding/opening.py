"""The one place where the embedder's setting becomes an object. A library is imported when it is needed."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from shared.encoding.embedder import Embedder, EmbedderSpec
from shared.errors import ConfigurationError
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.encoding.network import Backbone

BACKBONES = ("timm", "torchvision")
"""Libraries of networks."""

_COMPUTING = ("numpy", "torch", "torchvision", "timm", "onnxruntime", "opencv-python-headless")
"""Libraries whose releases may compute differently, in the last bits."""


def open_embedder(settings: Settings, stored: EmbedderSpec | None = None) -> Embedder:
    """The embedder that the settings name, ready to use.

    `stored` is the spec of an encoder that is fitted already: its number format is taken, and weights other than its
    are refused. Raises ConfigurationError (an unknown name, a damaged or wrong weights file, a missing library) and
    DependencyUnavailableError (ImageNet weights that are not in the cache and can't be downloaded now).

    With `CATALOGUE_EMBEDDING_CACHE` rows are kept in a file and looked up there: see `shared.encoding.embedding_cache`.
    """
    check_embedder(settings)
    embedder = _open(settings, stored)
    if settings.embedding_cache is not None:
        from shared.encoding.embedding_cache import CachedEmbedder, EmbeddingCache  # noqa: PLC0415

        cache = EmbeddingCache(settings.embedding_cache, settings.embedding_cache_bytes_max)
        embedder = CachedEmbedder(embedder, cache, _conditions(settings))
    if settings.colour_weight > 0:
        from shared.encoding.colour import ColourEmbedder  # noqa: PLC0415

        embedder = ColourEmbedder(embedder, settings.colour_weight)
    return embedder


def _open(settings: Settings, stored: EmbedderSpec | None) -> Embedder:
    family, _, rest = settings.embedder.partition(":")
    if family == "vgg16":
        from shared.encoding.vgg16 import open_vgg16  # noqa: PLC0415 (torch takes seconds to import)

        return open_vgg16(rest or "fc7", settings, stored)
    if family in BACKBONES:
        from shared.encoding.backbone import open_backbone  # noqa: PLC0415

        return open_backbone(family, rest, settings, stored)
    if family == "classic":
        from shared.encoding.classic import ClassicEmbedder  # noqa: PLC0415

        return ClassicEmbedder()
    if family == "bovw":
        opened: Embedder = bag_of_words().open_bag_of_words(rest, settings, stored)
        return opened
    return _open_onnx(rest, settings, stored)


def _conditions(settings: Settings) -> str:
    """What can turn the last bit of a row beside its embedder's spec and batch size."""
    device = "cpu"
    if settings.embedder.partition(":")[0] in ("vgg16", *BACKBONES):
        from shared.encoding.network import device_name  # noqa: PLC0415

        device = device_name(settings.device)
    return f"{platform.machine()} {device} {settings.threads} {[_version(name) for name in _COMPUTING]}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def open_backbone_to_train(settings: Settings) -> "Backbone":
    """The network that the settings name, with its weights, to go on training it; errors as in `open_embedder`."""
    check_embedder(settings)
    family, _, rest = settings.embedder.partition(":")
    if family == "vgg16":
        from shared.encoding.vgg16 import build_vgg16  # noqa: PLC0415

        return build_vgg16(rest or "fc7", settings.weights, None)
    if family in BACKBONES:
        from shared.encoding.backbone import build_backbone  # noqa: PLC0415

        return build_backbone(family, rest, settings.weights)
    raise ConfigurationError(
        f"CATALOGUE_EMBEDDER: {settings.embedder!r} can't be trained; vgg16, torchvision:NAME and timm:NAME can"
    )


def check_embedder(settings: Settings) -> None:
    """Refuse at once what `open_embedder` would refuse after seconds, or after a wait for the store.

    ConfigurationError for an unknown name and for a file that is missing; no library is imported and nothing is read.
    """
    family, _, rest = settings.embedder.partition(":")
    if (family == "vgg16" and rest in ("", "fc7", "fc8")) or (family in BACKBONES and rest):
        if settings.weights != "imagenet" and not settings.weights.startswith("random:"):
            _check_file("CATALOGUE_WEIGHTS", Path(settings.weights))
    elif family == "onnx" and rest:
        _check_file("CATALOGUE_EMBEDDER", Path(rest.partition("#")[0]))
    elif family == "bovw" and rest:
        _check_file("CATALOGUE_EMBEDDER", Path(rest))
    elif settings.embedder != "classic":
        raise ConfigurationError(
            f"CATALOGUE_EMBEDDER: {settings.embedder!r} is none of vgg16, vgg16:fc8, torchvision:NAME[#layer], "
            "timm:NAME, onnx:PATH[#output], classic, bovw:PATH"
        )


def _check_file(setting: str, path: Path) -> None:
    try:
        path.stat()
    except OSError as error:
        raise ConfigurationError(f"{setting}: {path}: {error.strerror}") from error


def _open_onnx(location: str, settings: Settings, stored: EmbedderSpec | None) -> Embedder:
    try:
        from shared.encoding.onnx import open_onnx  # noqa: PLC0415 (an optional library)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"CATALOGUE_EMBEDDER: onnx networks need the extra `onnx`: pip install 'catalogue-indexer[onnx]' ({error})"
        ) from error
    return open_onnx(location, settings, stored)


def bag_of_words() -> ModuleType:
    """The module `shared.encoding.bag_of_words`; ConfigurationError where its extra is missing."""
    try:
        from shared.encoding import bag_of_words  # noqa: PLC0415 (an optional library)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"bags of visual words need the extra `bovw`: pip install 'catalogue-indexer[bovw]' ({error})"
        ) from error
    return bag_of_words
