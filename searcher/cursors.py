"""Where a page of images or of hits ended, as text that goes into a URL and asks for the next page."""

import base64
import json
from dataclasses import dataclass, fields
from typing import Any

from shared.store import PageCursor


@dataclass(frozen=True, slots=True)
class HitCursor:
    """Where a page of hits ended: the next one starts behind (distance, image id), after so many hits in all."""

    distance: int
    image_id: str
    shown: int


def encode_cursor(cursor: PageCursor | HitCursor) -> str:
    """A cursor as text that goes into a URL."""
    plain = json.dumps([getattr(cursor, field.name) for field in fields(cursor)])
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def decode_cursor(text: str) -> PageCursor:
    """Read the cursor of a page of images; ValueError where it is not one."""
    match _decoded(text):
        case [int(event_time_ms), str(image_id)] if abs(event_time_ms) < 2**63:
            return PageCursor(event_time_ms, image_id)
    raise ValueError("not a cursor")


def decode_hit_cursor(text: str) -> HitCursor:
    """Read the cursor of a page of hits; ValueError where it is not one."""
    match _decoded(text):
        case [int(distance), str(image_id), int(shown)] if abs(distance) < 2**63 and 0 <= shown < 2**63:
            return HitCursor(distance, image_id, shown)
    raise ValueError("not a cursor")


def _decoded(text: str) -> Any:
    padded = text + "=" * (-len(text) % 4)
    return json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
