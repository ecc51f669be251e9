"""Matches: what the indexer tells the workbench of an image that lies within a watch's radius, in a log of their own.

A match may be there more than once (a worker that died between appending it and committing, a replay); the alert's id
tells that. What must be unique is made so where it is kept, in the workbench.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from shared.document import Attributes
from shared.event_log import NewRecord, Record

_ID_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Match:
    """One version of an image, near one of a watch's codes.

    `watch_revision` is the watch's as the indexer knew it; `distance` is in bits, to the nearest of its codes; `code`
    is the image's, of `encoder_id`. Times are milliseconds since the epoch, UTC; `matched_at_ms` is by the worker's
    clock.
    """

    watch_id: str
    watch_revision: int
    image_id: str
    version: int
    distance: int
    code: bytes
    encoder_id: str
    event_time_ms: int
    matched_at_ms: int
    item_id: str = ""
    image_url: str | None = None
    attributes: Attributes = field(default_factory=dict)

    @property
    def alert_id(self) -> str:
        """What the alert of this match is called."""
        return alert_id(self.watch_id, self.image_id, self.version)


def alert_id(watch_id: str, image_id: str, version: int) -> str:
    """The same for each match of a watch with a version of an image: 32 hexadecimal digits."""
    # As JSON no two triples are written alike.
    return hashlib.sha256(json.dumps([watch_id, image_id, version]).encode()).hexdigest()[:_ID_CHARACTERS]


def to_new_record(match: Match) -> NewRecord:
    """The record that tells of a match; its key is the alert's id."""
    told = {
        "watch_id": match.watch_id,
        "watch_revision": match.watch_revision,
        "image_id": match.image_id,
        "version": match.version,
        "distance": match.distance,
        "code": base64.b64encode(match.code).decode(),
        "encoder_id": match.encoder_id,
        "event_time_ms": match.event_time_ms,
        "matched_at_ms": match.matched_at_ms,
        "item_id": match.item_id,
        "image_url": match.image_url,
        "attributes": dict(match.attributes),
    }
    value = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    return NewRecord(match.alert_id.encode(), value, timestamp_ms=match.matched_at_ms)


def from_record(record: Record) -> Match | None:
    """The match that a record tells of; None where it is something else."""
    try:
        told: Mapping[str, Any] = json.loads(record.value or b"")
        # By name, so that a later program may tell more.
        known = {one.name: told[one.name] for one in fields(Match)}
        return Match(**known | {"code": base64.b64decode(told["code"], validate=True)})
    except (ValueError, KeyError, TypeError):
        return None
