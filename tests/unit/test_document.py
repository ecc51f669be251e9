"""What attributes become: terms to filter by and words to search for, the same in every store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.document import (
    TERM_CHARACTERS_MAX,
    WORD_CHARACTERS_MAX,
    WORDS_MAX,
    Attributes,
    Document,
    Kind,
    Scalar,
    attribute_term,
    attribute_terms,
    attribute_words,
    words_of,
)


@pytest.mark.parametrize(
    ("value", "term"),
    [
        ("mug", "n=mug"),
        (9.99, "n=9.99"),
        (9, "n=9"),
        (True, "n=true"),
        (False, "n=false"),
        ("", "n="),
        (1e21, "n=1e+21"),
    ],
)
def test_a_term_is_name_and_value_as_text(value: Scalar, term: str) -> None:
    assert attribute_term("n", value) == term


def test_long_terms_are_cut_and_still_differ() -> None:
    first, second = (attribute_term("title", "x" * 100_000 + end) for end in "ab")
    assert first != second
    assert first.startswith("title=xxx")
    assert len(first) == TERM_CHARACTERS_MAX + 1 + 64


def test_the_terms_of_an_image_are_all_values_once_and_sorted() -> None:
    attributes: Attributes = {"tags": ["b", "a", "b", 1, True], "category": "mug", "empty": []}
    assert attribute_terms(attributes) == ["category=mug", "tags=1", "tags=a", "tags=b", "tags=true"]


def test_a_string_is_one_value_and_not_its_characters() -> None:
    assert attribute_terms({"a": "bc"}) == ["a=bc"]


def test_words_are_case_folded_and_cut_at_all_that_is_no_letter_digit_or_underscore() -> None:
    assert words_of("Blue MUG, (s-9) Straße_1 – 9.99€") == ["blue", "mug", "s", "9", "strasse_1", "9", "99"]
    assert words_of("x" * 100) == ["x" * WORD_CHARACTERS_MAX]
    assert words_of("…") == []


def test_one_word_written_in_two_ways_of_unicode_is_one_word() -> None:
    assert words_of("cafe\u0301 ﬁne ＡＢＣ") == words_of("caf\u00e9 fine abc") == ["caf\u00e9", "fine", "abc"]


def test_the_words_of_an_image_are_those_of_its_values() -> None:
    attributes: Attributes = {"title": "Blue mug", "price": 9.99, "tags": ["mug", "new"], "in_stock": True}
    assert attribute_words(attributes) == ["9", "99", "blue", "mug", "new", "true"]


def test_of_very_many_words_the_first_are_kept() -> None:
    text = " ".join(f"w{number:04}" for number in reversed(range(2 * WORDS_MAX)))
    assert attribute_words({"text": text}) == [f"w{number:04}" for number in range(WORDS_MAX, 2 * WORDS_MAX)]


@given(st.text())
def test_every_word_of_a_text_is_found_by_itself(text: str) -> None:
    words = words_of(text)
    assert all(0 < len(word) <= WORD_CHARACTERS_MAX for word in words)
    assert set(words) >= set(attribute_words({"a": text}))


@pytest.mark.parametrize("kind", list(Kind))
def test_only_an_image_inside_the_window_is_visible(kind: Kind) -> None:
    document = Document("a", kind, 1, True, 1000)
    assert document.live == (kind is Kind.IMAGE)
    assert [document.visible(after) for after in (999, 1000)] == [kind is Kind.IMAGE, False]
