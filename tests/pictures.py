"""Draws small pictures, the same ones every time."""

import base64
import io
import random

import numpy as np
from PIL import Image, ImageDraw


def draw(width: int = 320, height: int = 240, seed: int = 0) -> Image.Image:
    """An RGB picture whose corners, halves and colours all differ, so that a flip, turn or crop shows."""
    dice = random.Random(seed)
    across = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    down = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    blue = np.full((height, width), dice.randrange(256))
    image = Image.fromarray(np.stack([across, down, blue], axis=2).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = dice.randrange(width), dice.randrange(height)
        box = (left, top, left + max(1, width // 4), top + max(1, height // 5))
        pen.ellipse(box, fill=(dice.randrange(256), dice.randrange(256), dice.randrange(256)))
    return image


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    """The bytes of a picture file."""
    target = io.BytesIO()
    image.save(target, file_format, **options)
    return target.getvalue()


def jpeg_picture(seed: int) -> str:
    """A small JPEG as base64, as `image.bytes` of a catalogue event holds it."""
    return base64.b64encode(encode(draw(96, 80, seed), "JPEG")).decode()
