"""The one place where the embedder's setting becomes an object. A library is imported when it is needed."""

from shared.encoding.embedder import Embedder, EmbedderSpec
from shared.errors import ConfigurationError
from shared.settings import Settings


def open_embedder(settings: Settings, stored: EmbedderSpec | None = None) -> Embedder:
    """The embedder that the settings name, ready to use.

    `stored` is the spec of an encoder that is fitted already: its number format is taken, and weights other than its
    are refused. Raises ConfigurationError (an unknown name, a damaged or wrong weights file, a missing library) and
    DependencyUnavailableError (ImageNet weights that are not in the cache and can't be downloaded now).
    """
    family, _, rest = settings.embedder.partition(":")
    if family == "vgg16" and rest in ("", "fc7", "fc8"):
        from shared.encoding.vgg16 import open_vgg16  # noqa: PLC0415 (torch takes seconds to import)

        return open_vgg16(rest or "fc7", settings, stored)
    if settings.embedder == "classic":
        from shared.encoding.classic import ClassicEmbedder  # noqa: PLC0415

        return ClassicEmbedder()
    if family == "onnx" and rest:
        return _open_onnx(rest, settings, stored)
    raise ConfigurationError(
        f"CATALOGUE_EMBEDDER: {settings.embedder!r} is none of vgg16, vgg16:fc8, classic, onnx:PATH, onnx:PATH#output"
    )


def _open_onnx(location: str, settings: Settings, stored: EmbedderSpec | None) -> Embedder:
    try:
        from shared.encoding.onnx import open_onnx  # noqa: PLC0415 (an optional library)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"CATALOGUE_EMBEDDER: onnx networks need the extra `onnx`: pip install 'catalogue-indexer[onnx]' ({error})"
        ) from error
    return open_onnx(location, settings, stored)
