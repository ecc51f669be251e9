"""The copy code: what tells the same photo from others, beside the embedding's code, which tells what it shows.

PDQ (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", 2019): the lowest 16 x 16
cosine frequencies of the luminance, each compared with their median. It needs no fit and no network, so the codes of
all indexes can be compared, also with lists of PDQ hashes from elsewhere.
"""

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigurationError
from shared.settings import Settings

COPY_ENCODER_ID = "pdq-256"
"""The name that copy codes are stored under. Another way to prepare pictures needs another name."""
COPY_BITS = 256
COPY_RADIUS = 31
"""Two codes at most so far apart are taken for the same photo, as PDQ's authors advise."""

# Bits lie by rows of sixteen horizontal frequencies; a mirrored picture has those of odd frequency with the other sign.
MIRRORED_OCTET = 0b01010101


def mirrored(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """About the copy codes of the mirrored (left to right) pictures, of their codes: 15 bits off on average.

    Only about, because their median differs a little, too.
    """
    flipped: NDArray[np.uint8] = codes ^ np.uint8(MIRRORED_OCTET)
    return flipped


def check_copy_codes(settings: Settings) -> None:
    """ConfigurationError where copy codes are asked for and the library for them is not installed."""
    if settings.copy_codes and not can_make_copy_codes():
        raise ConfigurationError("CATALOGUE_COPY_CODES needs the package pdqhash: install the extra `copies`")


def can_make_copy_codes() -> bool:
    """Whether the library for copy codes is installed."""
    return find_spec("pdqhash") is not None
