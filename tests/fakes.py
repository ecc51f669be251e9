"""Fakes for the worker's surroundings: a log reader and writer, a fetcher, a decoder and an encoder, all in memory."""

import asyncio
import hashlib
import threading
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.errors import EventLogUnavailableError, RejectedError, RejectionReason
from shared.event_log import NewRecord, Poll, Record
from shared.images.decoded import SIDE, DecodedImage


@dataclass
class FakeReader:
    """A log of records given by the test; `away` makes every call fail, `lose` takes a partition away.

    With `staging` set, a poll that finds nothing goes on until this has been staged.
    """

    records: deque[Record] = field(default_factory=deque)
    away: bool = False
    committed: dict[str, int] = field(default_factory=dict)
    commits: list[dict[str, int]] = field(default_factory=list)
    staged: Mapping[str, int] = field(default_factory=dict)
    staging: Mapping[str, int] | None = None
    polls: list[int] = field(default_factory=list)
    _staged_some: threading.Event = field(default_factory=threading.Event)
    _lost: set[str] = field(default_factory=set)
    _ends: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def put(
        self, value: bytes | None, key: bytes | None = None, partition: str = "p-0", timestamp_ms: int = 0
    ) -> Record:
        """Append a record; offsets count from 0 in each partition."""
        offset = self._ends[partition]
        record = Record(partition, offset, offset + 1, timestamp_ms, key, value)
        self._ends[partition] = offset + 1
        self.records.append(record)
        return record

    def lose(self, partition: str) -> None:
        """Take the partition away: the next poll says so, and its records from the committed position come again."""
        self._lost.add(partition)

    def poll(self, records_max: int, timeout_seconds: float) -> Poll:
        self._answer()
        self.polls.append(records_max)
        taken = [self.records.popleft() for _ in range(min(records_max, len(self.records)))]
        while not taken and self.staging is not None and self.staged != self.staging:
            assert self._staged_some.wait(5), "nothing was staged during the poll"
            self._staged_some.clear()
        lost, self._lost = frozenset(self._lost), set()
        return Poll(taken, lost)

    def stage(self, positions: Mapping[str, int]) -> None:
        self.staged = dict(positions)
        self._staged_some.set()

    def commit(self, positions: Mapping[str, int]) -> None:
        self._answer()
        self.commits.append(dict(positions))
        self.committed |= positions

    def lag(self) -> Mapping[str, int]:
        self._answer()
        waiting: dict[str, int] = dict.fromkeys(self._ends, 0)
        for record in self.records:
            waiting[record.partition] += 1
        return waiting

    def end_positions(self) -> Mapping[str, int]:
        self._answer()
        return dict(self._ends)

    def committed_positions(self) -> Mapping[str, int]:
        self._answer()
        return dict(self.committed)

    def close(self) -> None:
        """Nothing to free."""

    def _answer(self) -> None:
        if self.away:
            raise EventLogUnavailableError("the log is away")


@dataclass
class FakeWriter:
    """A log that keeps what is appended; fails `failures` times first."""

    appended: list[NewRecord] = field(default_factory=list)
    failures: int = 0

    def append(self, records: Sequence[NewRecord]) -> None:
        if self.failures:
            self.failures -= 1
            raise EventLogUnavailableError("the log is away")
        self.appended.extend(records)

    def close(self) -> None:
        """Nothing to free."""


@dataclass
class FakeFetcher:
    """Pictures by URL; a URL in `held` is answered only once its event is set."""

    pictures: dict[str, bytes] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if url in self.held:
            await self.held[url].wait()
        if url not in self.pictures:
            raise RejectedError(RejectionReason.IMAGE_NOT_FOUND, "404")
        return self.pictures[url]


@dataclass
class FakeDecoder:
    """Takes any bytes for a picture, but b"broken"; equal bytes give equal pixels."""

    decoded: int = 0
    copy_codes: bool = False

    async def decode(
        self, content: bytes, *, thumbnail: bool, crop: tuple[float, float, float, float] | None = None
    ) -> DecodedImage:
        if content == b"broken":
            raise RejectedError(RejectionReason.IMAGE_UNDECODABLE, "the picture does not decode")
        self.decoded += 1
        digest = np.frombuffer(hashlib.sha256(content).digest(), dtype=np.uint8)
        pixels = np.resize(digest, (SIDE, SIDE, 3))
        small = b"thumbnail of " + content if thumbnail else None
        copy_code = digest[::-1].tobytes() if self.copy_codes and content != b"flat" else None
        return DecodedImage(pixels, small, SIDE, SIDE, copy_code)


@dataclass
class FakeEncoder:
    """256-bit codes: a digest of the pixels. Pixels that start with `poison` are not finite."""

    encoder_id: str = "fake-256"
    bits: int = 256
    batch_size: int = 4
    batches: list[int] = field(default_factory=list)
    poison: bytes = b""

    def encode(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        self.batches.append(len(pixels))
        codes = [np.frombuffer(hashlib.sha256(picture.tobytes()).digest(), dtype=np.uint8) for picture in pixels]
        finite = [not (self.poison and picture.tobytes().startswith(self.poison)) for picture in pixels]
        return np.stack(codes), np.array(finite)
