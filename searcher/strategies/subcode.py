"""Multi-index hashing on 16-bit subcodes, exact (Norouzi, Punjani, Fleet, CVPR 2012; TPAMI 2014, section 3).

With m subcodes and a radius r = m * t + a (0 <= a < m), a code within r of the query differs in at most t bits in one
of the first a + 1 subcodes, or in at most t - 1 bits in one of the others: if all of the first had t + 1 and all others
t, there would be m * t + a + 1 differing bits. So only codes with one of these subcodes are compared.

The k nearest are found by asking for a small radius first: where the k-th hit lies within the radius asked for, it is
proven; where k hits lie farther off, the k-th's distance is a radius that proves all.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from math import comb

import numpy as np
from numpy.typing import NDArray

from searcher.backend import Backend
from searcher.strategies import Found, Query, StrategyName
from searcher.strategies.stored import Flat, count_of, found_in_store, searchable_since
from shared.hash_code import SUBCODE_BITS, subcode_keys
from shared.store import Neighbours

# What one question may name (Elasticsearch's default limit of a `terms` query).
KEYS_MAX = 65_536
# All values of a subcode by how many bits are set: the first comb(16, 0) + … + comb(16, t) have at most t.
_BY_BITS_SET = np.argsort(np.bitwise_count(np.arange(1 << SUBCODE_BITS)), kind="stable").astype(np.int64)
_WITHIN: list[int] = [0, *np.cumsum([comb(SUBCODE_BITS, bits) for bits in range(SUBCODE_BITS + 1)]).tolist()]


class Subcode:
    """Asks the store for the codes that share a neighbourhood of a subcode; where these are too many, for all."""

    def __init__(self, backend: Backend, now: Callable[[], datetime]) -> None:
        self._backend = backend
        self._now = now
        self._flat = Flat(backend, now)

    async def nearest(self, query: Query) -> Found:
        as_of = searchable_since(self._backend, self._now())
        compared = 0
        for radius in self._radii(query):
            found = await self._within(query, radius)
            compared += found.compared
            if len(found.neighbours) == count_of(query) and not _is_proven(query, radius, found):
                radius = found.neighbours[-1].distance  # noqa: PLW2901 (as near as that, it proves all)
                if key_count(len(query.code) // 2, radius) > KEYS_MAX:
                    break
                found = await self._within(query, radius)
                compared += found.compared
            if _is_proven(query, radius, found):
                return found_in_store(StrategyName.SUBCODE, query, replace(found, compared=compared), radius, as_of)
        return await self._flat.nearest(query)

    def _radii(self, query: Query) -> Iterator[int]:
        """The radii to try; a query's own at once, since no smaller one proves it."""
        parts = len(query.code) // 2
        if query.radius is not None:
            radii: Iterator[int] = iter([query.reach])
        else:
            # The largest radius for which every subcode is looked for within `bits` differing bits.
            radii = (min(query.reach, parts * (bits + 1) - 1) for bits in range(SUBCODE_BITS + 1))
        for radius in radii:
            if key_count(parts, radius) > KEYS_MAX:
                return
            yield radius

    async def _within(self, query: Query, radius: int) -> Neighbours:
        """The nearest of all codes that share a neighbourhood: all within `radius` are among them, others may be."""
        restriction = replace(query.restriction, subcodes=keys_within(query.code, radius).tolist())
        return await self._backend.ask(
            lambda store: store.nearest(query.encoder_id, query.code, count_of(query), query.radius, restriction)
        )


def _is_proven(query: Query, radius: int, found: Neighbours) -> bool:
    """Whether no nearer one is missing from what was found; another look makes nothing complete."""
    if not found.complete or radius >= query.reach:
        return True
    return len(found.neighbours) == count_of(query) and found.neighbours[-1].distance <= radius


def keys_within(code: bytes, radius: int) -> NDArray[np.int64]:
    """Keys as of `subcode_keys` of which every code within `radius` bits of `code` has at least one; shape (n,)."""
    keys = subcode_keys(code)
    bits, more = divmod(radius, len(keys))
    first, others = keys[: more + 1], keys[more + 1 :]
    near = (first[:, np.newaxis] ^ _BY_BITS_SET[: _WITHIN[min(bits, SUBCODE_BITS) + 1]]).ravel()
    far = (others[:, np.newaxis] ^ _BY_BITS_SET[: _WITHIN[min(bits, SUBCODE_BITS + 1)]]).ravel()
    return np.concatenate([near, far])


def key_count(parts: int, radius: int) -> int:
    """The length of what `keys_within` gives for a code of so many subcodes."""
    bits, more = divmod(radius, parts)
    first = _WITHIN[min(bits, SUBCODE_BITS) + 1]
    return (more + 1) * first + (parts - more - 1) * _WITHIN[min(bits, SUBCODE_BITS + 1)]
