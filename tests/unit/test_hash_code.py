import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import QueryInvalidError
from shared.hash_code import (
    BITS_MAX,
    from_hex,
    hamming_distances,
    pack,
    similarity,
    subcodes,
    validate_bits,
)


@pytest.mark.parametrize("bits", [16, 32, 256, 4080, BITS_MAX])
def test_multiples_of_a_subcode_are_lengths_of_codes(bits: int) -> None:
    assert validate_bits(bits) == bits


@pytest.mark.parametrize("bits", [-16, 0, 1, 15, 17, 250, BITS_MAX + 16])
def test_other_lengths_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match=f"not {bits}$"):
        validate_bits(bits)


def test_the_first_bit_is_the_highest_of_the_first_byte() -> None:
    bits = np.zeros((2, 16), dtype=bool)
    bits[0, 0] = bits[1, 15] = True
    assert pack(bits).tolist() == [[0x80, 0x00], [0x00, 0x01]]


def test_subcodes_are_the_codes_sixteen_bit_words_in_order() -> None:
    assert subcodes(bytes.fromhex("0001ff00")).tolist() == [0x0001, 0xFF00]


@given(st.binary(min_size=2, max_size=64).filter(lambda code: len(code) % 2 == 0))
def test_hexadecimal_digits_give_the_code_back(code: bytes) -> None:
    assert from_hex(code.hex(), len(code) * 8) == code
    assert from_hex(code.hex().upper(), len(code) * 8) == code


@pytest.mark.parametrize(
    ("text", "told"),
    [("xyz0", "hexadecimal digits"), ("123", "hexadecimal digits"), ("", "not 0"), ("0011ff", "not 24")],
)
def test_a_code_of_other_digits_or_another_length_is_an_invalid_query(text: str, told: str) -> None:
    with pytest.raises(QueryInvalidError, match=told):
        from_hex(text, 16)


@given(st.integers(1, 8).flatmap(lambda size: st.lists(st.binary(min_size=size, max_size=size), min_size=2)))
def test_hamming_distances_count_the_differing_bits(codes: list[bytes]) -> None:
    query, *others = codes
    expected = [(int.from_bytes(query) ^ int.from_bytes(other)).bit_count() for other in others]
    rows = np.frombuffer(b"".join(others), np.uint8).reshape(len(others), len(query))
    assert hamming_distances(query, rows).tolist() == expected


def test_distances_of_the_longest_codes_do_not_overflow() -> None:
    ones = np.full((1, BITS_MAX // 8), 255, np.uint8)
    assert hamming_distances(bytes(BITS_MAX // 8), ones).tolist() == [BITS_MAX]


def test_similarity_falls_from_one_to_zero() -> None:
    assert [similarity(distance, 64) for distance in (0, 16, 64)] == [1.0, 0.75, 0.0]
