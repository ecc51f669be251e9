"""Bags of visual words (Sivic & Zisserman, ICCV 2003; Csurka et al., ECCV workshop 2004): what came before networks.

Three blocks, each of length 1, one after the other: how often each word of a vocabulary occurs among the picture's SIFT
descriptors (Lowe, IJCV 2004), under the square root (Hellinger); the gradient histograms of `classic`; and a histogram
of the whole picture's colours, under the square root. A block of which a picture has nothing is zeros.

Descriptors are those of the picture at half its side, because SIFT doubles what it is given first: so its finest scale
is that of the 224 pixels. At the whole side it costs 2.5 times as much on pictures of 32 x 32, and retrieves no better
there; on photos of clothes it costs 6 times as much, and retrieves worse (EVALUATION.md).

A word is a centre of k-means over descriptors of sampled pictures, rounded to whole numbers as descriptors are: so
distances are whole numbers too, and the nearest word is the same whatever the order of additions.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from shared.encoding.classic import ClassicEmbedder
from shared.encoding.embedder import EmbedderSpec, refuse_other_weights
from shared.errors import ConfigurationError
from shared.images.picture import PREPROCESSING, SIDE
from shared.settings import Settings

DESCRIPTORS_PER_PICTURE = 50
"""Taken for a vocabulary, those of strongest contrast: 2,000 pictures give at most 100,000."""

_VERSION = "bovw/2"
_LENGTH = 128
"""Of a SIFT descriptor; its values are whole numbers up to 255."""
_GRADIENTS, _COLOURS = 1296, 36
_DESCRIBED_SIDE = SIDE // 2
_PICTURES_AT_ONCE = 8
_ITERATIONS = 30
_SETTLED = 1.0
"""Centres that move by less are rounded to the same whole numbers, or nearly so."""

Descriptors = NDArray[np.uint8]
"""Shape (count, 128)."""


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """Visual words, shape (count, 128)."""

    words: Descriptors

    def to_bytes(self) -> bytes:
        """The file's content; the same words give the same bytes."""
        stream = io.BytesIO()
        np.savez_compressed(stream, version=np.array(_VERSION), words=self.words)
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Vocabulary":
        """Read what `to_bytes` wrote; ValueError where it is anything else."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                version, words = str(arrays["version"]), arrays["words"]
        except (KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(str(error)) from error
        if version != _VERSION or words.dtype != np.uint8 or words.ndim != 2 or words.shape[1] != _LENGTH:
            raise ValueError(f"{version}, {words.dtype} {words.shape}")
        return cls(words)


def build_vocabulary(descriptors: Descriptors, words: int, seed: int) -> Vocabulary:
    """The centres of `words` clusters (k-means++); the same descriptors in the same order give the same vocabulary.

    ConfigurationError where there are fewer descriptors than words.
    """
    if len(descriptors) < words:
        raise ConfigurationError(
            f"{words} visual words need as many SIFT descriptors, and the pictures give {len(descriptors)}"
        )
    cv2.setRNGSeed(seed)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, _ITERATIONS, _SETTLED)
    values = descriptors.astype(np.float32)
    _, _, centres = cv2.kmeans(values, words, np.empty(0, np.int32), criteria, 1, cv2.KMEANS_PP_CENTERS)
    return Vocabulary(np.rint(centres).astype(np.uint8))


def open_bag_of_words(location: str, settings: Settings, stored: EmbedderSpec | None) -> "BagOfWordsEmbedder":
    """Open the vocabulary's file; errors as in `shared.encoding.opening.open_embedder`."""
    path = Path(location)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"CATALOGUE_EMBEDDER: {path}: {error.strerror}") from error
    digest = hashlib.sha256(content).hexdigest()
    refuse_other_weights(f"CATALOGUE_EMBEDDER={settings.embedder}", digest, stored)
    try:
        vocabulary = Vocabulary.from_bytes(content)
    except ValueError as error:
        raise ConfigurationError(
            f"CATALOGUE_EMBEDDER: {path} (sha256 {digest}) is no vocabulary of `indexer vocabulary` ({error})"
        ) from error
    dimensions = len(vocabulary.words) + _GRADIENTS + _COLOURS
    preprocessing = f"{PREPROCESSING} {_VERSION}"
    spec = EmbedderSpec(f"bovw:{path.name}", "histograms", digest, "float32", preprocessing, dimensions)
    return BagOfWordsEmbedder(vocabulary, spec, settings.threads or os.cpu_count() or 1)


class BagOfWordsEmbedder:
    """Word counts, gradients and colours; some 4 ms a picture on one core."""

    def __init__(self, vocabulary: Vocabulary, spec: EmbedderSpec, threads: int) -> None:
        words = vocabulary.words.astype(np.float32)
        self._words = np.ascontiguousarray(words.T)
        self._halved_squares = (words * words).sum(axis=1) / 2
        self._spec = spec
        self._classic = ClassicEmbedder()
        self._threads = _Threads(threads)

    @property
    def spec(self) -> EmbedderSpec:
        """What decides its output; the vocabulary's digest stands for weights."""
        return self._spec

    @property
    def batch_size(self) -> int:
        """What keeps all threads busy."""
        return _PICTURES_AT_ONCE * self._threads.count

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        return self._threads.map(self._embed_part, pixels)

    def _embed_part(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        counts = np.stack([self._word_counts(picture) for picture in pixels])
        blocks = [np.sqrt(counts), self._classic.gradients(pixels), np.sqrt(self._classic.colours(pixels))]
        return np.concatenate([_of_length_one(block) for block in blocks], axis=1).astype(np.float32)

    def _word_counts(self, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
        descriptors, _ = _described(picture)
        # Half of each squared distance, less what all words have in common: whole and half numbers below 2 ** 23, so
        # that float32 holds every sum on the way.
        distances = self._halved_squares - descriptors.astype(np.float32) @ self._words
        return np.bincount(distances.argmin(axis=1), minlength=len(self._halved_squares)).astype(np.float64)


class DescriptorEmbedder:
    """Gives a picture's strongest SIFT descriptors as its row: a vocabulary's pictures are sampled as those of a fit.

    A row is 50 descriptors of 128 values one after the other, with zeros where the picture has fewer.
    """

    def __init__(self, threads: int) -> None:
        self._threads = _Threads(threads)

    @property
    def spec(self) -> EmbedderSpec:
        """Of no encoder."""
        dimensions = DESCRIPTORS_PER_PICTURE * _LENGTH
        return EmbedderSpec("sift", "descriptors", "", "float32", PREPROCESSING, dimensions)

    @property
    def batch_size(self) -> int:
        """What keeps all threads busy."""
        return _PICTURES_AT_ONCE * self._threads.count

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        return self._threads.map(lambda part: np.stack([_strongest(picture) for picture in part]), pixels)

    @staticmethod
    def descriptors_of(rows: NDArray[np.float32]) -> Descriptors:
        """All descriptors in rows that `embed` gave."""
        every = rows.reshape(-1, _LENGTH).astype(np.uint8)
        return every[every.any(axis=1)]


class _Threads:
    """Calls a function for a few pictures at a time on all cores; OpenCV lets go of Python's lock."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, "words")
        # Threads of OpenCV's own would wait for each other several times a picture.
        cv2.setNumThreads(1)

    def map(
        self, function: Callable[[NDArray[np.uint8]], NDArray[np.float32]], pixels: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        parts = (pixels[start : start + _PICTURES_AT_ONCE] for start in range(0, len(pixels), _PICTURES_AT_ONCE))
        return np.concatenate(list(self._pool.map(function, parts)))


def _described(picture: NDArray[np.uint8]) -> tuple[Descriptors, NDArray[np.float64]]:
    """SIFT descriptors, and for each the contrast, place, size and angle of its key point, shape (count, 5)."""
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_DESCRIBED_SIDE, _DESCRIBED_SIDE), interpolation=cv2.INTER_AREA)
    points, descriptors = cv2.SIFT.create().detectAndCompute(small, None)
    if not points:
        return np.empty((0, _LENGTH), np.uint8), np.empty((0, 5))
    order = np.array([(point.response, *point.pt, point.size, point.angle) for point in points])
    return descriptors.astype(np.uint8), order


def _strongest(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    descriptors, order = _described(picture)
    strongest = np.lexsort(order.T[::-1])[::-1][:DESCRIPTORS_PER_PICTURE]
    row = np.zeros((DESCRIPTORS_PER_PICTURE, _LENGTH), np.float32)
    row[: len(strongest)] = descriptors[strongest]
    return row.ravel()


def _of_length_one(block: NDArray[np.float64]) -> NDArray[np.float64]:
    norms = np.sqrt((block * block).sum(axis=1, keepdims=True))
    unit: NDArray[np.float64] = block / np.where(norms > 0, norms, 1)
    return unit
