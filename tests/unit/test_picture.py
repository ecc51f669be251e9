"""From picture bytes to pixels: the right ones for every mode, and a closed answer to every bad picture."""

import io
import random
import struct
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path
from subprocess import run

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from shared.errors import RejectionReason
from shared.images import decoded
from shared.images.picture import SIDE, Crop, DecodeLimits, Picture, PictureRefusedError, Refusal, decode
from shared.settings import Settings
from tests.pictures import draw, encode

LIMITS = DecodeLimits(bytes_max=10_000_000, pixels_max=2_000_000, seconds=10, memory_bytes=2**30, processes=1)
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True, "exact": True}}


def pixels_of(picture: Picture) -> NDArray[np.int16]:
    return np.frombuffer(picture.pixels, np.uint8).reshape(SIDE, SIDE, 3).astype(np.int16)


def squashed(image: Image.Image) -> NDArray[np.int16]:
    """What the pixels of an upright RGB picture must be."""
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)).astype(np.int16)


def difference(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    return float(np.abs(one - other).mean())


def decoded_pixels(content: bytes, crop: Crop = (0, 0, 1, 1)) -> NDArray[np.int16]:
    return pixels_of(decode(content, LIMITS, thumbnail=False, crop=crop))


def refusal_of(content: bytes, limits: DecodeLimits = LIMITS) -> Refusal:
    with pytest.raises(PictureRefusedError) as caught:
        decode(content, limits, thumbnail=True)
    return caught.value.refusal


# Right pixels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_a_lossless_picture_is_squashed_to_the_square(file_format: str) -> None:
    image = draw(400, 533)
    picture = decode(encode(image, file_format, **LOSSLESS[file_format]), LIMITS, thumbnail=False)
    assert (pixels_of(picture) == squashed(image)).all()
    assert (picture.width, picture.height, picture.thumbnail) == (400, 533, None)


def test_a_jpeg_is_what_it_was_before_within_its_loss() -> None:
    assert difference(decoded_pixels(encode(draw(), "JPEG", quality=95)), squashed(draw())) < 2


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (700, 1), (3, 2), (224, 224)])
def test_any_shape_is_decoded(size: tuple[int, int]) -> None:
    picture = decode(encode(draw(*size), "PNG"), LIMITS, thumbnail=True)
    assert (pixels_of(picture) == squashed(draw(*size))).all()


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "L"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_another_mode_has_the_same_colours(mode: str, progressive: bool) -> None:
    expected = draw().convert("L").convert("RGB") if mode == "L" else draw()
    content = encode(draw().convert(mode), "JPEG", quality=95, progressive=progressive)
    assert difference(decoded_pixels(content), squashed(expected)) < 3


def test_a_palette_has_its_colours() -> None:
    palette = draw().quantize(64)
    assert (decoded_pixels(encode(palette, "PNG")) == squashed(palette.convert("RGB"))).all()


def test_one_bit_is_black_and_white() -> None:
    halves = Image.new("1", (100, 100))
    halves.paste(1, (50, 0, 100, 100))
    pixels = decoded_pixels(encode(halves, "PNG"))
    assert pixels[:, :100].max() == 0
    assert pixels[:, 124:].min() == 255


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_what_is_transparent_is_white(mode: str) -> None:
    black = Image.new("RGBA", (100, 100), (0, 0, 0, 255))
    black.paste((0, 0, 0, 0), (50, 0, 100, 100))
    if mode in ("RGBA", "LA", "P"):
        content = encode(black.convert(mode), "PNG")
    else:
        grey = Image.new(mode, (100, 100), "black")
        grey.paste("red" if mode == "RGB" else 90, (50, 0, 100, 100))
        content = encode(grey, "PNG", transparency=(255, 0, 0) if mode == "RGB" else 90)
    pixels = decoded_pixels(content)
    assert pixels[:, :100].max() == 0
    assert pixels[:, 124:].min() == 255


def test_half_transparent_black_is_grey() -> None:
    pixels = decoded_pixels(encode(Image.new("RGBA", (50, 50), (0, 0, 0, 128)), "WEBP", lossless=True, exact=True))
    assert abs(int(pixels.mean()) - 127) <= 1


def png(width: int, height: int, bits: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG from its raw parts."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("colour", "channels", "chunks"),
    [(0, 1, ()), (0, 1, ((b"tRNS", b"\x12\x34"),)), (2, 3, ()), (4, 2, ()), (6, 4, ())],
    ids=["grey", "grey with a transparent level", "RGB", "grey and alpha", "RGB and alpha"],
)
def test_sixteen_bits_are_scaled_and_not_clipped(
    colour: int, channels: int, chunks: tuple[tuple[bytes, bytes], ...]
) -> None:
    ramp = np.linspace(0, 65535, 256).astype(">u2")[None, :, None].repeat(256, 0).repeat(channels, 2)
    if channels in (2, 4):
        ramp[:, :, -1] = 65535
    rows = b"".join(b"\0" + row.tobytes() for row in ramp)
    pixels = decoded_pixels(png(256, 256, 16, colour, rows, *chunks))
    expected = squashed(Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90).convert("RGB"))
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_by_its_exif_orientation(file_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = draw(300, 200)
    content = encode(lying, file_format, exif=exif.tobytes(), **LOSSLESS[file_format])
    lying.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(lying)
    picture = decode(content, LIMITS, thumbnail=True)
    assert (pixels_of(picture) == squashed(upright)).all()
    assert (picture.width, picture.height) == upright.size
    small = Image.open(io.BytesIO(picture.thumbnail or b""))
    assert (small.width > small.height) == (upright.width > upright.height)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert (decoded_pixels(encode(draw(), "PNG", exif=exif.tobytes())) == squashed(draw())).all()


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0", b"\0" * 50])
def test_malformed_exif_does_not_spoil_a_picture(exif: bytes) -> None:
    content = encode(draw(), "JPEG", quality=95, exif=exif)
    assert (decoded_pixels(content) == decoded_pixels(encode(draw(), "JPEG", quality=95))).all()


def test_a_colour_profile_changes_nothing() -> None:
    assert (decoded_pixels(encode(draw(), "PNG", icc_profile=b"x" * 500)) == squashed(draw())).all()


@pytest.mark.parametrize("file_format", ["PNG", "WEBP"])
def test_an_animated_picture_is_its_first_frame(file_format: str) -> None:
    frames = [draw(seed=seed) for seed in range(3)]
    content = encode(
        frames[0], file_format, save_all=True, append_images=frames[1:], duration=50, **LOSSLESS[file_format]
    )
    assert (decoded_pixels(content) == squashed(frames[0])).all()


def test_a_jpeg_of_several_pictures_is_its_first() -> None:
    content = encode(draw(), "MPO", save_all=True, append_images=[draw(seed=1)], quality=95)
    assert difference(decoded_pixels(content), squashed(draw())) < 2


def test_a_large_jpeg_is_decoded_smaller_with_nearly_the_same_pixels() -> None:
    image = draw(1800, 1000)
    content = encode(image, "JPEG", quality=95)
    pixels = decoded_pixels(content)
    full = squashed(Image.open(io.BytesIO(content)))
    assert 0 < difference(pixels, full) < 1


def test_the_thumbnail_changes_no_pixel_and_nothing_else_does() -> None:
    content = encode(draw(1000, 900), "JPEG")
    with_thumbnail = decode(content, LIMITS, thumbnail=True)
    assert with_thumbnail.pixels == decode(content, LIMITS, thumbnail=False).pixels
    assert with_thumbnail == decode(content, LIMITS, thumbnail=True)


def test_a_crop_is_cut_from_the_upright_picture_before_squashing() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encode(draw(400, 800), "PNG", exif=exif.tobytes())
    upright = draw(400, 800).transpose(Image.Transpose.ROTATE_270)
    pixels = decoded_pixels(content, crop=(0.5, 0.25, 1, 0.75))
    assert difference(pixels, squashed(upright.crop((400, 100, 800, 300)))) < 0.5


def test_a_crop_of_the_whole_picture_is_the_picture() -> None:
    content = encode(draw(1900, 1000), "JPEG")
    assert (decoded_pixels(content, crop=(0, 0, 1, 1)) == decoded_pixels(content)).all()


def test_a_small_crop_of_a_large_jpeg_is_as_sharp_as_the_picture() -> None:
    image = draw(1800, 1000)
    pixels = decoded_pixels(encode(image, "JPEG", quality=98), crop=(0.5, 0.5, 0.625, 0.725))
    assert difference(pixels, squashed(image.crop((900, 500, 1125, 725)))) < 2


def test_a_crop_of_less_than_a_pixel_is_that_pixel() -> None:
    image = Image.new("RGB", (10, 10), "red")
    assert (decoded_pixels(encode(image, "PNG"), crop=(0.1, 0.1, 0.1000001, 0.1000001))[:, :] == (255, 0, 0)).all()


@pytest.mark.parametrize(
    ("size", "small"),
    [((640, 480), (256, 192)), ((480, 640), (192, 256)), ((100, 60), (100, 60)), ((900, 1), (256, 1))],
)
def test_a_thumbnail_is_a_webp_of_256_pixels_at_most(size: tuple[int, int], small: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a private note"
    content = encode(draw(*size), "JPEG", quality=95, exif=exif.tobytes(), icc_profile=b"x" * 500)
    thumbnail = decode(content, LIMITS, thumbnail=True, crop=(0, 0, 0.5, 0.5)).thumbnail or b""
    image = Image.open(io.BytesIO(thumbnail))
    assert (image.format, image.size) == ("WEBP", small)
    assert not {"exif", "icc_profile", "xmp"} & set(image.info)
    shown = np.asarray(image.convert("RGB").resize((16, 16))).astype(np.int16)
    assert difference(shown, np.asarray(draw(*size).resize((16, 16))).astype(np.int16)) < 12


# Bad pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xd8",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b"%PDF-1.7",
        b"SIMPLE  =                    T",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"RIFF\0\0\0\0WAVEfmt ",
        *(encode(draw(), name) for name in ("GIF", "BMP", "TIFF", "ICO", "PPM", "TGA", "JPEG2000", "AVIF")),
    ],
)
def test_another_format_is_refused(content: bytes) -> None:
    assert refusal_of(content) is Refusal.FORMAT


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
def test_a_picture_that_is_cut_short_is_refused(file_format: str, share: float) -> None:
    content = encode(draw(), file_format)
    assert refusal_of(content[: int(len(content) * share)]) is Refusal.DAMAGED


@pytest.mark.parametrize(
    ("size", "refusal"),
    [
        ((16_385, 1), Refusal.SIDE),
        ((1, 2**31 - 1), Refusal.PIXELS),
        ((16_000, 16_000), Refusal.PIXELS),
        ((1415, 1415), Refusal.PIXELS),
    ],
)
def test_a_pixel_bomb_is_refused_by_its_header(size: tuple[int, int], refusal: Refusal) -> None:
    began = time.process_time()
    assert refusal_of(png(*size, 8, 2, b"")) is refusal
    assert time.process_time() - began < 0.5


def test_a_picture_of_the_most_pixels_passes() -> None:
    content = encode(draw(200, 100), "PNG")
    assert decode(content, replace(LIMITS, pixels_max=20_000), thumbnail=False).width == 200
    assert refusal_of(content, replace(LIMITS, pixels_max=19_999)) is Refusal.PIXELS


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP"])
def test_a_large_picture_of_any_format_is_refused(file_format: str) -> None:
    assert refusal_of(encode(Image.new("RGB", (2000, 1001)), file_format)) is Refusal.PIXELS


def test_a_large_file_is_refused() -> None:
    content = encode(draw(), "JPEG")
    assert refusal_of(content, replace(LIMITS, bytes_max=len(content) - 1)) is Refusal.BYTES


def test_a_text_that_unpacks_to_gigabytes_is_refused() -> None:
    bomb = (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9))
    assert refusal_of(png(10, 10, 8, 0, bytes(110), bomb)) is Refusal.DAMAGED


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP"])
def test_whatever_is_wrong_with_a_picture_the_answer_is_pixels_or_a_refusal(file_format: str) -> None:
    dice = random.Random(1)
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encode(draw(60, 50), file_format, exif=exif.tobytes())
    answers: set[str] = set()
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(dice.choice((1, 3, 20))):
            content[dice.randrange(16, len(content))] = dice.randrange(256)
        try:
            answers.add(f"{len(decode(bytes(content), LIMITS, thumbnail=True).pixels)} bytes")
        except PictureRefusedError as error:
            answers.add(str(error))
    assert {f"{SIDE * SIDE * 3} bytes", Refusal.DAMAGED.value[1]} <= answers
    assert answers <= {f"{SIDE * SIDE * 3} bytes", *(refusal.value[1] for refusal in Refusal)}


# The module -----------------------------------------------------------------------------------------------------------


def test_a_child_imports_neither_numpy_nor_the_settings() -> None:
    check = "import sys, shared.images.decoder_child; print({'numpy', 'pydantic', 'aiohttp', 'torch'} & {*sys.modules})"
    done = run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_limits_are_the_settings() -> None:
    settings = Settings(_env_file=None, image_pixels_max=123_456)
    assert DecodeLimits.of(settings, cores=3).processes == 3
    assert DecodeLimits.of(settings, cores=3).pixels_max == 123_456
    assert DecodeLimits.of(settings.model_copy(update={"decode_processes": 5}), cores=3).processes == 5


def test_the_closed_set_has_a_reason_for_each_refusal() -> None:
    assert {refusal.value[0] for refusal in Refusal} == {
        RejectionReason.IMAGE_FORMAT_UNSUPPORTED,
        RejectionReason.IMAGE_TOO_LARGE,
        RejectionReason.IMAGE_UNDECODABLE,
    }
    assert decoded.SIDE == SIDE


# Real pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.data
@pytest.mark.parametrize("name", ["RGB.jpg", "CMYK.jpg", "YCbCr.jpg", "P.png", "RGBA.png", "L.png", "LA.png", "1.png"])
def test_one_real_picture_is_the_same_in_every_mode(data_dir: Path, name: str) -> None:
    modes = data_dir / "data" / "hard_images" / "modes"
    expected = decoded_pixels((modes / "original.jpg").read_bytes())
    pixels = decoded_pixels((modes / name).read_bytes())
    if name in ("L.png", "LA.png", "1.png"):
        weights = (0.299, 0.587, 0.114)
        expected = (expected @ np.array(weights)).astype(np.int16)[:, :, None].repeat(3, 2)
    assert difference(pixels, expected) < (40 if name == "1.png" else 8)


@pytest.mark.data
def test_real_photos_stand_upright(data_dir: Path) -> None:
    limits = replace(LIMITS, pixels_max=40_000_000)
    photos = sorted((data_dir / "data" / "hard_images" / "exif").iterdir())
    assert photos
    for photo in photos:
        upright = ImageOps.exif_transpose(Image.open(photo))
        picture = decode(photo.read_bytes(), limits, thumbnail=True)
        assert (picture.width, picture.height) == upright.size
        assert difference(pixels_of(picture), squashed(upright)) < 2


@pytest.mark.data
def test_tiny_real_pictures_are_decoded(data_dir: Path) -> None:
    for photo in (data_dir / "data" / "hard_images" / "tiny").iterdir():
        assert decode(photo.read_bytes(), LIMITS, thumbnail=True).width > 0
