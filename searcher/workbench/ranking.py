"""Which image to judge next: the one most like those that were judged relevant and least like the others.

Two views of the same codes, each in standard deviations over the candidates, are added:

- *density*: the logarithm of how much denser relevant codes lie around a candidate than others, by kernels (Parzen
  1962). It keeps several looks of one concept apart (a mug from the front, and its label).
- *bits*: Robertson and Sparck Jones' relevance weights of the bits (JASIS 1976, formula F4), smoothed towards evenly
  set bits. It learns what the relevant ones have in common.

In simulations as of `make find-everything` neither alone was as good on rare and on frequent concepts.
"""

import numpy as np
from numpy.typing import NDArray

# A code counts e times less for each further such share of its bits in which it differs.
_KERNEL = 0.04
# Everywhere it is as if one more code, not relevant, lay so far away: what is further than that says little.
_PRIOR_DISTANCE = 0.4
# Codes that nobody judged, half of whose bits are set, are counted in so often: one relevant, some not.
_PRIOR_RELEVANT = 1.0
_PRIOR_NOT = 5.0
# No bit decides alone.
_SHARE_MIN = 0.01

Codes = NDArray[np.uint8]
"""Packed codes, shape (count, bits / 8)."""


def rank_candidates(candidates: Codes, relevant: Codes, not_relevant: Codes) -> NDArray[np.intp]:
    """The order in which to judge `candidates`, most promising first, ties by place; at least one code is relevant."""
    unlike = _density(candidates, not_relevant) + np.exp(-_PRIOR_DISTANCE / _KERNEL)
    density = np.log(_density(candidates, relevant)) - np.log(unlike)
    weights = _relevance_weights(np.unpackbits(relevant, axis=1), np.unpackbits(not_relevant, axis=1))
    bits = np.unpackbits(candidates, axis=1) @ weights
    return np.argsort(-_standardized(density) - _standardized(bits), kind="stable")


def nearest_distances(candidates: Codes, codes: Codes) -> NDArray[np.float64]:
    """For each candidate the Hamming distance to the nearest of `codes` (at least one); shape (candidates,)."""
    nearest: NDArray[np.float64] = _distances(candidates, codes).min(axis=1).astype(np.float64)
    return nearest


def _density(candidates: Codes, codes: Codes) -> NDArray[np.float64]:
    """The sum of the kernels of `codes` (any number) at each candidate; shape (candidates,)."""
    kernels = _distances(candidates, codes)
    kernels /= -_KERNEL * candidates.shape[1] * 8
    density: NDArray[np.float64] = np.exp(kernels, out=kernels).sum(axis=1, dtype=np.float64)
    return density


def _distances(candidates: Codes, codes: Codes) -> NDArray[np.float32]:
    """Hamming distances, shape (candidates, codes)."""
    # The product of two rows of signs is the number of bits less twice the Hamming distance.
    distances = _signs(candidates) @ _signs(codes).T
    distances -= candidates.shape[1] * 8
    distances /= -2
    return distances


def _relevance_weights(relevant: NDArray[np.uint8], not_relevant: NDArray[np.uint8]) -> NDArray[np.float64]:
    return _log_odds(relevant, _PRIOR_RELEVANT) - _log_odds(not_relevant, _PRIOR_NOT)


def _log_odds(bits: NDArray[np.uint8], prior: float) -> NDArray[np.float64]:
    share = (bits.sum(axis=0) + prior / 2) / (len(bits) + prior)
    share = share.clip(_SHARE_MIN, 1 - _SHARE_MIN)
    odds: NDArray[np.float64] = np.log(share / (1 - share))
    return odds


def _signs(codes: Codes) -> NDArray[np.float32]:
    return np.unpackbits(codes, axis=1).astype(np.float32) * 2 - 1


def _standardized(values: NDArray[np.float64]) -> NDArray[np.float64]:
    deviation = values.std()
    centred: NDArray[np.float64] = values - values.mean()
    return centred / deviation if deviation > 0 else centred
