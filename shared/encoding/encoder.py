"""The encoder: preprocessing + embedder + binarizer as one object with one id, used by both processes.

Its id carries a digest of all that decides a bit (the device aside), stands in every document and reply, and is safe in
URLs and as a field's name. It is fitted once, kept in the store without the weights, and opened from there with the
weights that the local settings name, if they are the right ones.
"""

import hashlib
import io
import json
import re
import zipfile
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.encoding.binarizer import Binarizer, fit_binarizer
from shared.encoding.code_statistics import CodeStatistics, code_statistics
from shared.encoding.embedder import POOLED, Embedder, EmbedderSpec
from shared.encoding.opening import BACKBONES, open_embedder
from shared.encoding.subcode_order import subcode_order
from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.store import StoredEncoder

_DIGEST_CHARACTERS = 12
_NAME_CHARACTERS_MAX = 48


@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """Turns decoded pictures into hash codes. Not thread-safe: one thread at a time."""

    embedder: Embedder
    binarizer: Binarizer
    spec: EmbedderSpec
    """The embedder's as it was when the encoder was fitted: an ONNX file may have another name since."""
    encoder_id: str
    """Of [a-z0-9-] only, for instance `vgg16-fc7-itq-256-1a2b3c4d5e6f`."""
    statistics: CodeStatistics | None = None
    """Of the codes that it was fitted on; None where they are not known. No part of the id."""

    @classmethod
    def of(cls, embedder: Embedder, binarizer: Binarizer, statistics: CodeStatistics | None = None) -> "Encoder":
        """Join the two; the id follows from them."""
        return cls(embedder, binarizer, embedder.spec, _encoder_id(embedder.spec, binarizer), statistics)

    @classmethod
    def fitted_on(cls, rows: NDArray[np.float64], embedder: Embedder, binarizer: Binarizer) -> "Encoder":
        """Join the two, with the bits in the best order for subcodes, and the statistics of the codes of `rows`.

        `rows` are what the binarizer was fitted on: embeddings of unit length (count, dimensions), at least one.
        """
        ordered = binarizer.reordered(subcode_order(binarizer.encode(rows)))
        return cls.of(embedder, ordered, code_statistics(ordered.encode(rows)))

    @property
    def bits(self) -> int:
        """The length of its codes."""
        return self.binarizer.bits

    @property
    def batch_size(self) -> int:
        """How many pictures its embedder computes at once."""
        return self.embedder.batch_size

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Encode pictures (count, 224, 224, 3) RGB uint8, any count from 1.

        Gives codes (count, bits / 8), and for each row whether its embedding was finite; the code of a row that was not
        means nothing.
        """
        rows, finite = unit_rows(self.embedder.embed(pixels))
        return self.binarizer.encode(rows), finite

    def to_stored(self) -> StoredEncoder:
        """What the store keeps: all but the weights. Read by `load_encoder`."""
        parts = {"spec": json.dumps(asdict(self.spec)).encode(), "binarizer": self.binarizer.to_bytes()}
        if self.statistics is not None:
            parts["statistics"] = self.statistics.to_bytes()
        stream = io.BytesIO()
        # The type checker takes the arrays for the option `allow_pickle`.
        arrays: dict[str, Any] = {name: np.frombuffer(content, np.uint8) for name, content in parts.items()}
        np.savez(stream, **arrays)
        return StoredEncoder(self.encoder_id, self.bits, stream.getvalue())


def fit_encoder(
    embedder: Embedder, embeddings: NDArray[np.float32], bits: int, kind: str, seed: int
) -> tuple[Encoder, tuple[str, ...]]:
    """An encoder with a binarizer fitted on its embedder's output (count, dimensions), and warnings for a person.

    Rows that are not finite are left out. Deterministic for the same rows in the same order. Raises ConfigurationError
    where no row is left, or where the kind of binarizer can't give so many bits.
    """
    rows, finite = unit_rows(embeddings)
    if not finite.any():
        raise ConfigurationError("no picture has a finite embedding, so no encoder can be fitted")
    if not finite.all():
        rows = rows[finite]
    binarizer, warnings = fit_binarizer(rows, bits, kind, seed)
    if not finite.all():
        warnings = (f"{np.count_nonzero(~finite)} pictures were left out: their embeddings are not finite", *warnings)
    return Encoder.fitted_on(rows, embedder, binarizer), warnings


def load_encoder(stored: StoredEncoder, settings: Settings) -> Encoder:
    """Open a stored encoder with the weights that the settings name.

    Its number format is the stored one. Raises ConfigurationError where the settings name another embedder, or other
    weights (both digests are in the text), and all that `open_embedder` raises.
    """
    spec, binarizer, statistics = _read(stored)
    _refuse_other_embedder(spec, settings)
    embedder = open_embedder(settings, spec)
    given = asdict(embedder.spec) | {"name": spec.name}
    if differing := [name for name, value in asdict(spec).items() if given[name] != value]:
        changes = "; ".join(f"{name} was {getattr(spec, name)!r} and is {given[name]!r}" for name in differing)
        raise ConfigurationError(f"the settings do not give the network of the encoder {stored.encoder_id}: {changes}")
    return Encoder(embedder, binarizer, spec, stored.encoder_id, statistics)


def _read(stored: StoredEncoder) -> tuple[EmbedderSpec, Binarizer, CodeStatistics | None]:
    try:
        with np.load(io.BytesIO(stored.blob), allow_pickle=False) as arrays:
            spec = EmbedderSpec(**json.loads(arrays["spec"].tobytes()))
            binarizer = Binarizer.from_bytes(arrays["binarizer"].tobytes())
            # Encoders of earlier versions have none.
            kept = arrays["statistics"].tobytes() if "statistics" in arrays else None
            statistics = None if kept is None else CodeStatistics.from_bytes(kept)
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"the stored encoder {stored.encoder_id} can't be read: {error}") from error
    if (actual := _encoder_id(spec, binarizer)) != stored.encoder_id:
        raise ConfigurationError(f"the stored encoder {stored.encoder_id} is damaged: its content is that of {actual}")
    return spec, binarizer, statistics


def _refuse_other_embedder(spec: EmbedderSpec, settings: Settings) -> None:
    """Before anything large is opened."""
    family, _, rest = settings.embedder.partition(":")
    name, _, layer = rest.partition("#")
    if family == "vgg16":
        named = (family, rest or "fc7")
    elif family in BACKBONES:
        named = (f"{family}:{name}", layer or POOLED)
    else:
        # A file may have another name: its digest decides.
        named = (spec.name if spec.name.partition(":")[0] == family else settings.embedder, layer or spec.layer)
    if named != (spec.name, spec.layer):
        raise ConfigurationError(
            f"CATALOGUE_EMBEDDER: {settings.embedder!r} is named, but the active encoder was fitted with {spec.name} "
            f"(layer {spec.layer})"
        )


def unit_rows(embeddings: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Rows divided by their L2 norms, and which of them are finite; the others, and rows of zeros, are zeros."""
    finite: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(embeddings), axis=1)
    rows = np.where(finite[:, None], embeddings, 0).astype(np.float64)
    norms = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    return rows / np.where(norms > 0, norms, 1), finite


def _encoder_id(spec: EmbedderSpec, binarizer: Binarizer) -> str:
    ingredients = json.dumps({**asdict(spec), "binarizer": binarizer.digest}, sort_keys=True)
    digest = hashlib.sha256(ingredients.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    words = spec.name.removesuffix(".onnx"), spec.layer
    name = re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower())[:_NAME_CHARACTERS_MAX].strip("-")
    return f"{name}-{binarizer.kind}-{binarizer.bits}-{digest}"
