"""The kinds of product in the demo catalogue: their shapes, colours, patterns and badges.

Each kind is a function that draws a product on a sheet, part by part, from the back to the front.
"""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from indexer.demo.outlines import (
    Point,
    barrel,
    bolt,
    both_sides,
    clock_hand,
    curve,
    disc,
    ellipse,
    flower,
    heart,
    rounded,
    star,
)
from indexer.demo.pictures import Rgb, Sheet, darker, draw_cloth, lighter

COLOURS: dict[str, Rgb] = {
    "white": (244, 243, 239),
    "black": (46, 46, 50),
    "grey": (146, 150, 156),
    "navy": (36, 54, 100),
    "blue": (50, 108, 194),
    "sky": (146, 194, 228),
    "teal": (30, 136, 134),
    "green": (70, 140, 78),
    "olive": (124, 126, 66),
    "yellow": (238, 196, 62),
    "orange": (228, 124, 48),
    "red": (200, 50, 52),
    "burgundy": (120, 34, 54),
    "pink": (234, 158, 180),
    "purple": (116, 76, 154),
    "brown": (130, 86, 56),
    "beige": (216, 194, 160),
}
PATTERNS = ("plain", "striped", "dotted", "checked", "badge")
"""A badge is put on a plain cloth."""

_WOOD: Rgb = (182, 136, 92)
_METAL: Rgb = (188, 190, 196)
_RUBBER: Rgb = (240, 238, 232)
_STEM: Rgb = (78, 128, 70)
_INK: Rgb = (40, 40, 44)


@dataclass(frozen=True, slots=True)
class Product:
    """What is drawn. `shape` is three numbers from 0 to 1, whose meaning depends on the kind (a height, a taper, …)."""

    kind: str
    colour: str
    accent: str
    pattern: str
    badge: str
    shape: tuple[float, float, float]


class _Draft:
    """A product on its sheet: the colours, the cloth and the edge that most parts need."""

    def __init__(self, product: Product) -> None:
        self.sheet = Sheet()
        self.colour = COLOURS[product.colour]
        self.accent = COLOURS[product.accent]
        self.edge = darker(self.colour, 0.72)
        pitch = 5 + 5 * product.shape[0]
        self.cloth = draw_cloth((self.colour, self.accent), product.pattern, pitch, upright=product.shape[1] > 0.6)
        self._badge = product.badge if product.pattern == "badge" else ""

    def body(self, outline: list[Point], shade: str = "flat") -> None:
        """A part of the patterned cloth."""
        self.sheet.part(outline, self.cloth, shade, self.edge)

    def badge(self, x: float, y: float, radius: float) -> None:
        """The badge in the accent colour, where the product has one."""
        if self._badge:
            self.sheet.part(BADGES[self._badge](x, y, radius), self.accent)


def draw_product(product: Product) -> Image.Image:
    """The product alone, RGBA, on a transparent ground."""
    draft = _Draft(product)
    KINDS[product.kind](draft, *product.shape)
    return draft.sheet.finished()


def _mug(draft: _Draft, height: float, taper: float, handle: float) -> None:
    top, bottom, wide, narrow = 44 - 16 * height, 80, 25, 25 - 9 * taper
    middle, reach = (top + bottom) / 2, 9 + 5 * handle
    draft.sheet.tube(ellipse(44 + wide - 3, middle, reach, 10 + 5 * handle, (-100, 100)), draft.colour, 5)
    draft.body(barrel(44, (top, bottom), (wide, narrow), 5), "round")
    draft.sheet.part(ellipse(44, top, wide, 5), lighter(draft.colour, 0.2))
    draft.sheet.part(ellipse(44, top + 0.6, wide - 2, 3.8), darker(draft.colour, 0.55), "deep")
    draft.badge(44, middle + 3, 9)
    draft.sheet.gleam(barrel(31, (top + 8, bottom - 6), (1.6, 1.2), 1))


def _shirt(draft: _Draft, sleeve: float, neck: float, width: float) -> None:
    side, reach = 19 + 5 * width, 30 + 22 * sleeve
    for sign in (-1, 1):
        arm = [(11, 17), (side, 20), (side + 15, reach), (side + 5, reach + 5), (side - 3, 36)]
        draft.body([(50 + sign * x, y) for x, y in arm], "soft")
    draft.body(both_sides([(11, 16), (side, 20), (side - 1, 40), (side, 84)]), "soft")
    depth = 20 + 9 * neck
    collar = [(39, 16), (50, depth + 3), (61, 16)] if neck > 0.5 else ellipse(50, 16, 11, depth - 15, (0, 180))
    draft.sheet.part(collar, darker(draft.colour, 0.6))
    draft.sheet.stroke(collar, draft.accent, 1.8)
    draft.sheet.stroke([(51 - side, 81), (49 + side, 81)], draft.edge, 0.4)
    draft.badge(50, 42, 9)


def _bag(draft: _Draft, height: float, flare: float, strap: float) -> None:
    top, wide, narrow = 48 - 12 * height, 24 + 8 * flare, 28
    rise = 14 + 16 * strap
    handle = ellipse(50, top + 2, 13, rise, (180, 360))
    draft.sheet.tube([(x + 3, y - 3) for x, y in handle], darker(draft.accent, 0.8), 2.6)
    draft.body(both_sides([(wide, top), (narrow, 84)]), "soft")
    draft.sheet.part(both_sides([(wide, top), (wide, top + 4)]), draft.accent)
    draft.sheet.tube(handle, draft.accent, 3)
    for x in (37, 63):
        draft.sheet.part(rounded(x - 2.2, top, x + 2.2, top + 9, 1), darker(draft.accent, 0.8))
    draft.badge(50, (top + 90) / 2, 10)


def _shoe(draft: _Draft, ankle: float, toe: float, sole: float) -> None:
    top, thick = 46 - 18 * ankle, 4 + 5 * sole
    front = [(36, top), (42, 53), (58, 58), (76 + 4 * toe, 61), (86, 68), (86, 74)]
    draft.body(curve([(50, 74), (16, 72), (14, 60), (17, top), (25, top - 2), *front]), "soft")
    draft.sheet.part(ellipse(26.5, top + 0.6, 9.5, 2.6), darker(draft.colour, 0.5))
    draft.sheet.part(curve([(70, 60), (80, 61.5), (87, 68), (86, 74), (72, 74), (68, 67)]), draft.accent)
    draft.sheet.part(curve([(14, 62), (21, 58), (25, 66), (24, 74), (15, 73)]), draft.accent)
    draft.sheet.part(rounded(13, 72, 89, 73 + thick, 2.5), _RUBBER)
    draft.sheet.stroke([(15, 73 + thick * 0.5), (87, 73 + thick * 0.5)], darker(_RUBBER, 0.8), 0.6)
    for step in range(4 + round(2 * ankle)):
        x, y = 56 - step * 4.6, 56.5 - step * (2.2 + 2.4 * ankle)
        draft.sheet.stroke([(x - 3, y + 5), (x + 3.5, y)], _RUBBER, 1.5)
    draft.badge(34, 63, 6)


def _lamp(draft: _Draft, height: float, flare: float, foot: float) -> None:
    top, bottom, wide, narrow = 14, 40 + 8 * height, 24 + 4 * flare, 22 - 12 * flare
    post = _METAL if foot > 0.5 else draft.accent
    draft.sheet.part(rounded(48.4, bottom - 3, 51.6, 82, 1), post, "round")
    if foot > 0.35:
        draft.sheet.part(ellipse(50, 66, 6 + 5 * foot, 15), draft.accent, "round")
    draft.sheet.part(barrel(50, (81, 84), (16, 17), 2.5), post, "round")
    draft.sheet.part(ellipse(50, 81, 16, 2.5), lighter(post, 0.2))
    draft.body(both_sides([(narrow, top), (wide, bottom)]), "round")
    draft.sheet.part(ellipse(50, top, narrow, 1.8), (255, 244, 206))
    draft.sheet.part(ellipse(50, bottom, wide, 2.6), (255, 240, 190))
    draft.badge(50, (top + bottom) / 2 + 3, 7)


def _chair(draft: _Draft, back: float, arms: float, legs: float) -> None:
    top, wood = 36 - 22 * back, _WOOD if legs < 0.6 else _INK
    for x, foot in ((31, 27), (69, 73), (36, 35), (64, 65)):
        draft.sheet.tube([(x, 62), (foot, 88 if x in {31, 69} else 80)], wood, 3)
    draft.body(rounded(30, top, 70, 60, 4 + 12 * arms), "soft")
    draft.badge(50, (top + 56) / 2, 8)
    if arms > 0.5:
        for x in (25, 75):
            draft.sheet.tube([(x, 64), (x, 48)], wood, 2.6)
            draft.sheet.tube([(x, 47), (50 + (x - 50) * 0.76, 46)], wood, 3)
    draft.body(rounded(26, 55, 74, 66, 4), "flat")
    draft.sheet.stroke([(28, 62.5), (72, 62.5)], draft.edge, 0.5)


def _bottle(draft: _Draft, height: float, shoulder: float, cap: float) -> None:
    top, wide, neck = 38 - 14 * height, 13 + 5 * shoulder, 6 + 2 * cap
    slope = top + 8 + 10 * shoulder
    right = [(neck, top), (neck, top + 5), (wide, slope), (wide, 84), (wide - 2, 87)]
    draft.body(both_sides(right), "round")
    draft.sheet.part(rounded(50 - neck - 1, top - 8 - 4 * cap, 50 + neck + 1, top + 1, 1.5), draft.accent, "round")
    if cap > 0.6:
        draft.sheet.tube(ellipse(50, top - 9 - 4 * cap, 5, 6, (180, 360)), draft.accent, 2)
    draft.badge(50, (slope + 86) / 2, min(9, wide * 0.6))
    draft.sheet.gleam(rounded(50 - wide * 0.66, slope + 3, 50 - wide * 0.46, 80, 1))


def _watch(draft: _Draft, size: float, square: float, hour: float) -> None:
    radius, strap = 15 + 5 * size, 8 + 2.5 * size
    tip = both_sides([(strap * 0.72, 9), (strap, 50)])
    draft.body(tip, "round")
    draft.body([(x, 100 - y) for x, y in tip], "round")
    for y in (80, 84.5, 89):
        draft.sheet.part(ellipse(50, y, 0.8, 0.8), darker(draft.colour, 0.4))
    draft.sheet.part(rounded(50 + radius, 47.5, 53 + radius, 52.5, 1), _METAL)
    corner = radius * 0.3
    for extent, paint in ((radius, _METAL), (radius * 0.86, draft.accent), (radius * 0.8, lighter(draft.accent, 0.1))):
        frame = rounded(50 - extent, 50 - extent, 50 + extent, 50 + extent, corner)
        draft.sheet.part(frame if square > 0.6 else ellipse(50, 50, extent, extent), paint)
    hand = _INK if sum(draft.accent) > 330 else _RUBBER
    for step in range(12):
        draft.sheet.stroke([clock_hand(step / 12, radius * 0.68), clock_hand(step / 12, radius * 0.74)], hand, 0.9)
    draft.sheet.stroke([(50, 50), clock_hand(hour, radius * 0.4)], hand, 1.5)
    draft.sheet.stroke([(50, 50), clock_hand(hour * 12 % 1, radius * 0.6)], hand, 1)


def _hat(draft: _Draft, height: float, brim: float, style: float) -> None:
    top = 34 - 12 * height
    if style < 0.5:
        draft.sheet.part(ellipse(50, 68, 36 + 8 * brim, 8 + 3 * brim), darker(draft.colour, 0.8))
        draft.body(curve(both_sides([(0, top + 3), (12, top), (21, top + 12), (25, 67), (10, 71)])), "round")
        draft.sheet.part(barrel(50, (58, 66), (23.5, 24.5), 4), draft.accent, "round")
        draft.badge(50, top + 22, 6)
        return
    draft.sheet.part(curve([(60, 62), (80, 61), (94, 68), (90, 71), (74, 69), (58, 70)]), draft.accent, "soft")
    crown = [(20, 66), (22, top + 18), (34, top + 5), (50, top + 1), (64, top + 8), (72, top + 24), (74, 66), (48, 70)]
    draft.body(curve(crown), "round")
    draft.sheet.stroke(curve([(50, top + 2), (55, top + 22), (56, 68)], closed=False), draft.edge, 0.6)
    draft.sheet.part(ellipse(50, top + 2, 2.4, 1.6), draft.accent)
    draft.badge(40, top + 27, 7)


def _box(draft: _Draft, height: float, width: float, bow: float) -> None:
    top, half = 54 - 18 * height, 22 + 8 * width
    draft.body(both_sides([(half, top), (half, 84)]), "soft")
    draft.body(both_sides([(half + 3, top - 8), (half + 3, top + 2)]))
    draft.sheet.stroke([(48 - half, top + 3), (52 + half, top + 3)], darker(draft.colour, 0.6), 1)
    if bow > 0.3:
        draft.sheet.part(both_sides([(4, top - 8), (4, 84)]), draft.accent, "soft")
        for sign in (-1, 1):
            wing = [(50, top - 9), (50 + sign * 9, top - 21), (50 + sign * 17, top - 16), (50 + sign * 12, top - 8)]
            draft.sheet.part(curve(wing), draft.accent, "soft")
        draft.sheet.part(rounded(46.5, top - 13, 53.5, top - 6, 2), darker(draft.accent, 0.85))
    draft.badge(50 - (half / 2 + 2 if bow > 0.3 else 0), (top + 86) / 2, 7)


def _cushion(draft: _Draft, width: float, plump: float, tassels: float) -> None:
    across, down, puff = 27 + 7 * width, 24, 2 + 2.5 * plump
    if tassels > 0.5:
        for x, y in ((-across, -down), (across, -down), (across, down), (-across, down)):
            draft.sheet.tube([(50 + x * 0.96, 53 + y * 0.96), (50 + x * 1.14, 53 + y * 1.16)], draft.accent, 3)
    # Points close to the corners keep them pointed.
    right = [(across - 3, 52.4 - down), (across, 53 - down), (across - 0.2, 56 - down), (across + puff, 53)]
    right += [(across - 0.2, 50 + down), (across, 53 + down), (across - 3, 53.6 + down)]
    half = both_sides(right)
    outline = curve([(50, 53 - down - puff), *half[:7], (50, 53 + down + puff), *half[7:]])
    draft.body(outline, "round")
    draft.sheet.stroke([*outline, outline[0]], draft.accent, 1)
    draft.badge(50, 53, 12)


def _vase(draft: _Draft, height: float, belly: float, mouth: float) -> None:
    top, wide, rim = 42 - 14 * height, 15 + 9 * belly, 6 + 5 * mouth
    if mouth > 0.4:
        for x, y in ((-8, -15), (1, -20), (9, -13)):
            draft.sheet.stroke([(50, top + 3), (50 + x / 3, top + y / 2), (50 + x, top + y)], _STEM, 1)
            draft.sheet.part(flower(50 + x, top + y, 4.5), draft.accent)
            draft.sheet.part(ellipse(50 + x, top + y, 1.5, 1.5), (246, 214, 92))
    right = [(rim, top), (rim - 2, top + 7), (wide, 58), (wide * 0.86, 74), (10, 85)]
    draft.body(curve(both_sides(right)), "round")
    draft.sheet.part(ellipse(50, top, rim, 1.8), darker(draft.colour, 0.55))
    draft.badge(50, 62, 8)
    draft.sheet.gleam(ellipse(50 - wide * 0.5, 56, 1.6, 8))


KINDS: dict[str, Callable[[_Draft, float, float, float], None]] = {
    "mug": _mug,
    "t-shirt": _shirt,
    "bag": _bag,
    "shoe": _shoe,
    "lamp": _lamp,
    "chair": _chair,
    "bottle": _bottle,
    "watch": _watch,
    "hat": _hat,
    "box": _box,
    "cushion": _cushion,
    "vase": _vase,
}


BADGES: dict[str, Callable[[float, float, float], list[Point]]] = {
    "disc": disc,
    "star": star,
    "heart": heart,
    "bolt": bolt,
    "flower": flower,
}
