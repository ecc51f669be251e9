"""The store of documents, encoders and watches: one contract, kept by Elasticsearch (monthly indices) and by SQLite.

Every method may raise StoreUnavailableError (retriable: nothing is known of what was written, and writing again is
harmless) and ConfigurationError (a mapping that does not fit, a file that is no database of ours). All methods may be
called from several threads.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from shared.document import Document, Kind
from shared.errors import RejectedError
from shared.watch import WatchList

# The most neighbours that one question may ask a store for (Elasticsearch counts no further than 10,000 in one reply).
NEIGHBOURS_MAX = 10_000


class WriteOutcome(StrEnum):
    """What became of one document given to `write`."""

    WRITTEN = "written"
    REPEATED = "repeated"
    """The same version is there already: this document, or another one of that version that came first."""
    SUPERSEDED = "superseded"
    """A higher version is there already."""


@dataclass(frozen=True, slots=True)
class StoredEncoder:
    """An encoder as the store keeps it: its id and the bytes that `shared.encoding.encoder` writes and reads."""

    encoder_id: str
    bits: int
    blob: bytes


@dataclass(frozen=True, slots=True)
class Restriction:
    """Which images may be shown. Times are milliseconds since the epoch.

    `visible_after_ms` is the window's start (exclusive); `since_ms` (inclusive) and `until_ms` (exclusive) narrow the
    event time further. `terms` are attribute terms: each inner list needs at least one match. `subcodes`, where not
    None, are keys as of `shared.hash_code.subcode_keys`: an image needs a code (of the encoder asked for) with at least
    one of them.
    """

    visible_after_ms: int
    terms: Sequence[Sequence[str]] = ()
    since_ms: int | None = None
    until_ms: int | None = None
    subcodes: Sequence[int] | None = None


class Neighbour(NamedTuple):
    """An image near a query: its distance in bits and its document, without thumbnail and codes."""

    distance: int
    document: Document


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest images, ordered by (distance, image id) and cut by the same order.

    `complete` is False where the store could not look everywhere (a shard is missing, a limit was met); `reason` says
    why. `compared` is how many codes were compared with the query's: those that the restriction lets through.
    """

    neighbours: Sequence[Neighbour]
    complete: bool = True
    reason: str | None = None
    compared: int = 0


@dataclass(frozen=True, slots=True)
class PageCursor:
    """Where a page of images ended: the next page starts behind (event time descending, image id ascending)."""

    event_time_ms: int
    image_id: str


class Change(NamedTuple):
    """What one write left, as a follower needs it: an image with its `code`, or a marker (`code` is None).

    `terms` are the image's attribute terms, empty unless they were asked for; `shown` is what is shown of it, as of
    `shared.document.pack_shown`, None unless that was asked for.
    """

    image_id: str
    version: int
    event_time_ms: int
    code: bytes | None
    terms: Sequence[str] = ()
    shown: bytes | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """A step of a `ChangeFeed`.

    `caught_up`: with this step all has been given that was acknowledged before the first `read` after the last such
    step was called. `lost`: what was given before is void (a month is gone, or was made anew) and everything follows
    again from here.
    """

    changes: Sequence[Change]
    caught_up: bool
    lost: bool = False


class ChangeFeed(Protocol):
    """Follows the writes of a store, from everything that is there on; used by one thread.

    Who keeps for each image what the highest version left (a marker over an image of a lower version, an image over
    one of a lower version or a marker of the same, to which a code was added) holds after a step that is `caught_up`
    what a search of the store would find. An image that moves between months is not given up in between.
    """

    def read(self) -> Changes:
        """The next step, possibly empty; some thousand changes at most.

        StoreUnavailableError loses nothing: read again.
        """


@dataclass(frozen=True, slots=True)
class StoredCopy:
    """What a check needs of one copy of an image; `encoder_ids` names the encoders that it has codes of."""

    month: str
    image_id: str
    kind: Kind
    version: int
    event_time_ms: int
    encoder_ids: frozenset[str]

    @property
    def live(self) -> bool:
        """Whether this is an image that can be found, and not a marker."""
        return self.kind is Kind.IMAGE


class Store(Protocol):
    """Documents by image id, encoders, published watches, and the questions asked of them."""

    @property
    def searchable_after_seconds(self) -> float:
        """A search sees every write that was acknowledged so long before it began (`documents` and `copies`: all)."""

    # Encoders -----------------------------------------------------------------------------------------------------

    def activate_encoder(self, encoder: StoredEncoder) -> None:
        """Keep `encoder` and make it the active one; ConfigurationError where another is active (also in a race)."""

    def active_encoder(self) -> StoredEncoder | None:
        """The encoder that the index is written with, None before the first `indexer fit`."""

    # Watches ------------------------------------------------------------------------------------------------------

    def publish_watches(self, watches: WatchList) -> None:
        """Keep the list where its revision is higher than that of the one there; also in a race the highest stays.

        Once this has returned, every `watches_revision` that is asked gives this revision or a higher one.
        """

    def watches_revision(self) -> int:
        """The revision of the list that is there, in real time and cheaply; 0 where none was published."""

    def watches(self) -> WatchList:
        """The list that is there, in real time; `NO_WATCHES` where none was published."""

    # Writing ------------------------------------------------------------------------------------------------------

    def settle(self, image_ids: Sequence[str]) -> Mapping[str, Document]:
        """Look up the highest version of each known image, in real time, without thumbnails, markers included.

        An id found with more than one live copy is repaired before this returns.
        """

    def write(self, documents: Sequence[Document], now: datetime) -> Sequence[WriteOutcome | RejectedError]:
        """Write documents of distinct image ids, each unless an equal or higher version is there; one answer for each.

        Over an equal version goes only an image that adds codes to the live one there (`Document.adds_codes_to`), in
        the month where that lies: of equal versions the first stays, and no code of it is ever lost.
        When this returns, each image has at most one live copy, and a document that takes over from an older copy was
        searchable before the older one went. A document that the store refuses for what it holds is a RejectedError.
        """

    def drop_expired(self, now: datetime, window_months: int) -> Sequence[str]:
        """Drop whole the months that can hold no visible image any more; gives the dropped months."""

    # Reading ------------------------------------------------------------------------------------------------------

    def documents(self, image_ids: Sequence[str]) -> Mapping[str, Document]:
        """What `settle` gives, without repairing."""

    def documents_at(self, versions: Mapping[str, int]) -> Mapping[str, Document]:
        """The live documents of these images at just these versions, as far as they are quickly at hand.

        Any may be missing; one that is given may have been superseded or deleted in the last seconds.
        """

    def thumbnail(self, image_id: str) -> bytes | None:
        """The WebP thumbnail kept with the live document of this id."""

    def nearest(
        self, encoder_id: str, code: bytes, count: int, radius: int | None, restriction: Restriction
    ) -> Neighbours:
        """The `count` (at most NEIGHBOURS_MAX) nearest visible images, none further than `radius` bits; exact."""

    def approximately_nearest(
        self, encoder_id: str, code: bytes, count: int, radius: int | None, restriction: Restriction
    ) -> Neighbours:
        """The same by a graph (HNSW): some may be missing. QueryInvalidError where the index keeps no such graph."""

    def follow(self, encoder_id: str, *, terms: bool, shown: bool = False) -> ChangeFeed:
        """A feed of the codes of this encoder; with the attribute terms, and what is shown, where asked for.

        Asks the store nothing yet.
        """

    def newest(
        self, words: Sequence[str], restriction: Restriction, after: PageCursor | None, count: int
    ) -> Sequence[Document]:
        """Visible images, newest event time first, then by id. Each of `words` starts a word of the attributes."""

    def visible_count(self, restriction: Restriction) -> int:
        """How many images are visible."""

    def scan(self) -> Generator[StoredCopy, None, None]:
        """Every copy in every month, markers included, by image id in the order of its code points; read in pages.

        All that was written before the first step is among them. What is written meanwhile may be seen or not, and of
        an image that moves both copies or none: look again with `copies`. Close the iterator where it is left early.
        """

    def copies(self, image_ids: Sequence[str]) -> Sequence[StoredCopy]:
        """Every copy of these images, in real time, markers included."""

    def check(self) -> None:
        """Raise where the store can't be used now."""

    def close(self) -> None:
        """Free connections and files."""
