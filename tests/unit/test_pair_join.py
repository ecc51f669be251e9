"""The join over subcodes gives the same pairs as comparing all with all, and compares far fewer."""

import numpy as np
import pytest
from numpy.typing import NDArray

from searcher.resident.pair_join import NearPairs, SubcodeJoin, near_pairs
from searcher.resident.pairs import DistinctCodes
from shared import hamming_scan

Codes = NDArray[np.uint8]


def planted(count: int, bits: int, radius: int, difference: int) -> Codes:
    """Random codes; to every second one there is another at radius - 1, radius or radius + 1 bits."""
    generator = np.random.default_rng(bits + radius)
    codes = generator.integers(0, 256, (count, bits // 8), np.uint8)
    for place in range(0, count, 2):
        differing = np.zeros(bits, np.uint8)
        differing[generator.choice(bits, max(0, radius - 1 + place // 2 % 3), replace=False)] = 1
        codes[place + 1] = codes[place] ^ np.packbits(differing) ^ np.uint8(difference)
    return codes


def brute_force(codes: Codes, radius: int, difference: int) -> set[tuple[int, int, int]]:
    distances = np.bitwise_count(codes[:, None] ^ codes[None] ^ np.uint8(difference)).sum(axis=2)
    lefts, rights = np.nonzero(np.triu(distances <= radius, 1))
    return {
        (int(distances[left, right]), left, right) for left, right in zip(lefts.tolist(), rights.tolist(), strict=True)
    }


def listed(parts: list[NearPairs]) -> list[tuple[int, int, int]]:
    return sorted(
        found
        for part in parts
        for found in zip(part.distances.tolist(), part.lefts.tolist(), part.rights.tolist(), strict=True)
    )


@pytest.mark.parametrize("difference", [0, 0x55])
@pytest.mark.parametrize(("bits", "radius"), [(64, 0), (64, 3), (64, 8), (128, 5), (256, 15), (256, 31), (256, 47)])
def test_the_join_gives_each_pair_within_the_radius_once_and_none_beyond(
    bits: int, radius: int, difference: int
) -> None:
    codes = planted(600, bits, radius, difference)
    expected = sorted(brute_force(codes, radius, difference))
    at = {distance for distance, _, _ in expected}
    assert {max(0, radius - 1), radius} <= at
    assert radius + 1 in {distance for distance, _, _ in brute_force(codes, radius + 1, difference)}
    assert listed(list(SubcodeJoin(codes, radius, difference).run())) == expected
    with hamming_scan.workers(1) as thread:
        assert listed(list(near_pairs(codes, radius, thread, difference=difference))) == expected


def test_codes_that_are_alike_in_most_subcodes_are_joined_too() -> None:
    codes = planted(300, 64, 4, 0)
    codes = np.concatenate([codes, np.zeros((300, 24), np.uint8)], axis=1)
    codes[:, 10:16] = 7
    assert listed(list(SubcodeJoin(codes, 4).run())) == sorted(brute_force(codes, 4, 0))


def test_the_join_compares_few_codes_and_leaves_large_radii_to_the_scan() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (20_000, 32), np.uint8)
    join = SubcodeJoin(codes, 31)
    assert join.pays
    assert join.candidates < len(codes) ** 2 / 2 / 200
    assert not SubcodeJoin(codes, 80).pays
    assert not SubcodeJoin(np.repeat(codes[:2], 500, axis=0), 8).pays


def test_no_codes_and_a_single_one_have_no_pairs() -> None:
    for count in (0, 1):
        codes = np.ones((count, 8), np.uint8)
        with hamming_scan.workers(1) as thread:
            assert listed(list(near_pairs(codes, 3, thread))) == []
        assert listed(list(SubcodeJoin(codes, 3).run())) == []


def test_each_code_is_compared_once_and_known_at_all_its_places() -> None:
    codes = np.array([[1], [2], [1], [3], [1]], np.uint8).repeat(8, axis=1)
    distinct = DistinctCodes.of(codes)
    assert distinct.codes[:, 0].tolist() == [1, 2, 3]
    assert [distinct.places(code) for code in range(3)] == [[0, 2, 4], [1], [3]]
    assert distinct.repeated() == [0]
    assert DistinctCodes.of(codes[:0]).repeated() == []
