"""Curves over whole rankings: precision against recall, recall against radius, and how far apart pictures are.

Computed from all distances of some queries, drawn at random, to the whole gallery.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searcher.evaluation.task import Task

QUERIES_MAX = 300
RECALL_LEVELS = np.linspace(0, 1, 21)
_BINS = 65

Distances = Callable[[int], NDArray[np.float64]]
"""Gives the distances of a query to the whole gallery, (gallery,), from 0 to 1 of the largest that there can be."""


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Means over the queries.

    `precision` (levels,): the best precision at each of RECALL_LEVELS or a higher recall. `radii` (bins,): distances as
    shares of the largest; `recall` and `returned` (bins,): share of the relevant, and of all pictures, within each.
    `relevant` and `others` (bins,): share of such pairs at each distance up to it.
    """

    precision: NDArray[np.float64]
    radii: NDArray[np.float64]
    recall: NDArray[np.float64]
    returned: NDArray[np.float64]
    relevant: NDArray[np.float64]
    others: NDArray[np.float64]


def draw_curves(task: Task, distances: Distances, random: np.random.Generator) -> Curves:
    """The curves of up to QUERIES_MAX queries."""
    count = len(task.queries)
    drawn = sorted(random.choice(count, min(count, QUERIES_MAX), replace=False).tolist())
    edges = np.linspace(0, 1, _BINS)
    order_of_ids = np.argsort(np.argsort([picture.image_id for picture in task.gallery]))
    precision = np.zeros(len(RECALL_LEVELS))
    within = np.zeros((2, _BINS))
    pairs = np.zeros((2, _BINS))
    for query in drawn:
        others = np.ones(len(task.gallery), np.bool_)
        if task.own[query] >= 0:
            others[task.own[query]] = False
        relevant = (task.gallery_labels == task.query_labels[query])[others]
        far = distances(query)[others]
        precision += _interpolated(relevant[np.lexsort((order_of_ids[others], far))])
        # The bin of a distance is the least radius that includes it.
        bins = np.clip(np.searchsorted(edges, far - 1e-9), 0, _BINS - 1)
        for row, chosen in enumerate((relevant, ~relevant)):
            pairs[row] += np.bincount(bins[chosen], minlength=_BINS)
        of_relevant = np.bincount(bins[relevant], minlength=_BINS).cumsum()
        within += np.stack([of_relevant / relevant.sum(), np.bincount(bins, minlength=_BINS).cumsum() / len(far)])
    precision, within = precision / len(drawn), within / len(drawn)
    shares = pairs / np.maximum(1, pairs.sum(axis=1, keepdims=True))
    return Curves(precision, edges, within[0], within[1], shares[0], shares[1])


def hamming(query_codes: NDArray[np.uint8], gallery_codes: NDArray[np.uint8]) -> Distances:
    """Differing bits as a share of all bits."""
    bits = gallery_codes.shape[1] * 8
    return lambda query: np.bitwise_count(gallery_codes ^ query_codes[query]).sum(axis=1) / bits


def cosine(queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> Distances:
    """Half of 1 - cosine, of rows of unit length."""
    return lambda query: np.clip((1 - gallery @ queries[query]).astype(np.float64) / 2, 0, 1)


def _interpolated(relevant: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The best precision at each level of recall or a higher one."""
    found = np.cumsum(relevant)
    precision = found / np.arange(1, len(found) + 1)
    best_behind = np.maximum.accumulate(precision[::-1])[::-1]
    first = np.searchsorted(found, RECALL_LEVELS * found[-1] - 1e-9)
    return np.asarray(best_behind[np.clip(first, 0, len(found) - 1)], np.float64)
