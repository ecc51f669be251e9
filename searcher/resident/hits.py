"""What the resident index finds, as columns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from searcher.resident.shown_file import Places, ShownFile


@dataclass(frozen=True, slots=True)
class ResidentHits:
    """Images near a query, ordered by (distance, code points of the image id) and cut by this order.

    `distances`, `versions` and `event_times_ms` (milliseconds since the epoch) have the shape (hits,). `compared` is
    how many codes were compared with the query: all that the restriction lets through, and where it is no more than the
    window also those that have left the window and are not removed yet. `codes` has the shape (hits, bits / 8).
    """

    distances: NDArray[np.int64]
    image_ids: list[str]
    versions: NDArray[np.int64]
    event_times_ms: NDArray[np.int64]
    codes: NDArray[np.uint8]
    compared: int
    _places: Places
    _file: ShownFile | None

    def shown(self) -> list[bytes | None]:
        """What is shown of each, of the version that is a hit; None where that is not kept here."""
        return [None] * len(self.image_ids) if self._file is None else self._file.read(self._places)

    def behind(self, start: int) -> "ResidentHits":
        """All but the first `start`."""
        return self.taken(np.arange(start, len(self.image_ids)))

    def taken(self, places: NDArray[np.intp], distances: NDArray[np.int64] | None = None) -> "ResidentHits":
        """Those at `places`, in this order, with other `distances` if given."""
        return replace(
            self,
            distances=self.distances[places] if distances is None else distances,
            image_ids=[self.image_ids[place] for place in places.tolist()],
            versions=self.versions[places],
            event_times_ms=self.event_times_ms[places],
            codes=self.codes[places],
            _places=self._places[places],
        )

    @staticmethod
    def union(found: "Sequence[ResidentHits]") -> "ResidentHits":
        """The hits (at least one set) of one call of `nearest_of_many`, each image once, in no order."""
        image_ids = [image_id for hits in found for image_id in hits.image_ids]
        first = np.array(sorted({image_id: place for place, image_id in reversed(list(enumerate(image_ids)))}.values()))
        joined = replace(
            found[0],
            distances=np.concatenate([hits.distances for hits in found]),
            image_ids=image_ids,
            versions=np.concatenate([hits.versions for hits in found]),
            event_times_ms=np.concatenate([hits.event_times_ms for hits in found]),
            codes=np.concatenate([hits.codes for hits in found]),
            _places=np.concatenate([hits._places for hits in found]),
        )
        return joined.taken(first.astype(np.intp))
