"""Outlines of the demo catalogue's products: points in units of 1/100 of the sheet's side, y downwards."""

import math
from collections.abc import Sequence

Point = tuple[float, float]


def ellipse(x: float, y: float, across: float, down: float, arc: Point = (0, 360)) -> list[Point]:
    """Points of an ellipse about (x, y) with these half axes, or of an arc of it: degrees, clockwise from the right."""
    start, end = arc
    count = 48
    angles = [math.radians(start + (end - start) * step / count) for step in range(count + 1)]
    return [(x + across * math.cos(angle), y + down * math.sin(angle)) for angle in angles]


def rounded(left: float, top: float, right: float, bottom: float, radius: float) -> list[Point]:
    """Points of a rectangle with round corners."""
    corners = ((right, bottom, 0), (left, bottom, 90), (left, top, 180), (right, top, 270))
    points: list[Point] = []
    for x, y, start in corners:
        centre_x = x - radius if x == right else x + radius
        centre_y = y - radius if y == bottom else y + radius
        points += ellipse(centre_x, centre_y, radius, radius, (start, start + 90))
    return points


def disc(x: float, y: float, radius: float) -> list[Point]:
    """Points of a circle."""
    return ellipse(x, y, radius, radius)


def star(x: float, y: float, radius: float) -> list[Point]:
    """Points of a star with five tips."""
    reach = [radius if step % 2 == 0 else radius * 0.45 for step in range(10)]
    return [
        (x + r * math.sin(math.pi * step / 5), y - r * math.cos(math.pi * step / 5)) for step, r in enumerate(reach)
    ]


def heart(x: float, y: float, radius: float) -> list[Point]:
    """Points of a heart."""
    angles = [2 * math.pi * step / 48 for step in range(48)]
    return [
        (
            x + radius * math.sin(a) ** 3,
            y - radius * (13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a)) / 16,
        )
        for a in angles
    ]


def bolt(x: float, y: float, radius: float) -> list[Point]:
    """Points of a flash of lightning."""
    corners = [(0.25, -1), (-0.6, 0.15), (-0.05, 0.15), (-0.25, 1), (0.6, -0.2), (0.05, -0.2)]
    return [(x + radius * across, y + radius * down) for across, down in corners]


def flower(x: float, y: float, radius: float) -> list[Point]:
    """Points of a flower with five petals."""
    angles = [2 * math.pi * step / 60 for step in range(60)]
    reach = [radius * (0.72 + 0.28 * math.cos(5 * angle)) for angle in angles]
    return [(x + r * math.cos(a), y + r * math.sin(a)) for a, r in zip(angles, reach, strict=True)]


def curve(points: Sequence[Point], closed: bool = True) -> list[Point]:
    """A smooth line through all points (a Catmull-Rom spline)."""
    around = [points[-1], *points, points[0], points[1]] if closed else [points[0], *points, points[-1]]
    line: list[Point] = []
    for before, start, end, after in zip(around, around[1:], around[2:], around[3:], strict=False):
        line += [_spline(before, start, end, after, step / 10) for step in range(10)]
    return line if closed else [*line, points[-1]]


def barrel(x: float, heights: Point, widths: Point, dip: float) -> list[Point]:
    """An upright body between two heights, with a curved rim and foot; `widths` are half its widths there."""
    (top, bottom), (wide, narrow) = heights, widths
    return [*ellipse(x, bottom, narrow, dip, (180, 0)), *ellipse(x, top, wide, dip, (0, 180))]


def both_sides(right: list[Point]) -> list[Point]:
    """A symmetric outline from its right half: points as (distance from the middle, y), downwards."""
    return [(50 + x, y) for x, y in right] + [(50 - x, y) for x, y in reversed(right)]


def clock_hand(turn: float, radius: float) -> Point:
    """Where a hand ends that starts at (50, 50): `turn` 0 and 1 are twelve o'clock."""
    return 50 + radius * math.sin(2 * math.pi * turn), 50 - radius * math.cos(2 * math.pi * turn)


def _spline(before: Point, start: Point, end: Point, after: Point, t: float) -> Point:
    x, y = (
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(before, start, end, after, strict=True)
    )
    return x, y
