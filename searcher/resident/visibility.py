"""Which rows a restriction lets through."""

import numpy as np
from numpy.typing import NDArray

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
        self._filters = [rows.terms.any_of(terms) for terms in restriction.terms]
        self.narrow = bool(self._filters or restriction.until_ms is not None or restriction.since_ms is not None)

    def mask(self, start: int, stop: int) -> NDArray[np.bool_] | None:
        """One boolean for each row from `start` to `stop`; None where all are visible."""
        masks = [] if self._all_are_late_enough else [self._times[start:stop] >= self._from_ms]
        if self._until_ms is not None:
            masks.append(self._times[start:stop] < self._until_ms)
        masks.extend(terms.mask(start, stop) for terms in self._filters)
        return np.logical_and.reduce(masks) if masks else None

    def of_rows(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of `rows` are late enough; asked only where the restriction is not narrow."""
        late_enough: NDArray[np.bool_] = self._times[rows] >= self._from_ms
        return late_enough
