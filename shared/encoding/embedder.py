"""What an embedder is. `shared.encoding.opening` makes one from the settings."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigurationError

POOLED = "pooled"
"""The layer's name where a network of a library is taken up to its class scores."""


@dataclass(frozen=True, slots=True)
class EmbedderSpec:
    """All that decides an embedder's output, as it is stored with the encoder (the weights themselves aside).

    `name` is the setting's first part (`vgg16`, `classic`, `onnx:FILE` without the folders), `layer` the output taken,
    `weights_sha256` the digest of the weights, `compute` the number format (`float32`, `bfloat16`), `preprocessing` a
    versioned name of what happens to the pixels before the first layer.
    """

    name: str
    layer: str
    weights_sha256: str
    compute: str
    preprocessing: str
    dimensions: int


class Embedder(Protocol):
    """Turns decoded pictures into float vectors. Not thread-safe: one thread at a time."""

    @property
    def spec(self) -> EmbedderSpec:
        """What decides its output."""

    @property
    def batch_size(self) -> int:
        """The number of pictures that it computes at once; other counts are cut into such parts and padded."""

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed pictures (count, 224, 224, 3) RGB uint8 into (count, dimensions) float32, any count from 1.

        A row depends on its own picture only, to the last bit, whatever else is in the batch and however large it is.
        Rows have the network's own lengths: dividing by the L2 norm, and refusing NaN, is the encoder's part.
        """


def refuse_other_weights(source: str, actual_sha256: str, stored: EmbedderSpec | None) -> None:
    """ConfigurationError where an encoder was fitted (`stored`) with other weights than those that `source` names."""
    if stored is not None and actual_sha256 != stored.weights_sha256:
        raise ConfigurationError(
            f"{source}: these are not the weights that the encoder was fitted with "
            f"(expected sha256 {stored.weights_sha256}, actual {actual_sha256})"
        )
