"""Records set aside into another log: key and value stay those of the original, byte for byte, headers tell the rest.

The version and event time that were resolved travel along, because their default is the record's own timestamp, and a
record that is appended again has another.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from indexer.catalogue_event import EVENT_TIME_HEADER, VERSION_EXPLICIT_HEADER, VERSION_HEADER, Resolved, carried
from shared.errors import RejectedError
from shared.event_log import Headers, NewRecord, Record

_RESOLVED = frozenset({VERSION_HEADER, VERSION_EXPLICIT_HEADER, EVENT_TIME_HEADER})
_PARTITION, _OFFSET, _NEXT_OFFSET, _TIMESTAMP = "partition", "offset", "next-offset", "timestamp-ms"


@dataclass(frozen=True, slots=True)
class SetAside:
    """The original as it was read, what it resolves to (None where that can't be told), and what else is told of it."""

    record: Record
    resolved: Resolved | None
    told: Mapping[str, str]


def set_aside(original: SetAside, prefix: str) -> NewRecord:
    """The record that keeps the original; the names of its headers start with `prefix`."""
    record = original.record
    told = {
        **original.told,
        _PARTITION: record.partition,
        _OFFSET: str(record.offset),
        _NEXT_OFFSET: str(record.next_offset),
    }
    if record.timestamp_ms is not None:
        told[_TIMESTAMP] = str(record.timestamp_ms)
    return NewRecord(
        key_to_append(record),
        record.value,
        [
            *_own_headers(record.headers, original.resolved, prefix),
            *((prefix + name, text.encode(errors="backslashreplace")) for name, text in told.items()),
            *([] if original.resolved is None else original.resolved.headers()),
        ],
    )


def original_of(record: Record, prefix: str) -> SetAside | None:
    """What `set_aside` kept; None where the record is something else."""
    told = {
        name.removeprefix(prefix): value.decode(errors="replace")
        for name, value in record.headers
        if name.startswith(prefix)
    }
    resolved = _resolved(record.headers)
    try:
        original = Record(
            told[_PARTITION],
            int(told[_OFFSET]),
            int(told[_NEXT_OFFSET]),
            int(told[_TIMESTAMP]) if _TIMESTAMP in told else None,
            record.key,
            record.value,
            _own_headers(record.headers, resolved, prefix),
        )
    except (KeyError, ValueError):
        return None
    return SetAside(original, resolved, told)


def key_to_append(record: Record) -> bytes | None:
    """The key to append a record with."""
    # Kafka's client appends no record that has neither key nor value; as an event both forms lack an image id.
    return b"" if record.key is None and record.value is None else record.key


def _resolved(headers: Headers) -> Resolved | None:
    try:
        return carried(headers)
    except RejectedError:
        return None


def _own_headers(headers: Headers, resolved: Resolved | None, prefix: str) -> list[tuple[str, bytes]]:
    """The headers that the original came with: none that were added, nor those that `resolved` stands for."""
    return [
        (name, value)
        for name, value in headers
        if not name.startswith(prefix) and not (resolved is not None and name in _RESOLVED)
    ]
