"""What the headers of a dead letter tell, and of which image it is. Who writes and replays letters is the indexer."""

import json
from dataclasses import dataclass

from shared.event_log import Record

PREFIX = "catalogue-dead-letter-"
REASON, DETAIL, AT = "reason", "detail", "at-ms"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event was given up on, and when (milliseconds since the epoch, UTC). `reason` is of a closed set."""

    reason: str
    detail: str
    at_ms: int


def refusal_of(record: Record, image_id: str) -> Refusal | None:
    """Why an event of this image was refused; None where the record is no dead letter of it."""
    if not _is_about(record, image_id):
        return None
    told = {name.removeprefix(PREFIX): value for name, value in record.headers if name.startswith(PREFIX)}
    try:
        return Refusal(told[REASON].decode(), told[DETAIL].decode(errors="replace"), int(told[AT]))
    except (KeyError, ValueError):
        return None


def _is_about(record: Record, image_id: str) -> bool:
    """A letter has the key and value of its event: in Kafka the image id is the key, in a file it is in the value."""
    if record.key:
        return record.key == image_id.encode()
    try:
        event = json.loads(record.value or b"")
    except (ValueError, RecursionError):
        return False
    return isinstance(event, dict) and event.get("image_id") == image_id
