"""What an event means for its image, decided from the event, what the store holds, and the clock. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from indexer.catalogue_event import CatalogueEvent
from shared.document import Document, Kind
from shared.errors import RejectedError, RejectionReason
from shared.rolling_window import is_inside, to_milliseconds


class Outcome(StrEnum):
    """What became of a record: exactly one of these for each record consumed (a metric label)."""

    INDEXED = "indexed"
    REUSED = "reused"
    """Indexed with the code at hand: the picture's bytes and the encoder are those of the version before."""
    DELETED = "deleted"
    EXPIRED = "expired"
    """Older than the window: never visible, yet lower versions are kept out."""
    SUPERSEDED = "superseded"
    """A higher version is there already."""
    REPEATED = "repeated"
    """The same version is there already."""
    DEAD_LETTERED = "dead_lettered"
    RETRIED = "retried"
    """Its picture can't be had now: it is in the retries, from where it is read, and counted, again."""
    ABANDONED = "abandoned"
    """Not done when the worker had to stop; its position is not committed, so it is read again."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing has to be written."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class WriteMarker:
    """A document without a code has to be written; no picture is needed."""

    outcome: Outcome
    document: Document


@dataclass(frozen=True, slots=True)
class IndexPicture:
    """The picture has to be fetched; `previous` is the live version before, whose code may serve again."""

    previous: Document | None


@dataclass(frozen=True, slots=True)
class AddCode:
    """The picture has to be fetched for the one code that this document lacks; the rest of it stays."""

    document: Document


Plan = Settled | WriteMarker | IndexPicture | AddCode


def plan_event(
    event: CatalogueEvent, stored: Document | None, now: datetime, window_months: int, encoder_id: str
) -> Plan:
    """Decide on an event; RejectedError(VERSION_MIXED) where versions of the producer and of the clock meet.

    `encoder_id` names the code that each visible image must have.
    """
    resolved = event.resolved
    if stored is not None:
        if stored.version_explicit != resolved.version_explicit:
            raise RejectedError(
                RejectionReason.VERSION_MIXED,
                "this image's events have had "
                + ("explicit versions" if stored.version_explicit else "no explicit versions")
                + " so far, this one is of the other kind",
            )
        if resolved.version < stored.version:
            return Settled(Outcome.SUPERSEDED)
        if resolved.version == stored.version:
            lacking = stored.live and not event.deleted and encoder_id not in stored.codes
            if lacking and is_inside(stored.event_time_ms, now, window_months):
                return AddCode(stored)
            return Settled(Outcome.REPEATED)
    if event.deleted:
        return WriteMarker(Outcome.DELETED, _marker(event, Kind.DELETED, now))
    if not is_inside(event.event_time_ms, now, window_months):
        return WriteMarker(Outcome.EXPIRED, _marker(event, Kind.EXPIRED, now))
    return IndexPicture(stored if stored is not None and stored.live else None)


def _marker(event: CatalogueEvent, kind: Kind, now: datetime) -> Document:
    return Document(
        image_id=event.image_id,
        kind=kind,
        version=event.resolved.version,
        version_explicit=event.resolved.version_explicit,
        event_time_ms=event.event_time_ms,
        indexed_at_ms=to_milliseconds(now),
    )
