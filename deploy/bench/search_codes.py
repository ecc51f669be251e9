"""Codes for the search benchmark: of real pictures where the collections are, each copied with a few bits turned."""

import io
import zipfile
from collections.abc import Iterator

import numpy as np
import rig
from numpy.typing import NDArray
from PIL import Image
from rich.progress import Progress

from shared.encoding.embedder import Embedder
from shared.encoding.encoder import Encoder, fit_encoder
from shared.encoding.opening import open_embedder
from shared.images.picture import SIDE
from shared.settings import Settings

Codes = NDArray[np.uint8]

# ITQ takes a minute at 1024 bits and an hour at 4096, where hyperplanes rank as well.
_ITQ_BITS_MAX = 256
_TURNED_PART_MAX = 0.1
_EMBEDDED_AT_ONCE = 64
_SEED = 1


class CodeSource:
    """Encoders and codes of any length from one set of pictures, embedded once."""

    def __init__(self, embedder: Embedder, embeddings: NDArray[np.float32], description: str, *, real: bool) -> None:
        self._embedder = embedder
        self._embeddings = embeddings
        self._encoders: dict[int, Encoder] = {}
        self._real = real
        self.description = description

    @classmethod
    def open(cls, pictures_max: int, progress: Progress) -> "CodeSource":
        """Embed so many pictures at most; where there is no collection, the codes are random."""
        embedder = open_embedder(Settings(_env_file=None, embedder="classic"))
        try:
            contents = list(_pictures(pictures_max))
        except SystemExit:
            drawn = np.random.default_rng(_SEED).standard_normal((600, embedder.spec.dimensions))
            return cls(embedder, drawn.astype(np.float32), "random codes", real=False)
        parts = []
        for start in progress.track(range(0, len(contents), _EMBEDDED_AT_ONCE), description="embedding pictures"):
            parts.append(embedder.embed(_pixels(contents[start : start + _EMBEDDED_AT_ONCE])))
        description = (
            f"{len(contents):,} real pictures (clothing, CIFAR-10), the `classic` embedder, ITQ up to {_ITQ_BITS_MAX} "
            "bits and hyperplanes above, copied up to the number of images with 0 to "
            f"{_TURNED_PART_MAX:.0%} of each copy's bits turned at random"
        )
        return cls(embedder, np.concatenate(parts), description, real=True)

    def encoder(self, bits: int) -> Encoder:
        """An encoder fitted on the pictures."""
        if bits not in self._encoders:
            kind = "itq" if bits <= _ITQ_BITS_MAX else "hyperplanes-centred"
            self._encoders[bits], _ = fit_encoder(self._embedder, self._embeddings, bits, kind, seed=0)
        return self._encoders[bits]

    def codes(self, bits: int, count: int) -> Codes:
        """Codes of shape (count, bits / 8), the same at each call."""
        generator = np.random.default_rng(_SEED)
        if not self._real:
            return generator.integers(0, 256, (count, bits // 8), dtype=np.uint8)
        rows = self._embeddings / np.linalg.norm(self._embeddings, axis=1, keepdims=True)
        return copies(self.encoder(bits).binarizer.encode(rows), count, generator)


def copies(originals: Codes, count: int, generator: np.random.Generator) -> Codes:
    """The originals again and again up to `count` rows; of each copy up to a tenth of the bits is turned."""
    made = originals[np.arange(count) % len(originals)]
    bits = originals.shape[1] * 8
    turned = generator.integers(0, int(bits * _TURNED_PART_MAX) + 1, count)
    turned[: len(originals)] = 0
    for number in range(int(turned.max(initial=0))):
        rows = np.flatnonzero(turned > number)
        places = generator.integers(0, bits, len(rows))
        made[rows, places >> 3] ^= (1 << (places & 7)).astype(np.uint8)
    return made


def _pictures(count: int) -> Iterator[bytes]:
    """The clothing pictures, and CIFAR-10's test pictures up to `count` in all."""
    clothes = rig.clothing(min(count, 1905))
    yield from (path.read_bytes() for *_, path in clothes)
    with zipfile.ZipFile(rig.data_dir() / "data" / "cifar10" / "cifar10.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("test/"))
        yield from (archive.read(name) for name in names[: count - len(clothes)])


def _pixels(contents: list[bytes]) -> Codes:
    opened = [Image.open(io.BytesIO(content)).convert("RGB") for content in contents]
    return np.stack([np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for image in opened])
