"""A store in memory, by brute force: what the searcher is tested on, and the truth for the real stores."""

import json
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from shared.document import Document, attribute_terms, attribute_words, pack_shown
from shared.errors import (
    ConfigurationError,
    QueryInvalidError,
    RejectedError,
    RejectionReason,
    StoreUnavailableError,
)
from shared.hash_code import hamming_distances, subcode_keys
from shared.rolling_window import is_droppable, month_of
from shared.store import (
    NEIGHBOURS_MAX,
    Change,
    ChangeFeed,
    Changes,
    Neighbour,
    Neighbours,
    PageCursor,
    Restriction,
    StoredCopy,
    StoredEncoder,
    WriteOutcome,
)
from shared.watch import NO_WATCHES, WatchList


@dataclass
class FakeStore:
    """Keeps the contract of `shared.store.Store`; what a test may set makes it fail, wait, or answer in part.

    `away` makes every call fail, those of a feed too, and `feed_away` only these; `step_changes` is the most that a
    feed gives at a time; `held` makes `nearest` wait until it is set, and `waiting` tells that it does;
    `incomplete` is given as the reason of an incomplete answer; `asked` collects the counts that `nearest` was asked
    for, and `writes` how many documents each write had.
    """

    away: bool = False
    feed_away: bool = False
    step_changes: int = 5000
    searchable_after_seconds: float = 0.0
    held: threading.Event | None = None
    waiting: threading.Event = field(default_factory=threading.Event)
    incomplete: str | None = None
    asked: list[int] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)
    _encoder: StoredEncoder | None = None
    _watches: WatchList = NO_WATCHES
    _months: dict[str, str] = field(default_factory=dict)
    _documents: dict[str, Document] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)
    _written: int = 0
    _drops: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def activate_encoder(self, encoder: StoredEncoder) -> None:
        with self._answering():
            if self._encoder is not None and self._encoder.encoder_id != encoder.encoder_id:
                raise ConfigurationError("another encoder is active")
            self._encoder = encoder

    def active_encoder(self) -> StoredEncoder | None:
        with self._answering():
            return self._encoder

    def publish_watches(self, watches: WatchList) -> None:
        with self._answering():
            if watches.revision > self._watches.revision:
                self._watches = watches

    def lose_watches(self) -> None:
        """Forget them, as a store does whose index of watches somebody deletes."""
        self._watches = NO_WATCHES

    def watches_revision(self) -> int:
        with self._answering():
            return self._watches.revision

    def watches(self) -> WatchList:
        with self._answering():
            return self._watches

    def settle(self, image_ids: Sequence[str]) -> Mapping[str, Document]:
        return self.documents(image_ids)

    def write(self, documents: Sequence[Document], now: datetime) -> Sequence[WriteOutcome | RejectedError]:
        with self._answering():
            self.writes.append(len(documents))
            for document in documents:
                for encoder_id, code in document.codes.items():
                    self._check_length(encoder_id, code)
            return [self._write(document, month_of(now)) for document in documents]

    def drop_expired(self, now: datetime, window_months: int) -> Sequence[str]:
        with self._answering():
            months = sorted({month for month in self._months.values() if is_droppable(month, now, window_months)})
            for image_id in [image_id for image_id, month in self._months.items() if month in months]:
                del self._months[image_id], self._documents[image_id], self._numbers[image_id]
            self._drops += len(months)
            return months

    def documents(self, image_ids: Sequence[str]) -> Mapping[str, Document]:
        with self._answering():
            found = {image_id: self._documents[image_id] for image_id in image_ids if image_id in self._documents}
        return {image_id: replace(document, thumbnail=None) for image_id, document in found.items()}

    def documents_at(self, versions: Mapping[str, int]) -> Mapping[str, Document]:
        found = self.documents(list(versions))
        return {image_id: one for image_id, one in found.items() if one.live and one.version == versions[image_id]}

    def thumbnail(self, image_id: str) -> bytes | None:
        with self._answering():
            document = self._documents.get(image_id)
            return document.thumbnail if document is not None and document.live else None

    def nearest(
        self, encoder_id: str, code: bytes, count: int, radius: int | None, restriction: Restriction
    ) -> Neighbours:
        if self.held is not None:
            self.waiting.set()
            self.held.wait(30)
        with self._answering():
            self.asked.append(count)
            self._check_length(encoder_id, code)
            visible = [document for document in self._visible(restriction) if encoder_id in document.codes]
        if restriction.subcodes is not None:
            keys = set(restriction.subcodes)
            visible = [one for one in visible if keys.intersection(subcode_keys(one.codes[encoder_id]).tolist())]
        if not visible:
            return Neighbours([], self.incomplete is None, self.incomplete)
        codes = np.stack([np.frombuffer(document.codes[encoder_id], dtype=np.uint8) for document in visible])
        measured = [
            Neighbour(int(distance), _without_extras(document))
            for distance, document in zip(hamming_distances(code, codes), visible, strict=True)
        ]
        near = [found for found in measured if radius is None or found.distance <= radius]
        near.sort(key=lambda found: (found.distance, found.document.image_id))
        return Neighbours(
            near[: min(count, NEIGHBOURS_MAX)], self.incomplete is None, self.incomplete, compared=len(visible)
        )

    def approximately_nearest(
        self, encoder_id: str, code: bytes, count: int, radius: int | None, restriction: Restriction
    ) -> Neighbours:
        raise QueryInvalidError("this store keeps no graph")

    def follow(self, encoder_id: str, *, terms: bool, shown: bool = False) -> ChangeFeed:
        return _Feed(self, encoder_id, terms, shown, drops=self._drops)

    def newest(
        self, words: Sequence[str], restriction: Restriction, after: PageCursor | None, count: int
    ) -> Sequence[Document]:
        with self._answering():
            visible = self._visible(restriction)
        found = sorted(
            (document for document in visible if _holds(document, words)),
            key=lambda document: (-document.event_time_ms, document.image_id),
        )
        if after is not None:
            behind = (-after.event_time_ms, after.image_id)
            found = [document for document in found if (-document.event_time_ms, document.image_id) > behind]
        return [_without_extras(document) for document in found[:count]]

    def visible_count(self, restriction: Restriction) -> int:
        with self._answering():
            return len(self._visible(restriction))

    def scan(self) -> Generator[StoredCopy, None, None]:
        yield from self.copies(sorted(self._documents))

    def copies(self, image_ids: Sequence[str]) -> Sequence[StoredCopy]:
        with self._answering():
            found = [self._documents[image_id] for image_id in image_ids if image_id in self._documents]
            return [
                StoredCopy(
                    self._months[one.image_id],
                    one.image_id,
                    one.kind,
                    one.version,
                    one.event_time_ms,
                    frozenset(one.codes),
                )
                for one in found
            ]

    def check(self) -> None:
        with self._answering():
            pass

    def close(self) -> None:
        """Nothing to free."""

    def read_changes(self, feed: "_Feed") -> tuple[Changes, int, int]:
        """The next step of a feed, and the `after` and `drops` that it has then."""
        if self.feed_away:
            raise StoreUnavailableError("the store is away")
        with self._answering():
            lost = feed.drops != self._drops
            start = 0 if lost else feed.after
            newer = sorted((number, name) for name, number in self._numbers.items() if number > start)
            given = newer[: self.step_changes]
            changes = [_change(self._documents[name], feed) for _, name in given]
            return Changes(changes, len(given) < self.step_changes, lost), max([start, *dict(given)]), self._drops

    def _answering(self) -> threading.Lock:
        if self.away:
            raise StoreUnavailableError("the store is away")
        return self._lock

    def _check_length(self, encoder_id: str, code: bytes) -> None:
        kept = (document.codes[encoder_id] for document in self._documents.values() if encoder_id in document.codes)
        bits = len(next(kept, code)) * 8
        if len(code) * 8 != bits:
            raise ConfigurationError(f"codes of {encoder_id} have {bits} bits, not {len(code) * 8}")

    def _write(self, document: Document, month: str) -> WriteOutcome | RejectedError:
        if not _can_be_kept(document):
            return RejectedError(RejectionReason.DOCUMENT_REFUSED, "no JSON in UTF-8 can say this")
        there = self._documents.get(document.image_id)
        if there is not None and document.adds_codes_to(there):
            month = self._months[document.image_id]
        elif there is not None and there.version >= document.version:
            return WriteOutcome.REPEATED if there.version == document.version else WriteOutcome.SUPERSEDED
        self._written += 1
        self._numbers[document.image_id] = self._written
        self._documents[document.image_id] = document
        self._months[document.image_id] = month
        return WriteOutcome.WRITTEN

    def _visible(self, restriction: Restriction) -> list[Document]:
        return [document for document in self._documents.values() if _passes(document, restriction)]


@dataclass
class _Feed:
    """Reads in the order of the numbers that writes take."""

    store: FakeStore
    encoder_id: str
    terms: bool
    shown: bool
    drops: int
    after: int = 0

    def read(self) -> Changes:
        step, self.after, self.drops = self.store.read_changes(self)
        return step


def _change(document: Document, feed: _Feed) -> Change:
    terms = attribute_terms(document.attributes) if feed.terms else ()
    code = document.codes.get(feed.encoder_id)
    shown = pack_shown(document) if feed.shown and code is not None else None
    return Change(document.image_id, document.version, document.event_time_ms, code, terms, shown)


def _can_be_kept(document: Document) -> bool:
    try:
        json.dumps(document.attributes, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def _passes(document: Document, restriction: Restriction) -> bool:
    if not document.visible(restriction.visible_after_ms):
        return False
    if restriction.since_ms is not None and document.event_time_ms < restriction.since_ms:
        return False
    if restriction.until_ms is not None and document.event_time_ms >= restriction.until_ms:
        return False
    terms = set(attribute_terms(document.attributes))
    return all(terms.intersection(alternatives) for alternatives in restriction.terms)


def _holds(document: Document, words: Sequence[str]) -> bool:
    known = attribute_words(document.attributes)
    return all(any(candidate.startswith(word) for candidate in known) for word in words)


def _without_extras(document: Document) -> Document:
    return replace(document, thumbnail=None, codes={})
