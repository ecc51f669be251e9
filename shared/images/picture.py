"""From picture bytes to pixels, in one process: what may be decoded, and how it becomes the square that embedders see.

It runs in an expendable child process (see `decoder_child`), so it imports nothing but the standard library and Pillow:
a child starts in a tenth of a second.
"""

import io
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from PIL import ExifTags, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from shared.errors import RejectedError, RejectionReason

if TYPE_CHECKING:
    from shared.settings import Settings

PREPROCESSING = "squash-bilinear-224/1"
"""Name and version of the way from bytes to pixels; part of an encoder's id. Other pixels need another version."""

SIDE = 224
"""Side of the square of pixels. Every embedder sees the whole picture, squashed: a product must not be cropped away."""

THUMBNAIL_SIDE = 256
IMAGE_SIDE_MAX = 16_384

Crop = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the upright picture."""

WHOLE: Crop = (0.0, 0.0, 1.0, 1.0)

# Importing a plugin registers it; without that Image.open would import all of Pillow's parsers to find WebP.
_PLUGINS = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}

# Measured on one core, pictures of 400x533: method 0 takes 1.1 ms and 7.6 kB, method 2 1.8 ms and 6.0 kB, method 4 (the
# default) 3.8 ms and 5.8 kB. Decoding and squashing take 3 ms together, so the fastest method it is.
_WEBP_METHOD = 0
_WEBP_QUALITY = 75

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = frozenset({5, 6, 7, 8})


class Refusal(Enum):
    """Why a picture is refused: reason and text. A closed set, because a parser's own words may carry what they should
    not (Pillow's name addresses in memory)."""

    FORMAT = (RejectionReason.IMAGE_FORMAT_UNSUPPORTED, "not a JPEG, PNG or WebP picture")
    BYTES = (RejectionReason.IMAGE_TOO_LARGE, "more bytes than CATALOGUE_FETCH_BYTES_MAX allows")
    PIXELS = (RejectionReason.IMAGE_TOO_LARGE, "more pixels than CATALOGUE_IMAGE_PIXELS_MAX allows")
    SIDE = (RejectionReason.IMAGE_TOO_LARGE, f"a side of the picture is longer than {IMAGE_SIDE_MAX} pixels")
    MEMORY = (RejectionReason.IMAGE_TOO_LARGE, "needs more memory than CATALOGUE_DECODE_MEMORY_BYTES allows")
    DAMAGED = (RejectionReason.IMAGE_UNDECODABLE, "the picture is damaged or cut short")
    SLOW = (RejectionReason.IMAGE_UNDECODABLE, "takes longer to decode than CATALOGUE_DECODE_SECONDS allows")
    FATAL = (RejectionReason.IMAGE_UNDECODABLE, "the process that decoded the picture ended")


class PictureRefusedError(RejectedError):
    """This picture can't be decoded, now or later."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(*refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds of decoding: bytes and pixels of a picture, seconds for it, address space of a child, and children."""

    bytes_max: int
    pixels_max: int
    seconds: float
    memory_bytes: int
    processes: int

    @classmethod
    def of(cls, settings: "Settings", cores: int) -> "DecodeLimits":
        """The settings' limits; `cores` children where the setting leaves the number open."""
        return cls(
            bytes_max=settings.fetch_bytes_max,
            pixels_max=settings.image_pixels_max,
            seconds=settings.decode_seconds,
            memory_bytes=settings.decode_memory_bytes,
            processes=settings.decode_processes or cores,
        )


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: `pixels` is RGB, 224 rows of 224 pixels of 3 bytes; the rest as in `DecodedImage`."""

    pixels: bytes
    thumbnail: bytes | None
    width: int
    height: int
    copy_code: bytes | None = None


CopyCodeOf = Callable[[Image.Image], bytes | None]
"""Gives the copy code of an upright RGB picture, None where it has none."""


def decode(
    content: bytes,
    limits: DecodeLimits,
    *,
    thumbnail: bool,
    crop: Crop = WHOLE,
    copy_code_of: CopyCodeOf | None = None,
) -> Picture:
    """Decode a JPEG, PNG or WebP picture; identical bytes give identical pixels, with and without a thumbnail.

    Upright by its EXIF orientation, alpha laid on white, colour profiles ignored, `crop` cut out and squashed to the
    square with a bilinear (antialiased) filter. Of an animated picture the first frame is taken: it shows the product,
    and refusing it would lose an item for a decoration. The thumbnail (WebP, longest side 256, never enlarged) shows
    the whole picture and carries no metadata; so does the copy code, where `copy_code_of` is given. PictureRefusedError
    where the picture breaks a limit or is damaged.
    For one thread of a process only: it changes what becomes of warnings for a while.
    """
    if len(content) > limits.bytes_max:
        raise PictureRefusedError(Refusal.BYTES)
    file_format = _format_of(content)
    if file_format is None:
        raise PictureRefusedError(Refusal.FORMAT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which is of no use here.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decode(content, file_format, limits, thumbnail=thumbnail, crop=crop, copy_code_of=copy_code_of)
    except PictureRefusedError:
        raise
    except MemoryError as error:
        raise PictureRefusedError(Refusal.MEMORY) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureRefusedError(Refusal.PIXELS) from error
    except Exception as error:
        raise PictureRefusedError(Refusal.DAMAGED) from error


def media_type_of(content: bytes) -> str:
    """The media type of a picture that `decode` takes."""
    return f"image/{(_format_of(content) or 'unknown').lower()}"


def _format_of(content: bytes) -> str | None:
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "WEBP"
    return None


def _decode(
    content: bytes,
    file_format: str,
    limits: DecodeLimits,
    *,
    thumbnail: bool,
    crop: Crop,
    copy_code_of: CopyCodeOf | None,
) -> Picture:
    image = Image.open(io.BytesIO(content), formats=(file_format,))
    width, height = image.size
    _check_size(width, height, limits)
    # A JPEG of at least twice the needed size is decoded at 1/2, 1/4 or 1/8 (twice, so that the filter still has
    # something to average). What is needed does not depend on the thumbnail, or the thumbnail would change the pixels.
    image.draft(None, _draft_size(crop))
    image.load()
    orientation = _orientation(image)
    upright = _rgb(image)
    if orientation in _UPRIGHT:
        upright = upright.transpose(_UPRIGHT[orientation])
    if orientation in _SIDEWAYS:
        width, height = height, width
    return Picture(
        pixels=_squash(upright, crop).tobytes(),
        thumbnail=_thumbnail(upright, width, height) if thumbnail else None,
        width=width,
        height=height,
        copy_code=copy_code_of(upright) if copy_code_of is not None else None,
    )


def _check_size(width: int, height: int, limits: DecodeLimits) -> None:
    if max(width, height) > IMAGE_SIDE_MAX:
        raise PictureRefusedError(Refusal.SIDE)
    if width * height > limits.pixels_max:
        raise PictureRefusedError(Refusal.PIXELS)


def _draft_size(crop: Crop) -> tuple[int, int]:
    # The same for both sides, because at this point the picture may still lie on its side.
    share = min(crop[2] - crop[0], crop[3] - crop[1])
    side = math.ceil(2 * SIDE / share)
    return side, side


def _orientation(image: ImageFile.ImageFile) -> int:
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 (malformed EXIF raises errors of any kind, and the picture is fine without it)
        return 1
    return found if isinstance(found, int) else 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255 instead of scaling.
        return image.point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGB", image.size, "white")
        transparent = image if image.mode == "RGBA" else image.convert("RGBA")
        white.paste(transparent, mask=transparent)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _squash(upright: Image.Image, crop: Crop) -> Image.Image:
    width, height = upright.size
    left, top, right, bottom = crop
    box = (left * width, top * height, right * width, bottom * height)
    return upright.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)


def _thumbnail(upright: Image.Image, width: int, height: int) -> bytes:
    scale = min(1.0, THUMBNAIL_SIDE / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Averaging whole blocks first saves a third of the time, and nobody tells the difference at this size.
    small = upright.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)
    target = io.BytesIO()
    small.save(target, "WEBP", method=_WEBP_METHOD, quality=_WEBP_QUALITY)
    return target.getvalue()
