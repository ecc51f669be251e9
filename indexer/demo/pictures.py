"""How the demo catalogue's pictures are drawn with Pillow: a sheet to build a product on, and a camera that shoots it.

A product is drawn once, in parts (an outline, a paint, a shade) on a transparent sheet of twice the final size. Then it
is photographed several times: turned, scaled, shifted, lit, before a wall and on a floor. Coordinates on the sheet are
units of 1/100 of its side, (0, 0) at the top left. The same calls give the same bytes with the same Pillow.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from indexer.demo.outlines import Point

SIDE = 400
SHEET_SIDE = 2 * SIDE
UNIT = SHEET_SIDE / 100

Rgb = tuple[int, int, int]
Paint = Rgb | Image.Image


@dataclass(frozen=True, slots=True)
class View:
    """How a product is photographed.

    `turn` narrows it (1: not at all) and mirrors it where negative; `angle` is in degrees; `shift` is in parts of the
    side; `light` multiplies the brightness, `warmth` the balance of red to blue.
    """

    turn: float
    angle: float
    scale: float
    shift: Point
    wall: Rgb
    floor: Rgb
    light: float
    warmth: float


class Sheet:
    """A transparent drawing that grows part by part."""

    def __init__(self) -> None:
        self.image = Image.new("RGBA", (SHEET_SIDE, SHEET_SIDE))
        self._pen = ImageDraw.Draw(self.image)

    def part(self, outline: Sequence[Point], paint: Paint, shade: str = "flat", edge: Rgb | None = None) -> None:
        """Fill an outline with a colour, or with what a cloth (RGB, as large as the sheet) shows there, under a shade.

        Without `edge` the outline is a darker line of the colour; a cloth needs an edge to have one.
        """
        points = _to_pixels(outline)
        box = _bounds(points)
        size = (box[2] - box[0], box[3] - box[1])
        patch = paint.crop(box) if isinstance(paint, Image.Image) else Image.new("RGB", size, paint)
        patch = ImageChops.multiply(patch, _shade(shade).resize(size, Image.Resampling.BILINEAR))
        mask = Image.new("L", size)
        ImageDraw.Draw(mask).polygon([(x - box[0], y - box[1]) for x, y in points], fill=255)
        self.image.paste(patch, box[:2], mask)
        if edge is None and not isinstance(paint, Image.Image):
            edge = darker(paint, 0.75)
        if edge is not None:
            self._pen.line([*points, points[0]], fill=edge, width=3, joint="curve")

    def stroke(self, line: Sequence[Point], colour: Rgb, width: float) -> None:
        """A line of `width` units with round ends."""
        points = _to_pixels(line)
        self._pen.line(points, fill=colour, width=max(1, round(width * UNIT)), joint="curve")
        radius = width * UNIT / 2
        for x, y in (points[0], points[-1]):
            self._pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def tube(self, line: Sequence[Point], colour: Rgb, width: float) -> None:
        """A stroke that looks round: an edge, a body and a lighter core."""
        self.stroke(line, darker(colour, 0.7), width)
        self.stroke(line, colour, width * 0.82)
        self.stroke(line, lighter(colour, 0.25), width * 0.3)

    def gleam(self, outline: Sequence[Point], strength: float = 0.3) -> None:
        """A highlight over what is there already; `strength` from 0 to 1."""
        points = _to_pixels(outline)
        box = _bounds(points)
        mask = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        ImageDraw.Draw(mask).polygon([(x - box[0], y - box[1]) for x, y in points], fill=round(255 * strength))
        covered = ImageChops.multiply(mask, self.image.getchannel("A").crop(box))
        self.image.paste((255, 255, 255, 255), box, covered)

    def finished(self) -> Image.Image:
        """The drawing at its final size: RGBA, SIDE x SIDE."""
        return self.image.reduce(2)


def draw_cloth(colours: tuple[Rgb, Rgb], pattern: str, pitch: float, upright: bool) -> Image.Image:
    """A patterned cloth as large as a sheet (RGB): ground and pattern colour, and the pattern's pitch in units."""
    cloth, spread = Image.new("RGB", (SHEET_SIDE, SHEET_SIDE), colours[0]), pitch * UNIT
    pen, steps = ImageDraw.Draw(cloth), [step * spread for step in range(int(100 / pitch) + 1)]
    if pattern == "striped":
        for at in steps:
            band = (at, 0, at + spread * 0.45, SHEET_SIDE) if upright else (0, at, SHEET_SIDE, at + spread * 0.45)
            pen.rectangle(band, fill=colours[1])
    elif pattern == "dotted":
        for row, y in enumerate(steps):
            for x in steps:
                left = x + (row % 2) * spread / 2
                pen.ellipse((left, y, left + spread * 0.46, y + spread * 0.46), fill=colours[1])
    elif pattern == "checked":
        bands = Image.new("L", cloth.size)
        for at in steps:
            ImageDraw.Draw(bands).rectangle((at, 0, at + spread * 0.5, SHEET_SIDE), fill=110)
        cloth.paste(colours[1], mask=bands)
        cloth.paste(colours[1], mask=bands.transpose(Image.Transpose.TRANSPOSE))
    return cloth


def photograph(drawing: Image.Image, view: View) -> Image.Image:
    """A picture (RGB, SIDE x SIDE) of a finished drawing."""
    posed = _pose(drawing, view)
    picture = _room(view.wall, view.floor).copy()
    picture.paste((28, 24, 24), mask=_shadow(posed))
    picture.paste(posed, mask=posed)
    gains = (view.light * view.warmth, view.light, view.light / view.warmth)
    return picture.point([min(255, round(level * gain)) for gain in gains for level in range(256)])


def resold(picture: Image.Image, crop: Point) -> Image.Image:
    """The same picture as another seller shows it: `crop` (parts of the side) cut off at left and top, scaled."""
    left, top = (round(part * SIDE) for part in crop)
    return picture.resize((360, 360), Image.Resampling.BICUBIC, (left, top, SIDE - left // 2, SIDE - top // 2))


def to_jpeg(picture: Image.Image, quality: int) -> bytes:
    """The picture as a JPEG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def darker(colour: Rgb, factor: float) -> Rgb:
    """The colour with every channel multiplied by `factor`."""
    red, green, blue = (min(255, round(level * factor)) for level in colour)
    return red, green, blue


def lighter(colour: Rgb, part: float) -> Rgb:
    """The colour moved towards white by `part` of the way."""
    red, green, blue = (round(level + (255 - level) * part) for level in colour)
    return red, green, blue


def _to_pixels(points: Sequence[Point]) -> list[Point]:
    return [(x * UNIT, y * UNIT) for x, y in points]


def _bounds(points: Sequence[Point]) -> tuple[int, int, int, int]:
    across, down = [x for x, _ in points], [y for _, y in points]
    return math.floor(min(across)), math.floor(min(down)), math.ceil(max(across)) + 1, math.ceil(max(down)) + 1


@cache
def _shade(name: str) -> Image.Image:
    """How light falls over a part, from 0 (dark) to 255, small, to be stretched over it."""
    profile = {"flat": (255, 240), "round": (176, 232, 255, 250, 226, 196, 158), "deep": (120, 150), "soft": (255, 205)}
    levels = profile[name]
    image = Image.new("L", (len(levels), 1) if name == "round" else (1, len(levels)))
    image.putdata(levels)
    return image.convert("RGB")


def _pose(drawing: Image.Image, view: View) -> Image.Image:
    # Pillow asks where each pixel of the result comes from, so this is the inverse of the pose.
    angle, half = math.radians(view.angle), SIDE / 2
    cos, sin = math.cos(angle) / view.scale, math.sin(angle) / view.scale
    x, y = half + SIDE * view.shift[0], half + SIDE * view.shift[1]
    a, b, d, e = cos / view.turn, sin / view.turn, -sin, cos
    matrix = (a, b, half - a * x - b * y, d, e, half - d * x - e * y)
    return drawing.transform((SIDE, SIDE), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


@cache
def _room(wall: Rgb, floor: Rgb) -> Image.Image:
    """A wall that darkens upwards, and a floor that darkens towards it, with a soft edge in between."""
    down = Image.linear_gradient("L").resize((SIDE, SIDE))
    upper = Image.composite(_plain(wall), _plain(darker(wall, 0.9)), down)
    lower = Image.composite(_plain(floor), _plain(darker(floor, 0.82)), down)
    edge = Image.new("L", (1, SIDE))
    edge.putdata([max(0, min(255, (row - SIDE * 7 // 10) * 16 + 128)) for row in range(SIDE)])
    return Image.composite(lower, upper, edge.resize((SIDE, SIDE)))


def _plain(colour: Rgb) -> Image.Image:
    return Image.new("RGB", (SIDE, SIDE), colour)


def _shadow(posed: Image.Image) -> Image.Image:
    """The opacity of a soft shadow: the silhouette cast a little aside, and darker where the product stands."""
    small = posed.getchannel("A").reduce(8)
    left, _, right, bottom = small.getbbox() or (0, 0, 1, 1)
    cast = Image.new("L", small.size)
    cast.paste(small.point(lambda level: level * 0.22), (1, 1))
    inset = (right - left) * 0.08
    ImageDraw.Draw(cast).ellipse((left + inset, bottom - 2.5, right - inset, bottom + 0.8), fill=110)
    return cast.filter(ImageFilter.GaussianBlur(1.2)).resize(posed.size, Image.Resampling.BICUBIC)
