"""The resident index: the codes of the window in memory, changed by a follower and searched exactly by all cores.

One scan at a time: a scan uses all cores anyway, so two would only take turns. Changes wait for scans and for looks at
single images, and these for changes, a chunk at a time (some milliseconds; where a table of ten million images doubles,
or what they show is copied together, up to some seconds). Who waits goes before who has just had the lock.
"""

import os
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from searcher.resident.block_scan import BlockScan, Near
from searcher.resident.fair_lock import FairLock
from searcher.resident.hamming_sum import HammingSum
from searcher.resident.hits import ResidentHits
from searcher.resident.measure import Distances, Measure, NearestMeasure, PlainMeasure, measure_of
from searcher.resident.pairs import PairJob, Progress, pairs_within
from searcher.resident.row_table import Rows
from searcher.resident.rows import ImageRows, IndexFullError
from searcher.resident.shown_file import ShownFile
from searcher.resident.visibility import Visibility
from shared import hamming_scan
from shared.errors import QueryInvalidError
from shared.store import Change, Restriction

__all__ = ["IndexFullError", "ResidentHits", "ResidentImage", "ResidentIndex"]

# Changes taken in before a waiting query gets its turn.
_CHUNK = 2048
# Codes that stay in a core's cache while they are compared with others.
_DRAWN_AT_ONCE = 1 << 13
# Queries of a batch that are compared with a block at once.
_QUERIES = 16


@dataclass(frozen=True, slots=True)
class ResidentImage:
    """What is kept of one image."""

    code: bytes
    version: int
    event_time_ms: int


class ResidentIndex:
    """Codes of `bits` bits in at most `bytes_max` bytes, with the terms of `fields`. All methods are thread-safe.

    `shown_file` makes an empty file for what is shown of the images (OSError); without it, that is not kept.
    `threads`: how many compute a scan; by default the cores that this process may use. `hash_of` is for tests.
    """

    def __init__(
        self,
        bits: int,
        bytes_max: int,
        fields: Sequence[str] = (),
        *,
        shown_file: Callable[[], ShownFile] | None = None,
        threads: int | None = None,
        hash_of: Callable[[str], int] = hash,
    ) -> None:
        self._bits = bits
        self._make_rows = partial(ImageRows, bits, bytes_max, fields, hash_of, shown_file)
        self._rows = self._make_rows()
        self._threads = threads or usable_cores()
        self._executor = hamming_scan.workers(self._threads)
        # Who changes rows holds both.
        self._scanning = FairLock()
        self._looking = FairLock()

    def close(self) -> None:
        """End the threads."""
        self._executor.shutdown()

    # Changing -----------------------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> None:
        """Take changes in, in their order: an image replaces one of a lower version, a marker removes one.

        Markers are not remembered: a feed gives an image's older copy only with the marker that follows it. Raises
        IndexFullError where an image does not fit; some of the changes are then taken in.
        """
        for start in range(0, len(changes), _CHUNK):
            with self._scanning, self._looking:
                self._rows.apply(changes[start : start + _CHUNK])

    def expire(self, visible_after_ms: int) -> int:
        """Remove the images of this event time or an older one; gives how many."""
        with self._scanning, self._looking:
            return self._rows.expire(visible_after_ms)

    def clear(self) -> None:
        """Forget everything, and give the memory back."""
        with self._scanning, self._looking:
            self._rows = self._make_rows()

    # What is there ------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._rows.count

    @property
    def bits(self) -> int:
        """The length of a code."""
        return self._bits

    @property
    def nbytes(self) -> int:
        """Bytes of memory in use."""
        with self._looking:
            return self._rows.nbytes

    @property
    def changing(self) -> bool:
        """Whether `image` would wait now."""
        return self._looking.taken

    def image(self, image_id: str) -> ResidentImage | None:
        """The image of this id, visible or not; waits for no scan."""
        with self._looking:
            rows = self._rows
            row = rows.ids.find_one(image_id)
            if row < 0:
                return None
            return ResidentImage(
                rows.codes[row, : self._bits // 8].tobytes(), int(rows.versions[row]), int(rows.event_times[row])
            )

    # Searching ----------------------------------------------------------------------------------------------------

    def can_filter(self, restriction: Restriction) -> bool:
        """Whether the restriction can be answered here: terms of declared fields alone, and no subcodes."""
        terms = self._rows.terms
        return restriction.subcodes is None and all(terms.has(term) for any_of in restriction.terms for term in any_of)

    def nearest(self, distance: HammingSum, count: int, radius: int | None, restriction: Restriction) -> ResidentHits:
        """The `count` (from 1) nearest visible images, none further than `radius`; exact."""
        with self._scanning:
            return self._nearest([measure_of(distance, self._bits)], count, radius, restriction)[0]

    def nearest_of_many(
        self, codes: NDArray[np.uint8], count: int, radius: int | None, restriction: Restriction
    ) -> list[ResidentHits]:
        """`nearest` for each row of `codes` (queries, bits / 8) by plain distance, in shared passes over the index."""
        groups = [PlainMeasure(codes[start : start + _QUERIES]) for start in range(0, len(codes), _QUERIES)]
        with self._scanning:
            return self._nearest(groups, count, radius, restriction) if groups else []

    def named(self, image_ids: Sequence[str], restriction: Restriction) -> ResidentHits:
        """Those of these images (distinct ids) that are visible, as hits at distance 0, in the order of their ids."""
        with self._scanning:
            rows = self._rows.ids.find(image_ids)
            rows = rows[rows >= 0]
            mask = self._visibility(restriction).mask(rows)
            rows = rows if mask is None else rows[mask]
            return self._hits(Near(rows, np.zeros(len(rows), np.int64), len(rows)), len(rows))

    def draw(
        self,
        codes: NDArray[np.uint8],
        restriction: Restriction,
        left_out: Collection[str],
        choose: Callable[[Distances], NDArray[np.intp]],
    ) -> list[str]:
        """The ids of the images that `choose` picks, in its order.

        It is given the distances to the nearest of `codes` (codes, bits / 8) of all visible images that are not
        `left_out`, in no special order, and gives places among them. They are those of one moment: codes are copied,
        which takes as much memory again, and the rest goes on beside queries and changes on the caller's thread.
        """
        with self._scanning:
            mask = self._visibility(restriction).mask(slice(0, self._rows.count))
            drawn = np.ones(self._rows.count, np.bool_) if mask is None else mask
            hidden = self._rows.ids.find(sorted(left_out))
            drawn[hidden[hidden >= 0]] = False
            job = self._copied(np.flatnonzero(drawn))
        measure, starts = NearestMeasure(codes), range(0, len(job.rows), _DRAWN_AT_ONCE)
        with hamming_scan.alone():
            parts = [measure.distances(job.codes[start : start + _DRAWN_AT_ONCE])[0] for start in starts]
        distances = np.concatenate([np.empty(0, np.int32), *parts])
        return [job.id_of(int(job.rows[place])) for place in choose(distances)]

    def histogram(self, distance: HammingSum, restriction: Restriction) -> NDArray[np.int64]:
        """How many visible images are at each distance from 0 to bits; shape (bits + 1,). Plain distances only."""
        if not distance.is_plain:
            raise QueryInvalidError("a histogram is of the distance to one code")

        def counts(_: Rows, distances: Distances) -> NDArray[np.int64]:
            return np.bincount(distances, minlength=self._bits + 1)

        with self._scanning:
            measure, visibility = measure_of(distance, self._bits), self._visibility(restriction)
            return sum(self._scan().reduced(measure, visibility, counts), np.zeros(self._bits + 1, np.int64))

    def count_closer(self, distance: HammingSum, at: int, image_id: str, restriction: Restriction) -> int:
        """How many visible images come before (`at`, `image_id`) in the order of hits: the rank of that image."""

        def closer(rows: Rows, distances: Distances) -> int:
            ties = self._rows.ids.texts(rows[distances == at])
            return int(np.count_nonzero(distances < at)) + sum(other < image_id for other in ties)

        with self._scanning:
            measure, visibility = measure_of(distance, self._bits), self._visibility(restriction)
            return sum(self._scan().reduced(measure, visibility, closer))

    def pairs(
        self, radius: int, visible_after_ms: int, progress: Progress | None = None
    ) -> Generator[tuple[int, str, str], None, None]:
        """All pairs of visible images at most `radius` bits apart, as (distance, id, later id), in no special order.

        They are those of one moment, the first step: codes are copied then, which takes as much memory again,
        and the job goes on beside queries and changes on the caller's thread. `progress` is told (rows done, rows).
        """
        with self._scanning:
            job = self._copied(np.flatnonzero(self._rows.event_times > visible_after_ms))
        yield from pairs_within(job, radius, progress)

    def _copied(self, rows: Rows) -> PairJob:
        return PairJob(self._rows.codes[rows], rows, self._rows.ids.copy(self._rows.count))

    def _visibility(self, restriction: Restriction) -> Visibility:
        if not self.can_filter(restriction):
            raise QueryInvalidError("the index in memory does not keep what this filter asks for")
        return Visibility(self._rows, restriction)

    def _scan(self) -> BlockScan:
        return BlockScan(self._rows.codes, self._executor, self._threads)

    def _nearest(
        self, measures: Sequence[Measure], count: int, radius: int | None, restriction: Restriction
    ) -> list[ResidentHits]:
        found = self._scan().nearest(measures, self._visibility(restriction), count, radius)
        return [self._hits(near, count) for near in found]

    def _hits(self, near: Near, count: int) -> ResidentHits:
        """The first `count` of these rows, in order."""
        rows, distances = near.rows, near.distances
        if len(rows) > count:
            within = distances <= np.partition(distances, count - 1)[count - 1]
            rows, distances = rows[within], distances[within]
        image_ids = self._rows.ids.texts(rows)
        ordered = sorted(zip(distances.tolist(), image_ids, range(len(rows)), strict=True))[:count]
        order = [place for _, _, place in ordered]
        rows = rows[order]
        return ResidentHits(
            distances[order],
            [image_id for _, image_id, _ in ordered],
            self._rows.versions[rows],
            self._rows.event_times[rows],
            self._rows.codes[rows, : self._bits // 8],
            near.compared,
            self._rows.shown.places(rows),
            self._rows.shown.file,
        )


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
