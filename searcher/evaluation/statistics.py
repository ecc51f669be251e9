"""What is computed from rankings and codes beside the measures of retrieval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searcher.evaluation.ranking import Ranking
from searcher.evaluation.task import Task
from shared.encoding.code_statistics import mean_entropy

_RESAMPLES = 1000
_CONFIDENCE_PERCENT = 95.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over queries, and the interval that 95 % of the means of resampled queries lie in."""

    mean: float
    low: float
    high: float


def bootstrap(columns: Mapping[str, NDArray[np.float64]], random: np.random.Generator) -> dict[str, Estimate]:
    """Estimates of columns of one value a query, by drawing the queries again 1,000 times (percentile method)."""
    values = np.stack(list(columns.values()), axis=1)
    count = len(values)
    # How often each query was drawn says as much as the draw itself, and is a matrix product away from the means.
    means = np.stack(
        [np.bincount(random.integers(0, count, count), minlength=count) @ values / count for _ in range(_RESAMPLES)]
    )
    half = (100 - _CONFIDENCE_PERCENT) / 2
    low, high = np.percentile(means, [half, 100 - half], axis=0)
    means_of_all = values.mean(axis=0)
    return {
        name: Estimate(float(means_of_all[place]), float(low[place]), float(high[place]))
        for place, name in enumerate(columns)
    }


def recall_of(exact: Ranking, ranking: Ranking) -> NDArray[np.float64]:
    """Which share of the exact hits each query found, shape (queries,)."""
    shares = np.zeros(len(exact.places))
    for row, (wanted, found) in enumerate(zip(exact.places, ranking.places, strict=True)):
        hits = wanted[wanted >= 0]
        shares[row] = np.isin(hits, found).sum() / max(1, len(hits))
    return shares


@dataclass(frozen=True, slots=True)
class ClassVote:
    """How often the nearest pictures vote for the right class: of all queries, and by class with its queries."""

    accuracy: float
    by_class: Mapping[str, tuple[float, int]]


def vote(task: Task, ranking: Ranking, neighbours: int) -> ClassVote:
    """k nearest neighbours: the commonest class of the nearest pictures; of equally common ones, the nearest's."""
    right = np.array(
        [
            _commonest(task.gallery_labels[[place for place in row[:neighbours].tolist() if place >= 0]]) == label
            for row, label in zip(ranking.places, task.query_labels.tolist(), strict=True)
        ]
    )
    by_class = {
        task.label_names[label]: (float(right[task.query_labels == label].mean()), int(count))
        for label, count in enumerate(np.bincount(task.query_labels).tolist())
        if count
    }
    return ClassVote(float(right.mean()), dict(sorted(by_class.items())))


@dataclass(frozen=True, slots=True, eq=False)
class BitStatistics:
    """How evenly codes use their bits.

    `ones` (bits,): share of codes with the bit set. `correlations` (pairs,): absolute correlation of each pair of bits.
    `distinct`: how many different codes there are.
    """

    ones: NDArray[np.float64]
    correlations: NDArray[np.float64]
    distinct: int

    @property
    def entropy(self) -> float:
        """Mean entropy of a bit, 1 where it is set in half of the codes."""
        return mean_entropy(self.ones)


def bit_statistics(codes: NDArray[np.uint8]) -> BitStatistics:
    """The statistics of codes (count, bits / 8). A bit that never changes has correlation 0 with all others."""
    bits = np.unpackbits(codes, axis=1).astype(np.float32)
    ones = bits.mean(axis=0, dtype=np.float64)
    centred = bits - ones.astype(np.float32)
    lengths = np.linalg.norm(centred, axis=0)
    centred /= np.where(lengths > 0, lengths, 1)
    products = np.abs(centred.T @ centred)
    upper = products[np.triu_indices(len(ones), 1)].astype(np.float64)
    return BitStatistics(ones, upper, len(np.unique(codes, axis=0)))


def _commonest(labels: NDArray[np.int64]) -> int:
    """Of the labels (-1: none), in the order of their pictures; -1 where there is none."""
    named = labels[labels >= 0].tolist()
    # max gives the first of equals.
    return max(named, key=named.count, default=-1)


def places_by_quality(values: NDArray[np.float64], count: int) -> tuple[Sequence[int], Sequence[int]]:
    """The queries with the highest values, and those with the lowest, both in the order of queries where equal."""
    order = np.argsort(-values, kind="stable")
    return order[:count].tolist(), np.argsort(values, kind="stable")[:count].tolist()
