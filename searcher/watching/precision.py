"""How good a watch is, and which radius its judgements speak for."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt
from statistics import NormalDist

PRECISION_WANTED = 0.8
"""Four of five alerts are worth an analyst's look."""
_JUDGED_MIN = 10
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Precision:
    """The share of judged images that are relevant, and an interval for it with a confidence of 95 %."""

    share: float
    low: float
    high: float


def precision_of(relevant: int, not_relevant: int) -> Precision | None:
    """With Wilson's interval, which is right for few images too; None before the first judgement."""
    judged = relevant + not_relevant
    if not judged:
        return None
    share, z = relevant / judged, NormalDist().inv_cdf((1 + _CONFIDENCE) / 2)
    middle = share + z**2 / (2 * judged)
    half = z * sqrt(share * (1 - share) / judged + z**2 / (4 * judged**2))
    scale = 1 + z**2 / judged
    return Precision(share, max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


def suggested_radius(judged: Sequence[tuple[int, bool]]) -> int | None:
    """The largest distance of a relevant image up to which at least PRECISION_WANTED of the judged images are relevant.

    `judged` has each image's distance in bits and whether it is relevant. None where fewer than ten are judged, or no
    radius is that good. Beyond the farthest relevant image nothing speaks for a radius, so none is suggested there.
    """
    if len(judged) < _JUDGED_MIN:
        return None
    best, seen, relevant = None, 0, 0
    for distance, group in groupby(sorted(judged), key=lambda one: one[0]):
        verdicts = [verdict for _, verdict in group]
        seen, relevant = seen + len(verdicts), relevant + sum(verdicts)
        if any(verdicts) and relevant >= PRECISION_WANTED * seen:
            best = distance
    return best
