"""The decoded picture that passes between the decoder, the embedder and the document."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.images.picture import SIDE

__all__ = ["SIDE", "DecodedImage"]


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """A picture ready for an embedder.

    `pixels` is RGB, uint8, shape (224, 224, 3): upright by its EXIF orientation, alpha laid on white, squashed with a
    bilinear (antialiased) filter. `thumbnail` is WebP, longest side at most 256, None where none was asked for.
    `width` and `height` are the upright original's, in pixels. `copy_code` is that of the whole picture, None where
    none was asked for, and of a picture too flat to have one.
    """

    pixels: NDArray[np.uint8]
    thumbnail: bytes | None
    width: int
    height: int
    copy_code: bytes | None = None
