"""Which rows a restriction lets through."""

import numpy as np
from numpy.typing import NDArray

from searcher.resident.row_table import Rows
from searcher.resident.rows import ImageRows
from shared.store import Restriction


class Visibility:
    """A restriction over the rows as they are now; valid until they change.

    `narrow`: it lets through part of the window only (a filter), so most rows may be hidden.
    """

    def __init__(self, rows: ImageRows, restriction: Restriction) -> None:
        self._times = rows.event_times
        after_ms, since_ms = restriction.visible_after_ms, restriction.since_ms
        self._from_ms = after_ms + 1 if since_ms is None else max(after_ms + 1, since_ms)
        self._until_ms = restriction.until_ms
        self._all_are_late_enough = rows.oldest_ms >= self._from_ms
        self._filters = [rows.terms.any_of(terms) for terms in restriction.terms if terms]
        if not all(restriction.terms):
            # A list without terms has no match.
            self._until_ms = self._from_ms
        self.narrow = bool(self._filters or self._until_ms is not None or since_ms is not None)

    def mask(self, which: slice | Rows) -> NDArray[np.bool_] | None:
        """One boolean for each of these rows: whether it is visible; None where all are."""
        masks = [] if self._all_are_late_enough else [self._times[which] >= self._from_ms]
        if self._until_ms is not None:
            masks.append(self._times[which] < self._until_ms)
        masks.extend(terms.mask(which) for terms in self._filters)
        return np.logical_and.reduce(masks) if masks else None
