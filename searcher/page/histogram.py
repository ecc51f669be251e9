"""How the whole window lies around a seed, as bars: plain numbers that a template draws.

Counts are drawn by their logarithm: one near image must show beside a million far ones. Coordinates are those of a
drawing `WIDTH` by `HEIGHT`, with its origin at the top left.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 256, 86
BARS_MAX = 64
# The plot lies between the label of the cut above it and the axis below it.
TOP, BASE = 13, 74
_TICKS_MAX = 4
_DECADES_LABELLED_MAX = 4
_UNITS = ("", "k", "M", "G")


@dataclass(frozen=True, slots=True)
class Bar:
    """The images from `first` to `last` bits away, both inclusive; `near` says that all of these are within the cut."""

    first: int
    last: int
    count: int
    x: float
    width: float
    y: float
    height: float
    near: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """A place of an axis."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bars over distance, and where they are cut.

    `within` of `total` images are at most `cut` bits away, the farthest of all is `farthest` away.
    """

    bars: Sequence[Bar]
    distances: Sequence[Mark]
    counts: Sequence[Mark]
    cut: int
    cut_x: float
    within: int
    total: int
    farthest: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the drawing."""
        return WIDTH, HEIGHT

    @property
    def base(self) -> int:
        """Where the bars stand."""
        return BASE

    @property
    def cut_side(self) -> int:
        """On which side of the cut its label has room: 1 is the right, -1 the left."""
        return 1 if self.cut_x < WIDTH / 2 else -1


def histogram_of(counts: Sequence[int], cut: int) -> Histogram | None:
    """The histogram of `counts`, one for each distance from 0; None where there are no images.

    At most `BARS_MAX` bars of equally many bits, up to the farthest image or the cut, whichever is farther.
    """
    farthest = max((distance for distance, count in enumerate(counts) if count), default=None)
    if farthest is None:
        return None
    shown = max(farthest, min(cut, len(counts) - 1)) + 1
    bits = math.ceil(shown / BARS_MAX)
    groups = [counts[first : min(first + bits, shown)] for first in range(0, shown, bits)]
    plot = _Plot(WIDTH / (len(groups) * bits), max(sum(group) for group in groups))
    return Histogram(
        [plot.bar(place * bits, bits, group, cut) for place, group in enumerate(groups)],
        [Mark(plot.x(at), str(at)) for at in range(0, shown, _tick(shown))],
        plot.decades(),
        cut,
        plot.x(min(cut + 1, shown)),
        sum(counts[: cut + 1]),
        sum(counts),
        farthest,
    )


@dataclass(frozen=True, slots=True)
class _Plot:
    """Distances across, `bit` units wide each; counts upwards, 0 at the base, `most` at the top, 1 still to be seen."""

    bit: float
    most: int

    def x(self, distance: int) -> float:
        return round(distance * self.bit, 2)

    def height(self, count: int) -> float:
        return round((BASE - TOP) * math.log1p(count) / math.log1p(self.most), 2)

    def bar(self, first: int, bits: int, group: Sequence[int], cut: int) -> Bar:
        count, last = sum(group), first + len(group) - 1
        height = self.height(count)
        return Bar(first, last, count, self.x(first), self.x(bits), round(BASE - height, 2), height, last <= cut)

    def decades(self) -> list[Mark]:
        powers = range(1, math.floor(math.log10(self.most)) + 1)
        step = math.ceil(len(powers) / _DECADES_LABELLED_MAX) or 1
        return [Mark(round(BASE - self.height(10**power), 2), _power_of_ten(power)) for power in powers[::step]]


def _tick(shown: int) -> int:
    """The distance between two ticks: a power of two, as the lengths of codes mostly are."""
    return 1 << max(0, math.ceil(math.log2(shown / _TICKS_MAX)))


def _power_of_ten(power: int) -> str:
    thousands, rest = divmod(power, 3)
    return f"{10**rest}{_UNITS[thousands]}"
