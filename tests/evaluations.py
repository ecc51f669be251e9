"""Small retrieval tasks for tests, and measures computed by hand: slowly, by their definitions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searcher.evaluation.collection import Picture
from searcher.evaluation.ranking import Ranking, from_hits
from searcher.evaluation.task import Task, TaskRules, divide

NO_CODES = np.zeros((0, 0), np.uint8)


def pictures(*labels: str, column: str = "category") -> list[Picture]:
    """A picture for each label, with ids that rise; nothing lies in their files."""
    return [
        Picture(f"id-{place:03}", Path(f"/none/{place}.jpg"), {column: label} if label else {})
        for place, label in enumerate(labels)
    ]


def leave_one_out(*labels: str) -> Task:
    """A task in which every picture is a query, and left out of its own hits."""
    return divide(pictures(*labels), TaskRules(queries="all", relevance=["category"]))


def ranking(hits: Sequence[Sequence[tuple[float, int]]], k: int, codes: NDArray[np.uint8] = NO_CODES) -> Ranking:
    """A ranking of these (distance, place)."""
    return Ranking(*from_hits([list(one) for one in hits], k), np.zeros(len(hits), np.bool_), codes, codes)


def average_precision(relevant: Sequence[bool], divisor: int) -> float:
    """The sum of precisions at the relevant hits, divided by `divisor`."""
    found, total = 0, 0.0
    for rank, good in enumerate(relevant, start=1):
        if good:
            found += 1
            total += found / rank
    return total / divisor if divisor else 0.0
