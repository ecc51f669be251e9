"""What networks expect of pixels: uint8 values become float32 by `pixel * scale + shift`, per channel (R, G, B)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Normalisation:
    """`scale` and `shift`: float32, shape (3,)."""

    scale: NDArray[np.float32]
    shift: NDArray[np.float32]

    @classmethod
    def of(cls, scale: NDArray[np.float64] | float, shift: NDArray[np.float64] | float) -> "Normalisation":
        """From one number, or one for each channel."""
        return cls(np.full(3, scale, np.float32), np.full(3, shift, np.float32))

    @classmethod
    def by_statistics(cls, mean: Sequence[float], deviation: Sequence[float]) -> "Normalisation":
        """The one that gives pixels between 0 and 1 the mean 0 and the deviation 1, for each channel."""
        of_mean, of_deviation = np.asarray(mean, np.float64), np.asarray(deviation, np.float64)
        return cls.of(1 / (255 * of_deviation), -of_mean / of_deviation)


NORMALISATIONS = {
    "signed": Normalisation.of(1 / 127.5, -1.0),
    "unit": Normalisation.of(1 / 255, 0.0),
    "imagenet": Normalisation.by_statistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""By the names of the setting CATALOGUE_ONNX_PIXELS; VGG16 uses `imagenet`."""
