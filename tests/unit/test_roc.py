"""ROC, equal error rate and threshold of distances."""

import numpy as np
import pytest

from searcher.evaluation.roc import Roc, roc_of
from shared.errors import QueryInvalidError


def roc(same: list[float], others: list[float]) -> Roc:
    return roc_of(np.array(same + others), np.array([True] * len(same) + [False] * len(others)))


def test_distances_that_tell_all_pairs_apart_make_no_errors() -> None:
    found = roc([1, 2, 3], [4, 5])
    assert (found.area, found.equal_error_rate) == (1.0, 0.0)
    assert found.threshold(0) == (3.0, 0.0, 1.0)


def test_equal_distances_are_accepted_together() -> None:
    found = roc([1, 2], [2, 3])
    assert found.distances.tolist() == [1, 2, 3]
    assert found.false_accepts.tolist() == [0.0, 0.5, 1.0]
    assert found.true_accepts.tolist() == [0.5, 1.0, 1.0]
    # One pair of the same is nearer than both others, one than one of them, and equally far as the other.
    assert found.area == pytest.approx((1 + 1 + 1 + 0.5) / 4)


def test_a_threshold_accepts_no_larger_share_of_others_than_is_allowed() -> None:
    found = roc([1, 3, 5, 7], [2, 4, 6, 8])
    assert found.threshold(0.25) == (3.0, 0.25, 0.5)
    assert found.threshold(0.24) == (1.0, 0.0, 0.25)
    assert roc([2], [1]).threshold(0.5) is None


def test_the_equal_error_rate_lies_where_both_errors_are_equal() -> None:
    assert roc([1, 3, 5, 7], [2, 4, 6, 8]).equal_error_rate == pytest.approx(0.5)
    # Nothing is told apart: at any threshold the two errors add up to 1.
    assert roc([1, 1], [1, 1, 1]).equal_error_rate == pytest.approx(0.5)


def test_a_curve_of_random_distances_is_that_of_counting() -> None:
    random = np.random.default_rng(0)
    distances = random.integers(0, 20, 200).astype(np.float64)
    same = random.random(200) < 0.3
    found = roc_of(distances, same)
    for distance, falsely, rightly in zip(found.distances, found.false_accepts, found.true_accepts, strict=True):
        assert falsely == pytest.approx((distances[~same] <= distance).mean())
        assert rightly == pytest.approx((distances[same] <= distance).mean())


def test_pairs_of_one_kind_alone_are_refused() -> None:
    with pytest.raises(QueryInvalidError):
        roc([1], [])
