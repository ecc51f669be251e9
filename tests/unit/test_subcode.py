"""Multi-index hashing: no code within the radius goes without one of the keys, and few keys are asked for."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.strategies.subcode import KEYS_MAX, key_count, keys_within
from shared.hash_code import subcode_keys
from tests.store_subject import flipped


@pytest.mark.parametrize("bits", [16, 32, 64, 256, 1024, 4096])
def test_the_keys_are_counted_without_being_made(bits: int) -> None:
    parts = bits // 16
    radius = 0
    while key_count(parts, radius) <= KEYS_MAX and radius <= bits:
        assert len(np.unique(keys_within(bytes(bits // 8), radius))) == key_count(parts, radius)
        radius += max(1, parts // 5)
    assert radius > parts


def test_a_radius_below_the_number_of_subcodes_needs_only_equal_ones() -> None:
    code = np.random.default_rng(1).bytes(32)
    assert keys_within(code, 0).tolist() == subcode_keys(code)[:1].tolist()
    assert sorted(keys_within(code, 15).tolist()) == sorted(subcode_keys(code).tolist())
    # One bit more: the first subcode within one bit, the others equal.
    assert len(keys_within(code, 16)) == 17 + 15


@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_every_code_within_the_radius_has_one_of_the_keys(radius: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    code = generator.bytes(8)
    keys = set(keys_within(code, radius).tolist())
    for distance in {0, radius // 2, radius - 1, radius} - {-1}:
        assert keys & set(subcode_keys(flipped(code, distance, generator)).tolist())


def test_the_bound_is_sharp_a_code_one_bit_farther_may_have_none_of_the_keys() -> None:
    code = bytes(4)
    # Radius 3 of two subcodes: the first and the second each within one bit.
    keys = set(keys_within(code, 3).tolist())
    beyond = [
        sum(1 << bit for bit in (*first, *second))
        for first in combinations(range(16), 2)
        for second in combinations(range(16, 32), 2)
    ]
    assert not any(keys & set(subcode_keys(number.to_bytes(4)).tolist()) for number in beyond)
