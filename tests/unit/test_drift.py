"""A worker tells how what it indexes differs from what its encoder was fitted on."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from indexer.drift import WINDOW_CODES, WatchedEncoder, drift
from shared.encoding.code_statistics import code_statistics
from shared.metrics import IndexerMetrics

THRESHOLD = 0.05
"""The alert's, in deploy/alerts.yml."""


def codes_of(shares: NDArray[np.float64] | float, count: int, seed: int = 0, bits: int = 64) -> NDArray[np.uint8]:
    """Codes of independent bits, each a one with this chance."""
    return np.packbits(np.random.default_rng(seed).random((count, bits)) < shares, axis=1)


@dataclass
class Script:
    """An encoder that gives the codes that it was told to; the last row of each batch is not finite."""

    codes: list[NDArray[np.uint8]] = field(default_factory=list)
    encoder_id: str = "script-64"
    batch_size: int = 8

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        codes = self.codes.pop(0)
        return codes, np.arange(len(codes)) < len(codes) - 1


@dataclass
class Rig:
    """A watched encoder, fitted on balanced bits, and its figures."""

    metrics: IndexerMetrics = field(default_factory=lambda: IndexerMetrics(CollectorRegistry()))
    script: Script = field(default_factory=Script)
    seed: int = 0

    def __post_init__(self) -> None:
        self.watched = WatchedEncoder(self.script, code_statistics(codes_of(0.5, 10_000, seed=99)), self.metrics)

    def index(self, count: int, share: float, batch: int = 128) -> None:
        for _ in range(count // batch):
            self.seed += 1
            broken = np.zeros((1, 8), np.uint8)
            self.script.codes.append(np.concatenate([codes_of(share, batch, self.seed), broken]))
            self.watched.encode(np.zeros((batch + 1, 1), np.uint8))

    def figure(self, name: str) -> float:
        value: float = getattr(self.metrics, f"drift_{name}")._value.get()
        return value


def test_codes_like_those_of_the_fit_stay_far_below_the_threshold() -> None:
    fitted, recent = code_statistics(codes_of(0.5, 2000)), code_statistics(codes_of(0.5, WINDOW_CODES, seed=1))
    found = drift(fitted, recent)
    assert found.ones_changed < THRESHOLD / 3
    assert found.ones_changed_most < 0.06
    assert found.skew == pytest.approx(1, abs=0.25)
    assert found.entropy > 0.99


def test_bits_that_lean_to_one_side_are_told_with_their_worst() -> None:
    shares = np.where(np.arange(64) < 16, 0.9, 0.5)
    found = drift(code_statistics(codes_of(0.5, 10_000)), code_statistics(codes_of(shares, WINDOW_CODES, seed=1)))
    assert found.ones_changed == pytest.approx(0.1, abs=0.01)
    assert found.ones_changed_most == pytest.approx(0.4, abs=0.03)
    assert found.entropy == pytest.approx(1 - 0.53 / 4, abs=0.01)
    # Of 16 such bits two codes share all 0.82 ** 16 as often as 0.5 ** 16.
    assert found.skew == pytest.approx((3 + 2**16 * 0.82**16) / 4, rel=0.1)


def test_nothing_is_told_before_the_window_is_full() -> None:
    rig = Rig()
    rig.index(WINDOW_CODES - 128, 0.9)
    assert rig.figure("codes") == 0
    rig.index(128, 0.9)
    assert (rig.figure("codes"), round(rig.figure("ones_changed"), 2)) == (WINDOW_CODES, 0.4)


def test_what_left_the_window_counts_no_more() -> None:
    rig = Rig()
    rig.index(WINDOW_CODES, 0.9)
    rig.index(WINDOW_CODES // 2, 0.5)
    assert rig.figure("ones_changed") == pytest.approx(0.2, abs=0.01)
    rig.index(WINDOW_CODES // 2, 0.5)
    assert rig.figure("ones_changed") < THRESHOLD / 3
    assert rig.figure("skew") == pytest.approx(1, abs=0.25)


def test_the_codes_are_the_encoders() -> None:
    rig = Rig()
    given = codes_of(0.5, 5)
    rig.script.codes = [given]
    codes, finite = rig.watched.encode(np.zeros((5, 1), np.uint8))
    assert codes is given
    assert finite.tolist() == [True] * 4 + [False]
    assert (rig.watched.encoder_id, rig.watched.batch_size) == ("script-64", 8)
