"""Binarizers turn embeddings into bits. All kinds have one linear form: `embeddings @ projection > thresholds`.

| kind | bits | source |
|---|---|---|
| `itq` | principal components, rotated so that signs lose least | Gong & Lazebnik, Iterative Quantization, CVPR 2011 |
| `pca-rotation` | principal components under a random rotation | the start of the above |
| `hyperplanes` | sides of random hyperplanes through the origin | Charikar, STOC 2002 |
| `hyperplanes-centred` | the same through the mean | |
| `median` | single dimensions of largest variance, above or below their median | |

Kinds that remove the mean have it folded into the thresholds: (x - mean) @ P > 0 where x @ P > mean @ P.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from shared import hash_code
from shared.errors import ConfigurationError

Matrix = NDArray[np.float64]

_ITQ_ITERATIONS = 50
"""As many as the paper uses."""
_RANK_TOLERANCE = 1e-10
"""A direction whose variance is smaller, relative to the largest, is rounding noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Binarizer:
    """A fitted binarizer.

    `projection` has the shape (dimensions, bits) and holds float32 values in float64, `thresholds` the shape (bits,).
    Products are taken in float64: the order of additions, which depends on the number of rows, changes a result by
    1e-16 of its size, so that it practically never crosses a threshold (in float32, one bit in 10 million would).
    """

    kind: str
    projection: Matrix
    thresholds: Matrix

    @property
    def dimensions(self) -> int:
        """The length of the embeddings that it takes."""
        return len(self.projection)

    @property
    def bits(self) -> int:
        """The length of the codes that it gives."""
        return len(self.thresholds)

    @property
    def digest(self) -> str:
        """A hexadecimal SHA-256 of all that decides the bits."""
        digest = hashlib.sha256(f"{self.kind} {self.projection.shape}".encode())
        digest.update(self.projection.astype("<f4").tobytes())
        digest.update(self.thresholds.astype("<f8").tobytes())
        return digest.hexdigest()

    def encode(self, embeddings: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Embeddings (count, dimensions), all finite, to packed codes (count, bits / 8)."""
        with _one_thread():
            projected = embeddings.astype(np.float64) @ self.projection
        return hash_code.pack(projected > self.thresholds)

    def reordered(self, order: NDArray[np.intp]) -> "Binarizer":
        """The same bits in another order: bit i is the one that was bit `order[i]`."""
        return replace(self, projection=self.projection[:, order], thresholds=self.thresholds[order])

    def to_bytes(self) -> bytes:
        """Serialize, to be read by `from_bytes`."""
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            kind=np.array(self.kind),
            projection=self.projection.astype(np.float32),
            thresholds=self.thresholds,
        )
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Binarizer":
        """Read what `to_bytes` wrote; ConfigurationError where it is anything else."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls(
                    str(arrays["kind"]),
                    arrays["projection"].astype(np.float64),
                    arrays["thresholds"].astype(np.float64),
                )
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ConfigurationError(f"a stored binarizer can't be read: {error}") from error


def fit_binarizer(
    embeddings: NDArray[np.floating], bits: int, kind: str, seed: int
) -> tuple[Binarizer, tuple[str, ...]]:
    """Fit a binarizer on embeddings (count, dimensions), all finite, at least one.

    Gives it with warnings for a person: where there are fewer pictures than bits, or more bits than dimensions, the
    missing directions are drawn at random, orthonormal as far as they can be. The same rows in the same order, bits,
    kind and seed give the same binarizer. Raises ConfigurationError where the kind can't give so many bits, and
    ValueError where `bits` is no multiple of 16 up to 4096.

    `itq` at b bits costs 50 singular value decompositions of b x b: a second at 256 bits, a minute at 1024, an hour at
    4096, where `hyperplanes-centred` ranks as well; principal components of 4,096 dimensions cost 15 seconds.
    """
    hash_code.validate_bits(bits)
    if kind not in _FITS:
        raise ConfigurationError(f"CATALOGUE_BINARIZER: {kind!r} is none of {', '.join(_FITS)}")
    with _one_thread():
        fitted = _FITS[kind](embeddings.astype(np.float64, copy=False), bits, np.random.default_rng(seed))
    # Rounded before the thresholds are used, so that a stored binarizer is the fitted one.
    projection = fitted.projection.astype(np.float32).astype(np.float64)
    thresholds = fitted.origin @ projection if fitted.thresholds is None else fitted.thresholds
    return Binarizer(kind, projection, thresholds), fitted.warnings


class _Fitted(NamedTuple):
    """A projection, and thresholds: given, or those of planes through `origin`."""

    projection: Matrix
    origin: Matrix
    warnings: tuple[str, ...] = ()
    thresholds: Matrix | None = None


def _fit_itq(embeddings: Matrix, bits: int, generator: np.random.Generator) -> _Fitted:
    mean, directions, warnings = _principal_directions(embeddings, bits, generator)
    projected = (embeddings - mean) @ directions
    rotation = _random_rotation(bits, generator)
    for _ in range(_ITQ_ITERATIONS):
        vertices = np.where(projected @ rotation > 0, 1.0, -1.0)
        # The rotation that brings the rows nearest to their vertices: orthogonal Procrustes (Schönemann 1966).
        left, _, right = np.linalg.svd(vertices.T @ projected)
        rotation = right.T @ left.T
    return _Fitted(directions @ rotation, mean, warnings)


def _fit_pca_rotation(embeddings: Matrix, bits: int, generator: np.random.Generator) -> _Fitted:
    mean, directions, warnings = _principal_directions(embeddings, bits, generator)
    return _Fitted(directions @ _random_rotation(bits, generator), mean, warnings)


def _fit_hyperplanes(embeddings: Matrix, bits: int, generator: np.random.Generator) -> _Fitted:
    dimensions = embeddings.shape[1]
    return _Fitted(generator.standard_normal((dimensions, bits)), origin=np.zeros(dimensions))


def _fit_centred_hyperplanes(embeddings: Matrix, bits: int, generator: np.random.Generator) -> _Fitted:
    return _fit_hyperplanes(embeddings, bits, generator)._replace(origin=embeddings.mean(axis=0))


def _fit_median(embeddings: Matrix, bits: int, _: np.random.Generator) -> _Fitted:
    dimensions = embeddings.shape[1]
    if bits > dimensions:
        raise ConfigurationError(
            f"CATALOGUE_BITS: the median binarizer gives one bit a dimension, here {dimensions} at most, not {bits}"
        )
    chosen = np.sort(np.argsort(-embeddings.var(axis=0), kind="stable")[:bits])
    projection = np.zeros((dimensions, bits))
    projection[chosen, np.arange(bits)] = 1.0
    return _Fitted(projection, np.zeros(dimensions), thresholds=np.median(embeddings[:, chosen], axis=0))


_FITS: dict[str, Callable[[Matrix, int, np.random.Generator], _Fitted]] = {
    "itq": _fit_itq,
    "pca-rotation": _fit_pca_rotation,
    "hyperplanes": _fit_hyperplanes,
    "hyperplanes-centred": _fit_centred_hyperplanes,
    "median": _fit_median,
}


def _principal_directions(
    embeddings: Matrix, bits: int, generator: np.random.Generator
) -> tuple[Matrix, Matrix, tuple[str, ...]]:
    """The mean, orthonormal directions of falling variance (dimensions, bits), and warnings.

    Where the rows fix fewer directions than bits, random orthonormal ones follow, and zero columns where the dimensions
    are used up: a rotation of all bits then still spreads every direction over every bit.
    """
    count, dimensions = embeddings.shape
    mean = embeddings.mean(axis=0)
    principal = _eigenvectors(embeddings - mean)[:, :bits]
    warnings = []
    if bits > dimensions:
        warnings.append(f"{bits} bits from {dimensions} dimensions: the bits can't all be independent")
    if (rank := principal.shape[1]) < min(bits, dimensions):
        missing = min(bits, dimensions) - rank
        warnings.append(
            f"{count} pictures fix only {rank} of {min(bits, dimensions)} directions; the others are random: more "
            "pictures give better codes"
        )
        drawn = generator.standard_normal((dimensions, missing))
        completed, _ = np.linalg.qr(np.concatenate([principal, drawn], axis=1))
        principal = np.concatenate([principal, completed[:, rank:]], axis=1)
    return mean, np.pad(principal, ((0, 0), (0, bits - principal.shape[1]))), tuple(warnings)


def _eigenvectors(centred: Matrix) -> Matrix:
    """The directions in which the rows vary, orthonormal columns, largest variance first."""
    count, dimensions = centred.shape
    if count >= dimensions:
        variances, vectors = np.linalg.eigh(centred.T @ centred)
        return vectors[:, _significant(variances)]
    # With fewer rows than dimensions, the small matrix of row products has the same variances.
    variances, weights = np.linalg.eigh(centred @ centred.T)
    directions, _ = np.linalg.qr(centred.T @ weights[:, _significant(variances)])
    return directions


def _significant(variances: Matrix) -> NDArray[np.intp]:
    """Indices of the variances that are not rounding noise, largest first; `variances` rise."""
    rising = np.flatnonzero(variances > max(variances[-1], 0.0) * _RANK_TOLERANCE)
    return rising[::-1]


def _random_rotation(size: int, generator: np.random.Generator) -> Matrix:
    """An orthogonal matrix, uniformly distributed (Mezzadri, Notices of the AMS 2007)."""
    orthogonal, triangular = np.linalg.qr(generator.standard_normal((size, size)))
    rotation: Matrix = orthogonal * np.sign(np.diag(triangular))
    return rotation


def _one_thread() -> AbstractContextManager[object]:
    """Keep matrix products on the calling thread.

    On cores that are busy decoding, the threads of a product wait for each other: one of 4 rows takes 80 ms in place of
    1 ms. And a fit's rounding does not depend on the number of cores.
    """
    limit: AbstractContextManager[object] = _linear_algebra().limit(limits=1)
    return limit


@cache
def _linear_algebra() -> ThreadpoolController:
    """Looking for the libraries takes milliseconds, so it is done once."""
    return ThreadpoolController().select(user_api="blas")
