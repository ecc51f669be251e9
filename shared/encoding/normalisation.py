"""What networks expect of pixels: uint8 values become float32 by `pixel * scale + shift`, per channel (R, G, B)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
_IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225])


@dataclass(frozen=True, slots=True, eq=False)
class Normalisation:
    """`scale` and `shift`: float32, shape (3,)."""

    scale: NDArray[np.float32]
    shift: NDArray[np.float32]

    @classmethod
    def of(cls, scale: NDArray[np.float64] | float, shift: NDArray[np.float64] | float) -> "Normalisation":
        """From one number, or one for each channel."""
        return cls(np.full(3, scale, np.float32), np.full(3, shift, np.float32))


NORMALISATIONS = {
    "signed": Normalisation.of(1 / 127.5, -1.0),
    "unit": Normalisation.of(1 / 255, 0.0),
    "imagenet": Normalisation.of(1 / (255 * _IMAGENET_DEVIATION), -_IMAGENET_MEAN / _IMAGENET_DEVIATION),
}
"""By the names of the setting CATALOGUE_ONNX_PIXELS; VGG16 uses `imagenet`."""
