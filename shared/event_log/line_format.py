"""How a record becomes one line of a file: as the value alone (events), or in an envelope that keeps all of it."""

import base64
import json
from dataclasses import dataclass
from typing import Any, Protocol

from shared.errors import BadInputHaltError
from shared.event_log import Headers, NewRecord


@dataclass(frozen=True, slots=True)
class LineContent:
    """What one line holds of a record; a line without an envelope holds a value only."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    timestamp_ms: int | None = None


class LineFormat(Protocol):
    """Turns records into lines and back; a line here is without its line end."""

    @property
    def written_here_only(self) -> bool:
        """Whether no other program writes such lines, so that half a line can only be a write that broke off."""

    def encode(self, record: NewRecord, now_ms: int) -> bytes:
        """The line of a record, free of line feeds; BadInputHaltError where this format can't hold the record."""

    def decode(self, line: bytes) -> LineContent:
        """What a line holds; ValueError where it is not of this format."""


class PlainLines:
    """The line is the value: what a person writes into an event file by hand."""

    written_here_only = False

    def encode(self, record: NewRecord, now_ms: int) -> bytes:
        """The value. Key, headers and timestamp are left out; JSON allows line feeds between tokens only, as blanks."""
        if record.value is None or not record.value.strip():
            raise BadInputHaltError("a JSON Lines file can't hold a record without a value")
        return record.value.replace(b"\n", b" ")

    def decode(self, line: bytes) -> LineContent:
        """Any line is a value."""
        return LineContent(value=line)


class PublishedLines(PlainLines):
    """The line is the value, JSON that this program alone writes and any other may read."""

    written_here_only = True


class EnvelopeLines:
    """A JSON object with the bytes of key, value and headers in base64, and the timestamp."""

    written_here_only = True

    def encode(self, record: NewRecord, now_ms: int) -> bytes:
        """The whole record; a record without a timestamp gets `now_ms`."""
        envelope = {
            "key": _to_text(record.key),
            "value": _to_text(record.value),
            "headers": [[name, _to_text(value)] for name, value in record.headers],
            "timestamp_ms": now_ms if record.timestamp_ms is None else record.timestamp_ms,
        }
        return json.dumps(envelope, separators=(",", ":")).encode()

    def decode(self, line: bytes) -> LineContent:
        """The record that `encode` was given."""
        try:
            envelope = json.loads(line)
            return LineContent(
                value=_to_bytes(envelope["value"]),
                key=_to_bytes(envelope["key"]),
                headers=[(str(name), base64.b64decode(value, validate=True)) for name, value in envelope["headers"]],
                timestamp_ms=int(envelope["timestamp_ms"]),
            )
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError("the line is no envelope of a record") from error


def _to_text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _to_bytes(text: Any) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)
