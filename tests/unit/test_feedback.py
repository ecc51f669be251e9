"""A distance learned from judgements: wanted images come nearer, unwanted ones move away."""

import numpy as np
import pytest

from searcher.feedback import weigh_bits
from shared.errors import QueryInvalidError

GENERATOR = np.random.default_rng(3)


def noisy(code: np.ndarray, flips: float, count: int) -> np.ndarray:
    """`count` codes of bits, each bit of `code` flipped with this probability."""
    return np.packbits(code ^ (GENERATOR.random((count, len(code))) < flips), axis=1)


def test_wanted_images_are_nearer_than_unwanted_ones() -> None:
    wanted, unwanted = (GENERATOR.random(256) < 0.5 for _ in range(2))
    distance = weigh_bits(noisy(wanted, 0.2, 5), noisy(unwanted, 0.2, 5))
    near, far = distance.of(noisy(wanted, 0.2, 50)), distance.of(noisy(unwanted, 0.2, 50))
    assert near.max() < far.min()


def test_bits_that_tell_the_two_apart_count_more() -> None:
    shared = GENERATOR.random(256) < 0.5
    other = shared.copy()
    other[:16] ^= True
    distance = weigh_bits(noisy(shared, 0.1, 8), noisy(other, 0.1, 8))
    base = np.packbits(shared)[np.newaxis]
    telling, common = base.copy(), base.copy()
    telling[0, 0] ^= 255
    common[0, 20] ^= 255
    at_home = int(distance.of(base)[0])
    assert int(distance.of(telling)[0]) - at_home > 3 * abs(int(distance.of(common)[0]) - at_home)


def test_wanted_images_alone_weigh_the_bits_that_they_share() -> None:
    code = GENERATOR.random(64) < 0.5
    one, other = code.copy(), code.copy()
    other[:8] ^= True
    distance = weigh_bits(np.packbits(np.array([one, other]), axis=1), np.empty((0, 8), dtype=np.uint8))
    # The first eight bits say nothing: half of the wanted have them, half have not.
    assert distance.of(np.packbits(np.array([one, other]), axis=1)).tolist() == [0, 0]
    assert distance.of(np.packbits(~code)[np.newaxis])[0] == distance.bounds[1]


def test_seeds_that_tell_no_bit_apart_are_refused() -> None:
    same = np.zeros((2, 4), dtype=np.uint8)
    with pytest.raises(QueryInvalidError, match="differ in no bit"):
        weigh_bits(same, same)
