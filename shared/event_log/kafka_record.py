"""A record as kafka-python gives it, and as the project has it."""

from typing import Any

from shared.event_log import Record


def record_of(one: Any) -> Record:
    """A ConsumerRecord as a Record; a null header counts as an empty one."""
    return Record(
        partition=str(one.partition),
        offset=one.offset,
        next_offset=one.offset + 1,
        timestamp_ms=one.timestamp if one.timestamp >= 0 else None,
        key=one.key,
        value=one.value,
        headers=[(name, value or b"") for name, value in one.headers],
    )
