"""How well a distance tells pairs of the same from pairs of others: ROC, equal error rate, threshold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import QueryInvalidError


@dataclass(frozen=True, slots=True, eq=False)
class Roc:
    """For each distance that occurs, rising (points,): a pair is accepted where it is at most so far apart.

    `false_accepts` is the share of pairs of others that is accepted then, `true_accepts` that of pairs of the same.
    """

    distances: NDArray[np.float64]
    false_accepts: NDArray[np.float64]
    true_accepts: NDArray[np.float64]
    same_pairs: int
    other_pairs: int

    @property
    def area(self) -> float:
        """Area under the curve: how often a pair of the same is nearer than a pair of others, ties half."""
        x = np.concatenate([[0.0], self.false_accepts])
        y = np.concatenate([[0.0], self.true_accepts])
        return float(((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2).sum())

    @property
    def equal_error_rate(self) -> float:
        """Where as many of the same are refused as of others accepted, between the two nearest points."""
        gap = np.concatenate([[-1.0], self.false_accepts - (1 - self.true_accepts)])
        accepts = np.concatenate([[0.0], self.false_accepts])
        behind = int(np.argmax(gap >= 0))
        share = gap[behind] / (gap[behind] - gap[behind - 1])
        return float(accepts[behind] + share * (accepts[behind - 1] - accepts[behind]))

    def threshold(self, false_accept_rate: float) -> tuple[float, float, float] | None:
        """The largest distance at which no larger share of others is accepted, with both shares; None where none is."""
        place = int(np.searchsorted(self.false_accepts, false_accept_rate + 1e-12, side="right")) - 1
        if place < 0:
            return None
        return float(self.distances[place]), float(self.false_accepts[place]), float(self.true_accepts[place])


def roc_of(distances: NDArray[np.float64], same: NDArray[np.bool_]) -> Roc:
    """The curve of pairs (pairs,); QueryInvalidError where there are not both kinds."""
    same_pairs, other_pairs = int(same.sum()), int((~same).sum())
    if not same_pairs or not other_pairs:
        raise QueryInvalidError("a threshold needs pairs of the same label and pairs of different labels")
    order = np.argsort(distances, kind="stable")
    ordered = distances[order]
    last_of_equals = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    accepted = np.cumsum(same[order])[last_of_equals]
    falsely = last_of_equals + 1 - accepted
    return Roc(ordered[last_of_equals], falsely / other_pairs, accepted / same_pairs, same_pairs, other_pairs)
