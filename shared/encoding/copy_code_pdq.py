"""Copy codes of pictures by pdqhash; the one module that imports it. Used in a decoding child."""

import numpy as np
import pdqhash
from PIL import Image

# A picture without structure (a plain colour, a soft gradient) has a code of noise. Of PDQ's quality from 0 to 100 its
# authors advise to trust 50 and above.
QUALITY_MIN = 50
# PDQ averages down to 64 x 64 by itself, at a cost by the pixel. Its authors' own program shrinks to this first, too.
SIDE_MAX = 512


def copy_code_of(picture: Image.Image) -> bytes | None:
    """The copy code (32 bytes) of an RGB picture of any size, None of one that has too little structure for it."""
    scale = SIDE_MAX / max(picture.size)
    if scale < 1:
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    bits, quality = pdqhash.compute(np.asarray(picture))
    return np.packbits(bits.astype(np.uint8)).tobytes() if quality >= QUALITY_MIN else None
