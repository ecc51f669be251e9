"""A network's embedding with a colour block beside it: networks learn to ignore colour, people don't.

The block is the picture's histogram of 36 colours (see `shared.encoding.classic`) under the square root, so it has unit
length; the network's part is brought to unit length too. `weight` is the length of the block relative to that, so
similarity = (cosine of the networks' parts + weight² x cosine of the colours) / (1 + weight²).
"""

import numpy as np
from numpy.typing import NDArray

from shared.encoding.classic import ClassicEmbedder
from shared.encoding.embedder import Embedder, EmbedderSpec

_VERSION = "colours/1"
COLOURS = 36


class ColourEmbedder:
    """An embedder whose rows are another's, of unit length, and the colour block; one thread at a time."""

    def __init__(self, embedder: Embedder, weight: float) -> None:
        self._embedder = embedder
        self._weight = weight
        self._histograms = ClassicEmbedder()

    @property
    def spec(self) -> EmbedderSpec:
        """The other's, with the block in its preprocessing: a different weight is a different encoder."""
        inner = self._embedder.spec
        return EmbedderSpec(
            name=inner.name,
            layer=inner.layer,
            weights_sha256=inner.weights_sha256,
            compute=inner.compute,
            preprocessing=f"{inner.preprocessing} {_VERSION}:{self._weight:g}",
            dimensions=inner.dimensions + COLOURS,
        )

    @property
    def batch_size(self) -> int:
        """The other's."""
        return self._embedder.batch_size

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Embedder.embed`. A row of the network that is not finite stays so."""
        rows = self._embedder.embed(pixels).astype(np.float64)
        norms = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
        block = self._weight * np.sqrt(self._histograms.colours(pixels))
        return np.concatenate([rows / np.where(norms > 0, norms, 1), block], axis=1).astype(np.float32)
