"""How much is left: what a random sample of the images that nobody judged tells of all of them.

The images are cut into two strata by their distance to the nearest relevant code, those that are *near* and the
*rest*, and a simple random sample is drawn from each without replacement. So how many of those drawn from a stratum are
relevant is hypergeometric, whatever the ranking is worth, and the weighted sum is an unbiased estimate of how many
there are. The limits are the numbers that the sample does not speak against, at whichever division between the strata
speaks for them most (Buehler, JASA 1957; for strata of a finite population Wendell and Schmee, JASA 1996): they hold
with at least their confidence for any catalogue, without approximation.

A sample's size is fixed before it is drawn, as Lewis, Yang and Frieder (arXiv 2108.12746) ask for. Whoever draws again
until a number pleases has many chances to be wrong, so each further sample of a case must be surer than the one before
(`sampling.confidence_of`).
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# So many times the sample are near, and so much of the sample is drawn from these.
_NEAR_TIMES = 4
_NEAR_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Stratum:
    """`images` of which `drawn` were drawn, all of them at most `up_to` bits from the nearest relevant code."""

    images: int
    drawn: int
    up_to: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """The places that were drawn, in the order in which to judge them, and of which stratum each is."""

    places: NDArray[np.intp]
    strata: Sequence[Stratum]
    of: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Limits:
    """An estimate of how many images are relevant, and between which numbers it lies with the confidence asked for."""

    estimate: float
    low: int
    high: int


def draw_sample(distances: NDArray[np.int32], size: int, random: np.random.Generator) -> Drawn:
    """Draw `size` places (all, where there are no more), from both strata, and mix them: the order tells nothing."""
    # Of equal distances, chance decides which are near.
    order = np.lexsort((random.random(len(distances)), distances))
    near = min(len(order), _NEAR_TIMES * size)
    count = min(len(order), size)
    from_near = max(min(near, round(count * _NEAR_SHARE)), count - (len(order) - near))
    places, of, strata = [], [], []
    for number, (members, drawn) in enumerate(((order[:near], from_near), (order[near:], count - from_near))):
        places.append(random.choice(members, drawn, replace=False) if drawn else members[:0])
        of.append(np.full(drawn, number))
        strata.append(Stratum(len(members), drawn, int(distances[members[-1]]) if len(members) else 0))
    mixed = random.permutation(count)
    return Drawn(np.concatenate(places)[mixed], strata, np.concatenate(of)[mixed])


def limits(strata: Sequence[Stratum], relevant: Sequence[int], perhaps: Sequence[int], confidence: float) -> Limits:
    """How many of the images of two strata are relevant, where so many of those drawn from each are.

    `perhaps` are those of which nobody is sure: the lower limit counts them as not relevant, the upper as relevant.
    """
    risk = (1 - confidence) / 2
    everything = sum(stratum.images for stratum in strata)
    at_most = [sure + unsure for sure, unsure in zip(relevant, perhaps, strict=True)]
    seen = sum(stratum.drawn for stratum in strata)
    low, high = sum(relevant), everything - seen + sum(at_most)
    return Limits(
        float(sum(weight * sure for weight, sure in zip(_weights(strata), relevant, strict=True))),
        # The least number with which so many are still to be expected, and the largest with which so few are.
        _least(low, high, lambda total: _chance(strata, relevant, total, fewer=False) > risk),
        _least(low, high, lambda total: _chance(strata, at_most, total + 1, fewer=True) <= risk),
    )


def _weights(strata: Sequence[Stratum]) -> list[float]:
    return [stratum.images / max(1, stratum.drawn) for stratum in strata]


def _least(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The least number from `low` on from which it holds; `high` where it never does before."""
    return low + bisect_left(range(low, high), True, key=holds)


def _chance(strata: Sequence[Stratum], found: Sequence[int], total: int, *, fewer: bool) -> float:
    """The chance to estimate no more (`fewer`) or no less than was found, where `total` images are relevant.

    It is that at the division of these between the strata at which it is largest.
    """
    near, rest = strata
    # The weights times the same number, so that equal estimates are equal numbers.
    of_near, of_rest = near.images * max(1, rest.drawn), rest.images * max(1, near.drawn)
    bound = of_near * found[0] + of_rest * found[1] - (0 if fewer else 1)
    if bound < 0:
        return 1.0
    in_near = np.arange(max(0, total - rest.images), min(near.images, total) + 1)
    from_near = np.arange(min(near.drawn, bound // of_near) + 1)
    from_rest = np.minimum((bound - of_near * from_near) // max(1, of_rest), rest.drawn)
    chances_near = _hypergeometric(near, in_near, from_near)
    chances_rest = _hypergeometric(rest, total - in_near, np.arange(from_rest.max() + 1)).cumsum(axis=1)
    at_most = (chances_near * chances_rest[:, from_rest]).sum(axis=1)
    return float(at_most.max()) if fewer else 1 - float(at_most.min())


def _hypergeometric(stratum: Stratum, relevant: NDArray[np.integer], found: NDArray[np.integer]) -> NDArray[np.float64]:
    """The chance of each number `found` where each number `relevant` are; shape (relevant, found)."""
    there, seen = relevant[:, None], found[None, :]
    others, unlike = stratum.images - there, stratum.drawn - seen
    possible = (seen <= there) & (unlike <= others) & (unlike >= 0)
    logarithm = (
        _log_choices(there, np.where(possible, seen, 0))
        + _log_choices(others, np.where(possible, unlike, 0))
        - _log_choices(np.array(stratum.images), np.array(stratum.drawn))
    )
    chances: NDArray[np.float64] = np.where(possible, np.exp(np.where(possible, logarithm, 0)), 0)
    return chances


def _log_choices(of: NDArray[np.integer], count: NDArray[np.integer]) -> NDArray[np.float64]:
    """The logarithm of how many ways there are to choose `count` of so many."""
    from scipy.special import gammaln  # noqa: PLC0415 (slow to import, and each searcher would)

    ways: NDArray[np.float64] = gammaln(of + 1) - gammaln(count + 1) - gammaln(of - count + 1)
    return ways
