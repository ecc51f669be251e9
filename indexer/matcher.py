"""Which images lie near which watches: codes compared all with all, and filter terms of the near ones only."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.document import Document, attribute_terms
from shared.hamming_scan import within
from shared.match import Match
from shared.watch import Watch

# A scan has one radius. Watches of similar radii share one, the largest of them: so there are few scans, and few codes
# are found that lie within the scan's radius and not within their own watch's.
_RADII_APART = 16


@dataclass(frozen=True, slots=True)
class _Group:
    """Codes (rows, bytes) that are scanned with one radius, and whose each is: places of watches, (rows,)."""

    codes: NDArray[np.uint8]
    owners: NDArray[np.int64]
    radius: int


class Matcher:
    """The watches of one encoder, laid out for comparing. Ten thousand codes of 256 bits take 1 MB."""

    def __init__(self, encoder_id: str, watches: Sequence[Watch]) -> None:
        """All `watches` are of the encoder."""
        self._encoder_id = encoder_id
        self._watches = watches
        self._radii = np.array([one.radius for one in watches], np.int64)
        alike: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, one in enumerate(watches):
            alike[len(one.codes[0]), one.radius * _RADII_APART // (len(one.codes[0]) * 8)].append(place)
        self._groups = [_group(watches, places) for places in alike.values()]

    def matches(self, documents: Sequence[Document], now_ms: int) -> Iterator[Match]:
        """Each pair of a watch and a live document with a code of the encoder that match, at `now_ms`.

        Uses the kernel of `shared.hamming_scan`: call it on one of its workers.
        """
        codes = np.stack([np.frombuffer(one.codes[self._encoder_id], np.uint8) for one in documents])
        terms: dict[int, Sequence[str]] = {}
        for image, place, distance in self._near(codes):
            document, watch = documents[image], self._watches[place]
            if watch.terms:
                if image not in terms:
                    terms[image] = attribute_terms(document.attributes)
                if not watch.lets_through(terms[image]):
                    continue
            yield Match(
                watch.watch_id,
                watch.revision,
                document.image_id,
                document.version,
                distance,
                document.codes[self._encoder_id],
                self._encoder_id,
                document.event_time_ms,
                now_ms,
                document.item_id,
                document.image_url,
                document.attributes,
            )

    def _near(self, codes: NDArray[np.uint8]) -> Iterator[tuple[int, int, int]]:
        """Place of the image, place of the watch, and the distance to the nearest of its codes, where within radius."""
        found = []
        for group in self._groups:
            # Of another length are only codes of an encoder that has this one's name and is another one.
            if group.codes.shape[1] == codes.shape[1]:
                images, rows, distances = within(codes, group.codes, group.radius)
                owners = group.owners[rows]
                own = distances <= self._radii[owners]
                found.append(np.stack([images[own], owners[own], distances[own]]))
        if not found:
            return
        images, owners, distances = np.concatenate(found, axis=1)
        order = np.lexsort((distances, owners, images))
        before = None
        for image, owner, distance in np.stack([images, owners, distances])[:, order].T.tolist():
            if (image, owner) != before:
                yield image, owner, distance
            before = image, owner


def _group(watches: Sequence[Watch], places: Sequence[int]) -> _Group:
    codes = [code for place in places for code in watches[place].codes]
    owners = np.repeat(np.array(places, np.int64), [len(watches[place].codes) for place in places])
    laid_out = np.frombuffer(b"".join(codes), np.uint8).reshape(len(codes), -1)
    return _Group(laid_out, owners, max(watches[place].radius for place in places))
