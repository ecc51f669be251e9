"""Multi-index hashing: no code within the radius goes without one of the keys, and few keys are asked for."""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searcher.backend import Backend
from searcher.resident.hamming_sum import HammingSum
from searcher.strategies import Query
from searcher.strategies.subcode import KEYS_MAX, Subcode, key_count, keys_within
from shared.hash_code import subcode_keys
from shared.store import Neighbours
from tests.fake_store import FakeStore
from tests.store_subject import ALL, ENCODER, NOW, deletion, flipped, image

ZERO = bytes(8)
GENERATOR = np.random.default_rng(4)


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


async def test_images_that_go_between_two_questions_leave_no_short_answer_that_looks_exact() -> None:
    """The first question shows how far the k-th lies; then all near ones are deleted."""
    near = [image(f"near-{number}", code=flipped(ZERO, 2 + number, GENERATOR)) for number in range(4)]
    far = [image(f"far-{number}", code=flipped(ZERO, 60, GENERATOR)) for number in range(4)]

    class Shrinking(FakeStore):
        questions = 0

        def nearest(self, *question: Any) -> Neighbours:
            self.questions += 1
            if self.questions == 2:
                self.write([deletion(one.image_id, 2) for one in near], NOW)
            return super().nearest(*question)

    store = Shrinking()
    store.write([*near, *far], NOW)
    with ThreadPoolExecutor(1) as threads:
        backend = Backend(threads, threads, 20)
        backend.store = store
        query = Query(ENCODER, HammingSum.plain(ZERO), 4, None, ALL)
        found = await Subcode(backend, lambda: NOW).nearest(query)
    assert store.questions > 2
    assert found.exact
    assert [one.document.image_id for one in found.neighbours] == [one.image_id for one in far]
