"""A hash head: bits learned from evidence, beside bits that keep what the evidence does not speak of.

Linear, with a closed solution, so there are no epochs and nothing depends on a device:

1. *Whitening.* Directions in which pictures that belong together differ are shortened: x (S + λ t I)^-1/2, where S
   is the scatter of pictures around the mean of their label, or of anchors and positives, and t its mean variance
   (relevant component analysis, Bar-Hillel et al., JMLR 2005, with shrinkage).
2. *Discriminants.* The directions of largest scatter of the labels' means, or of anchors and negatives (Fisher 1936).
3. *Two blocks.* A share of the bits is ITQ of the discriminants, the others are ITQ of all that is orthogonal to them:
   what no label names goes on to be found. EVALUATION.md compares it with trained networks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from indexer.training.evidence import Evidence
from shared.encoding.binarizer import Binarizer, fit_binarizer
from shared.errors import ConfigurationError
from shared.hash_code import SUBCODE_BITS

Matrix = NDArray[np.float64]

KIND = "learned"

_RANK_TOLERANCE = 1e-9
"""A direction with a smaller scatter, relative to the largest, is rounding noise."""


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """`share` of the bits are learned; `shrinkage` is the λ above."""

    bits: int
    share: float = 0.3
    shrinkage: float = 1.0
    seed: int = 0


def learn_head(rows: Matrix, evidence: Evidence, options: HeadOptions) -> tuple[Binarizer, tuple[str, ...]]:
    """A binarizer of the kind `learned` for embeddings of unit length (count, dimensions), and warnings for a person.

    The same rows, evidence and options give the same bits. ConfigurationError where the evidence tells nothing apart.
    """
    if evidence.empty:
        raise ConfigurationError("there is nothing to learn from: no labels and no triplets are left")
    learned_bits = _learned_bits(options)
    with threadpool_limits(limits=1, user_api="blas"):
        whitening = _whitening(_within(rows, evidence), options.shrinkage)
        directions = _discriminants(_between(rows, evidence), whitening, learned_bits)
        rest = whitening - (whitening @ directions) @ directions.T
    parts: list[tuple[Matrix, int]] = [(whitening @ directions, learned_bits), (rest, options.bits - learned_bits)]
    fitted = [_itq(rows, transform, bits, options.seed) for transform, bits in parts if bits]
    # Rounded before the thresholds are used, so that a stored binarizer is the learned one.
    projection = np.concatenate([each for each, _ in fitted], axis=1).astype(np.float32).astype(np.float64)
    with threadpool_limits(limits=1, user_api="blas"):
        thresholds = rows.mean(axis=0) @ projection
    # Fewer discriminants than bits are no fault: several bits then look at one direction.
    warnings = fitted[-1][1] if learned_bits < options.bits else ()
    return Binarizer(KIND, projection, thresholds), warnings


def _learned_bits(options: HeadOptions) -> int:
    """The first block's length, a whole number of subcodes."""
    if not 0 <= options.share <= 1:
        raise ConfigurationError(f"--share: {options.share} is not from 0 to 1")
    return min(options.bits, int(options.bits * options.share / SUBCODE_BITS + 0.5) * SUBCODE_BITS)


def _itq(rows: Matrix, transform: Matrix, bits: int, seed: int) -> tuple[Matrix, tuple[str, ...]]:
    """The projection of the rows, and warnings."""
    with threadpool_limits(limits=1, user_api="blas"):
        binarizer, warnings = fit_binarizer(rows @ transform, bits, "itq", seed)
        return transform @ binarizer.projection, warnings


def _within(rows: Matrix, evidence: Evidence) -> Matrix:
    """The mean scatter of what belongs together, each field and the triplets with an equal say."""
    scatters = []
    for values in evidence.labels.values():
        apart = np.concatenate([rows[members] - rows[members].mean(axis=0) for members in values.values()])
        scatters.append(apart.T @ apart / len(apart))
    if len(evidence.triplets):
        apart = rows[evidence.triplets[:, 0]] - rows[evidence.triplets[:, 1]]
        scatters.append(apart.T @ apart / (2 * len(apart)))
    return np.mean(np.stack(scatters), axis=0)  # type: ignore[no-any-return]


def _between(rows: Matrix, evidence: Evidence) -> Matrix:
    """The mean scatter of what does not belong together; of triplets, less that of what does."""
    scatters = []
    for values in evidence.labels.values():
        means = np.stack([rows[members].mean(axis=0) for members in values.values()])
        apart = means - means.mean(axis=0)
        scatters.append(apart.T @ apart / len(apart))
    if len(evidence.triplets):
        anchors, positives, negatives = (rows[evidence.triplets[:, role]] for role in range(3))
        near, far = anchors - positives, anchors - negatives
        scatters.append((far.T @ far - near.T @ near) / (2 * len(far)))
    return np.mean(np.stack(scatters), axis=0)  # type: ignore[no-any-return]


def _whitening(scatter: Matrix, shrinkage: float) -> Matrix:
    variances, vectors = np.linalg.eigh(scatter)
    mean = variances.mean()
    if mean <= np.finfo(np.float64).tiny:
        # Whatever belongs together is the same picture: nothing to shorten.
        return np.eye(len(scatter))
    whitening: Matrix = (vectors / np.sqrt(np.maximum(variances, 0) + shrinkage * mean)) @ vectors.T
    return whitening


def _discriminants(between: Matrix, whitening: Matrix, most: int) -> Matrix:
    """Orthonormal columns (dimensions, up to `most`), the most telling first.

    Chance makes scatters of triplets too large as often as negative: the lowest shows how far that goes.
    """
    scatter, vectors = np.linalg.eigh(whitening @ between @ whitening)
    noise = max(scatter[-1] * _RANK_TOLERANCE, -scatter[0], 0.0)
    telling = np.flatnonzero(scatter > noise)[::-1][:most]
    if most and not len(telling):
        raise ConfigurationError("no direction of the embeddings tells apart what the labels or triplets do")
    return vectors[:, telling]
