"""What is judged next: the order of candidates."""

import numpy as np

from searcher.workbench.ranking import nearest_distances, rank_candidates
from tests.searchers import code_near

ZEROS, ONES = bytes(32), bytes([255] * 32)
NONE = np.empty((0, 32), np.uint8)


def rows(*codes: bytes) -> np.ndarray:
    return np.array([list(code) for code in codes], dtype=np.uint8)


def test_the_distance_is_that_to_the_nearest_code() -> None:
    candidates = rows(ZEROS, ONES, code_near(ZEROS, 3))
    found = nearest_distances(candidates, rows(ZEROS, code_near(ONES, 5)))
    assert found.tolist() == [0, 5, 3]


def test_without_unlike_codes_the_nearest_comes_first_and_ties_keep_their_places() -> None:
    candidates = rows(code_near(ZEROS, 9), code_near(ZEROS, 1), code_near(ZEROS, 1), ONES)
    assert rank_candidates(candidates, rows(ZEROS), NONE).tolist() == [1, 2, 0, 3]


def test_what_is_like_the_unlike_ones_comes_later() -> None:
    unlike = code_near(ZEROS, 40)
    candidates = rows(code_near(ZEROS, 20), bytes(reversed(code_near(ZEROS, 20))))
    assert rank_candidates(candidates, rows(ZEROS), rows(unlike)).tolist() == [1, 0]


def test_bits_that_relevant_codes_share_count_more_than_others() -> None:
    generator = np.random.default_rng(3)
    relevant = generator.integers(0, 256, (30, 32), dtype=np.uint8)
    relevant[:, :4] = 0b10101010
    with_them, without = generator.integers(0, 256, (2, 20, 32), dtype=np.uint8)
    with_them[:, :4] = 0b10101010
    unlike = generator.integers(0, 256, (30, 32), dtype=np.uint8)
    order = rank_candidates(np.concatenate([without, with_them]), relevant, unlike)
    assert set(order[:20].tolist()) == set(range(20, 40))


def test_a_single_candidate_is_ranked() -> None:
    assert rank_candidates(rows(ONES), rows(ZEROS), rows(ONES)).tolist() == [0]


def test_several_relevant_codes_around_a_candidate_count_more_than_one() -> None:
    generator = np.random.default_rng(5)
    look, other = generator.integers(0, 256, (2, 32), dtype=np.uint8)
    candidates = rows(code_near(other.tobytes(), 20), code_near(look.tobytes(), 20))
    relevant = rows(other.tobytes(), *[look.tobytes()] * 4)
    assert rank_candidates(candidates, relevant, NONE).tolist() == [1, 0]


def test_long_codes_that_differ_in_every_bit_are_ranked() -> None:
    zeros, ones = np.zeros((1, 512), np.uint8), np.full((1, 512), 255, np.uint8)
    assert rank_candidates(np.concatenate([ones, zeros]), zeros, ones).tolist() == [1, 0]
