"""Watches whether what is indexed still looks like what the encoder was fitted on.

An encoder goes on giving codes for pictures that it was not made for; only they say less: many bits lean to one side,
and many codes share their subcodes. So the codes of the last pictures are compared with those of the fit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.pipeline_parts import PictureEncoder
from shared.encoding.code_statistics import CodeStatistics, code_statistics
from shared.metrics import IndexerMetrics

WINDOW_CODES = 4096
"""Fewer make the figures noisy; more make them late."""
_COMPARED_EVERY = 512


@dataclass(frozen=True, slots=True)
class Drift:
    """How the codes of a window differ from those that an encoder was fitted on.

    `ones_changed` and `ones_changed_most` are the mean and the largest absolute change of a bit's share of ones.
    `entropy` is the mean entropy of a bit in the window (see `CodeStatistics`), `skew` the mean skew of its subcodes
    over that of the fit: so many times the candidates of a subcode search.
    """

    codes: int
    ones_changed: float
    ones_changed_most: float
    entropy: float
    skew: float


def drift(fitted: CodeStatistics, recent: CodeStatistics) -> Drift:
    """Compare the statistics of codes of equal length."""
    changed = np.abs(recent.ones - fitted.ones)
    # Evenly spread codes, or too few, have no pair that shares a subcode.
    skew = max(1.0, float(recent.skew.mean())) / max(1.0, float(fitted.skew.mean()))
    return Drift(recent.count, float(changed.mean()), float(changed.max()), recent.entropy, skew)


class WatchedEncoder:
    """An encoder whose codes are watched: every 512 codes the last 4,096 are compared, once there are as many.

    The work (some milliseconds at 256 bits, a tenth of a second at 4,096) is done on the encoder's own thread.
    """

    def __init__(self, encoder: PictureEncoder, fitted: CodeStatistics, metrics: IndexerMetrics) -> None:
        """`fitted` are the statistics of the codes that the encoder was fitted on."""
        self._encoder = encoder
        self._fitted = fitted
        self._metrics = metrics
        self._window = np.zeros((WINDOW_CODES, fitted.bits // 8), np.uint8)
        self._seen = 0

    @property
    def encoder_id(self) -> str:
        """The encoder's."""
        return self._encoder.encoder_id

    @property
    def batch_size(self) -> int:
        """The encoder's."""
        return self._encoder.batch_size

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """What the encoder gives."""
        codes, finite = self._encoder.encode(pixels)
        self._observe(codes[finite])
        return codes, finite

    def _observe(self, codes: NDArray[np.uint8]) -> None:
        before = self._seen
        self._seen += len(codes)
        self._window[np.arange(before, self._seen) % WINDOW_CODES] = codes
        if self._seen >= WINDOW_CODES and self._seen // _COMPARED_EVERY > before // _COMPARED_EVERY:
            self._tell(drift(self._fitted, code_statistics(self._window)))

    def _tell(self, found: Drift) -> None:
        metrics = self._metrics
        metrics.drift_codes.set(found.codes)
        metrics.drift_ones_changed.set(found.ones_changed)
        metrics.drift_ones_changed_most.set(found.ones_changed_most)
        metrics.drift_entropy.set(found.entropy)
        metrics.drift_skew.set(found.skew)
