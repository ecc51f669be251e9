"""The histogram of distances as bars: counted, cut and scaled."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from searcher.page.histogram import BARS_MAX, BASE, TOP, WIDTH, Histogram, histogram_of

COUNTS = some.lists(some.integers(0, 10**7), min_size=1, max_size=4097)


def drawn(counts: list[int], cut: int) -> Histogram:
    made = histogram_of(counts, cut)
    assert made is not None
    return made


def test_each_distance_has_a_bar_where_there_are_few() -> None:
    made = drawn([1, 0, 4, 2, 0, 0], 2)
    assert [(bar.first, bar.last, bar.count, bar.near) for bar in made.bars] == [
        (0, 0, 1, True),
        (1, 1, 0, True),
        (2, 2, 4, True),
        (3, 3, 2, False),
    ]
    assert (made.within, made.total, made.farthest, made.cut) == (5, 7, 3, 2)
    # The cut lies behind the bar of its own distance.
    assert made.cut_x == made.bars[3].x == WIDTH * 3 / 4


def test_the_drawing_reaches_to_the_radius_where_all_images_are_nearer() -> None:
    assert [bar.last for bar in drawn([3, 1, *[0] * 255], 9).bars] == list(range(10))
    # A radius may be larger than a code is long.
    beyond = drawn([3, 1, 0, 0], 10**6)
    assert (beyond.bars[-1].last, beyond.cut_x, beyond.within) == (3, WIDTH, 4)


def test_without_images_there_is_nothing_to_draw() -> None:
    assert histogram_of([0] * 257, 10) is None


def test_one_image_shows_beside_a_million() -> None:
    one, million = drawn([1, 1_000_000], 0).bars
    assert (million.y, million.height) == (TOP, BASE - TOP)
    assert one.height >= 3
    # Ten times as many are the same step higher anywhere.
    heights = [bar.height for bar in drawn([10**power for power in range(2, 7)], 0).bars]
    steps = [above - below for below, above in pairwise(heights)]
    assert steps == pytest.approx([steps[0]] * 4, rel=0.02)


def test_the_axes_are_labelled_in_powers() -> None:
    assert [mark.label for mark in drawn([0] * 200 + [5_000_000], 9).distances] == ["0", "64", "128", "192"]
    assert [mark.label for mark in drawn([9], 0).counts] == []
    assert [mark.label for mark in drawn([2_000], 0).counts] == ["10", "100", "1k"]
    assert [mark.label for mark in drawn([5_000_000], 0).counts] == ["10", "1k", "100k"]


@given(COUNTS, some.integers(0, 5000))
def test_no_image_is_lost_and_nothing_leaves_the_drawing(counts: list[int], cut: int) -> None:
    made = histogram_of(counts, cut)
    if made is None:
        assert not any(counts)
        return
    assert len(made.bars) <= BARS_MAX
    assert sum(bar.count for bar in made.bars) == made.total == sum(counts)
    assert sum(bar.count for bar in made.bars if bar.near) <= made.within == sum(counts[: cut + 1])
    assert made.bars[0].first == 0
    for bar, following in pairwise(made.bars):
        assert bar.last + 1 == following.first
    for bar in made.bars:
        assert bar.count == sum(counts[bar.first : bar.last + 1])
        assert 0 <= bar.x < bar.x + bar.width <= WIDTH + 0.1
        assert TOP - 0.1 <= bar.y <= BASE
        assert (bar.height > 0) is (bar.count > 0)
    assert 0 < made.cut_x <= WIDTH
    assert all(TOP - 0.1 <= mark.at < BASE for mark in made.counts)
    assert len(made.distances) <= 5
