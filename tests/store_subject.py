"""A store under test, whichever it is, and the documents that the contract suites write into it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from shared.document import Document, Kind
from shared.errors import RejectedError
from shared.rolling_window import to_milliseconds
from shared.store import Restriction, Store, WriteOutcome

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
LAST_MONTH = datetime(2026, 10, 20, tzinfo=UTC)
NOW_MS = to_milliseconds(NOW)
ENCODER = "classic-itq16@0a1b2c"
ALL = Restriction(visible_after_ms=0)


@dataclass
class Subject:
    """A store under test, and what makes its writes found by searches now."""

    store: Store
    refresh: Callable[[], None]

    def write(self, *documents: Document, now: datetime = NOW) -> list[WriteOutcome | RejectedError]:
        """Write, and let searches find it."""
        outcomes = list(self.store.write(documents, now))
        self.refresh()
        return outcomes

    def near(self, code: bytes, count: int = 10, radius: int | None = None, **restriction: Any) -> list[Any]:
        """(distance, image id) of the nearest, which must be complete."""
        found = self.store.nearest(ENCODER, code, count, radius, replace(ALL, **restriction))
        assert (found.complete, found.reason) == (True, None)
        return [(one.distance, one.document.image_id) for one in found.neighbours]

    def compared(self, code: bytes = b"\0\0", count: int = 10, radius: int | None = None, **restriction: Any) -> int:
        """How many codes were compared to find the nearest."""
        return self.store.nearest(ENCODER, code, count, radius, replace(ALL, **restriction)).compared

    def newest(self, *words: str, **restriction: Any) -> list[str]:
        """The ids of the newest images."""
        return [one.image_id for one in self.store.newest(words, replace(ALL, **restriction), None, 100)]


def image(image_id: str, version: int = 1, code: bytes = b"\x00\x00", **fields: Any) -> Document:
    return replace(Document(image_id, Kind.IMAGE, version, True, NOW_MS, codes={ENCODER: code}), **fields)


def deletion(image_id: str, version: int) -> Document:
    return Document(image_id, Kind.DELETED, version, True, NOW_MS)


def differing(bits: int, size_bytes: int = 2) -> bytes:
    """A code that differs from zero in its first `bits` bits."""
    return np.packbits(np.arange(size_bytes * 8) < bits).tobytes()


def flipped(code: bytes, bits: int, generator: np.random.Generator) -> bytes:
    """A code that differs from `code` in just `bits` bits, anywhere."""
    chosen = np.zeros(len(code) * 8, dtype=np.bool_)
    chosen[generator.choice(len(chosen), bits, replace=False)] = True
    return (np.frombuffer(code, dtype=np.uint8) ^ np.packbits(chosen)).tobytes()
