"""The copy code: near for the same photo however it was treated, far for others."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from shared.encoding.copy_code import COPY_BITS, COPY_RADIUS, check_copy_codes, mirrored
from shared.errors import ConfigurationError
from shared.settings import Settings
from tests.pictures import draw

pdq = pytest.importorskip("shared.encoding.copy_code_pdq", exc_type=ImportError)
PHOTO = draw(640, 480, seed=1)


def code_of(picture: Image.Image) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    code = pdq.copy_code_of(picture)
    assert code is not None
    assert len(code) * 8 == COPY_BITS
    return np.frombuffer(code, np.uint8)


def apart(one: Image.Image, other: Image.Image) -> int:
    return int(np.bitwise_count(code_of(one) ^ code_of(other)).sum())


def saved_as_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=quality)
    return Image.open(target).convert("RGB")


def test_a_resized_and_compressed_copy_is_within_the_radius() -> None:
    assert apart(PHOTO, PHOTO.resize((300, 225))) <= COPY_RADIUS
    assert apart(PHOTO, PHOTO.resize((1600, 1200))) <= COPY_RADIUS
    assert apart(PHOTO, saved_as_jpeg(PHOTO, 20)) <= COPY_RADIUS


def test_another_photo_is_far_away() -> None:
    assert apart(PHOTO, draw(640, 480, seed=2)) > 2 * COPY_RADIUS


def test_the_code_of_a_mirrored_photo_is_about_known() -> None:
    reflected = code_of(ImageOps.mirror(PHOTO))
    assert np.bitwise_count(mirrored(code_of(PHOTO)) ^ reflected).sum() <= COPY_RADIUS
    assert np.bitwise_count(code_of(PHOTO) ^ reflected).sum() > 2 * COPY_RADIUS
    assert np.array_equal(mirrored(mirrored(reflected)), reflected)


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (2000, 1), (300, 200)])
def test_a_picture_without_structure_has_no_copy_code(size: tuple[int, int]) -> None:
    assert pdq.copy_code_of(Image.new("RGB", size, "white")) is None


def test_copy_codes_without_their_library_are_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.encoding.copy_code.find_spec", lambda name: None)
    check_copy_codes(Settings(_env_file=None))
    with pytest.raises(ConfigurationError, match="copies"):
        check_copy_codes(Settings(_env_file=None, copy_codes=True))
