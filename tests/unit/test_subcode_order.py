"""The order of bits, and the statistics of codes that it is judged by."""

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.encoding.code_statistics import CodeStatistics, code_statistics
from shared.encoding.subcode_order import subcode_order
from shared.errors import ConfigurationError
from shared.hash_code import hamming_distances


def codes_of_groups(groups: int, count: int = 2000, bits: int = 64) -> NDArray[np.uint8]:
    """Codes whose bits come in groups that mostly agree, one group after another."""
    generator = np.random.default_rng(7)
    shared = np.repeat(generator.random((count, groups)) < 0.5, bits // groups, axis=1)
    return np.packbits(shared ^ (generator.random((count, bits)) < 0.1), axis=1)


def reordered(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.packbits(np.unpackbits(codes, axis=1)[:, subcode_order(codes)], axis=1)


def test_bits_that_go_together_are_spread_over_the_subcodes() -> None:
    codes = codes_of_groups(16)
    group_of = np.arange(64) // 4
    spread = group_of[subcode_order(codes)].reshape(4, 16)
    assert [sorted(of_subcode) for of_subcode in spread.tolist()] == [list(range(16))] * 4
    assert code_statistics(codes).skew.min() > 30
    assert code_statistics(reordered(codes)).skew.max() < 1.5


def test_bits_that_say_nothing_are_spread_too() -> None:
    generator = np.random.default_rng(3)
    bits = generator.random((2000, 64)) < np.where(np.arange(64) < 16, 0.001, 0.5)
    ordered = code_statistics(reordered(np.packbits(bits, axis=1)))
    assert [np.count_nonzero(of_subcode < 0.1) for of_subcode in ordered.ones.reshape(4, 16)] == [4] * 4


def test_an_order_has_every_bit_once_and_leaves_distances_alone() -> None:
    codes = codes_of_groups(4, bits=128)
    order = subcode_order(codes)
    assert sorted(order.tolist()) == list(range(128))
    ordered = reordered(codes)
    assert np.array_equal(
        hamming_distances(ordered[0].tobytes(), ordered), hamming_distances(codes[0].tobytes(), codes)
    )


@pytest.mark.parametrize("count", [1, 2, 500])
def test_codes_with_nothing_to_gain_keep_their_order(count: int) -> None:
    assert subcode_order(codes_of_groups(4, count, 16)).tolist() == list(range(16))
    assert subcode_order(np.zeros((count, 8), np.uint8)).tolist() == list(range(64))


# Statistics -----------------------------------------------------------------------------------------------------------


def test_statistics_of_known_codes() -> None:
    codes = np.array([[0, 0, 255, 255], [0, 0, 0, 255], [0, 1, 0, 255], [0, 0, 0, 255]], np.uint8)
    found = code_statistics(codes)
    assert (found.count, found.bits) == (4, 32)
    assert found.ones.tolist() == [0] * 15 + [0.25] * 9 + [1] * 8
    # Three and three of six pairs of codes have the same value.
    assert found.skew.tolist() == [32768, 32768]
    of_a_quarter = 0.25 * 2 + 0.75 * np.log2(4 / 3)
    assert found.entropy == pytest.approx(9 / 32 * of_a_quarter)


def test_even_codes_have_a_skew_of_one_however_few_they_are() -> None:
    generator = np.random.default_rng(1)
    for count in (500, 5000):
        found = code_statistics(generator.integers(0, 256, (count, 256), dtype=np.uint8))
        assert found.skew.mean() == pytest.approx(1, abs=0.2)
        assert found.entropy > 0.99
    assert code_statistics(np.zeros((1, 4), np.uint8)).skew.tolist() == [0, 0]


def test_statistics_come_back_as_they_were_stored() -> None:
    kept = code_statistics(codes_of_groups(4))
    again = CodeStatistics.from_bytes(kept.to_bytes())
    assert (again.count, again.ones.tolist(), again.skew.tolist()) == (
        kept.count,
        kept.ones.tolist(),
        kept.skew.tolist(),
    )
    with pytest.raises(ConfigurationError, match="can't be read"):
        CodeStatistics.from_bytes(b"no archive")
