"""A searcher in memory: a fake store, fake pictures, a clock that the test moves."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from searcher.backend import Backend
from searcher.key_ring import KeyRing, Look
from searcher.recognizing import Recognizer
from searcher.resident.follower import Follower
from searcher.resident.index import ResidentIndex
from searcher.resident.shown_file import ShownFile
from searcher.search import Searcher, SearcherParts
from searcher.services import Services
from searcher.strategies.resident import Resident
from searcher.web import create_app
from searcher.wire import Crop
from searcher.workbench.desk import Desk
from searcher.workbench.keys import NO_KEYS, Known
from shared.document import Document, Kind
from shared.images.decoded import DecodedImage
from shared.metrics import SearcherMetrics
from shared.rolling_window import to_milliseconds
from shared.settings import Settings
from tests.fake_store import FakeStore
from tests.fakes import FakeDecoder, FakeEncoder, FakeFetcher

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ENCODER = FakeEncoder()


@dataclass
class CroppingDecoder(FakeDecoder):
    """A fake decoder for which a part of a picture is another picture."""

    async def decode(self, content: bytes, *, thumbnail: bool, crop: Crop | None = None) -> DecodedImage:
        whole = await super().decode(content, thumbnail=thumbnail)
        if crop is None:
            return whole
        part = await super().decode(content + repr(crop).encode(), thumbnail=False)
        return DecodedImage(part.pixels, whole.thumbnail, whole.width, whole.height)


@dataclass
class FakeSearcher:
    """The parts of a searcher, for a test to look into and to break."""

    store: FakeStore
    fetcher: FakeFetcher
    backend: Backend
    parts: SearcherParts
    registry: CollectorRegistry
    settings: Settings
    new_backend: Callable[[], Backend]
    threads: Executor
    # What is known of keys; None: what the workbench says.
    look: Look | None
    now: datetime = NOW
    desks: list[Desk] = field(default_factory=list)

    @property
    def searcher(self) -> Searcher:
        """What answers queries."""
        return Searcher(self.parts, self.settings)

    def app(self) -> FastAPI:
        """What answers HTTP."""
        return create_app(self.services(), self.parts.metrics)

    def services(self, parts: SearcherParts | None = None) -> Services:
        """What the routes answer with."""
        made = Services.of(parts or self.parts, self.registry, self.settings)
        self.desks.append(made.casework.desk)
        if self.look is None:
            return made
        key_ring = KeyRing(self.look, lambda: self.now)
        return replace(made, recognizer=Recognizer.of(self.settings, key_ring, lambda: self.now))

    def put(self, *documents: Document) -> None:
        """Write documents into the store."""
        self.store.write(documents, self.now)
        self.follow()

    def keep_in_memory(self, *fields: str, documents_bytes: int = 2**20) -> None:
        """Keep the codes of the store in memory from now on, with the terms of these fields and so many bytes of
        documents; `put` follows."""
        shown_file = partial(ShownFile, documents_bytes)
        index = ResidentIndex(ENCODER.bits, bytes_max=2**24, fields=fields, shown_file=shown_file, threads=1)
        feed = self.store.follow(ENCODER.encoder_id, terms=True, shown=True)
        follower = Follower(index, lambda: feed, lambda: self.now, window_months=3, poll_seconds=1)
        self.backend.resident = Resident(self.backend, index, follower, self.threads)
        self.follow()

    def follow(self) -> None:
        """Take in what was written since."""
        stop = Event()
        if self.backend.resident is not None:
            self.backend.resident.follower.run(stop, lambda _: stop.set())

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric, 0 where it has none yet."""
        return self.registry.get_sample_value(name, labels) or 0.0


async def no_keys(_: Mapping[str, datetime]) -> Known:
    """No key was ever made."""
    return NO_KEYS


@contextmanager
def fake_searcher(**settings: Any) -> Iterator[FakeSearcher]:
    """A ready searcher over an empty store."""
    registry = CollectorRegistry()
    fetcher = FakeFetcher()
    with (
        ThreadPoolExecutor(4) as store_threads,
        ThreadPoolExecutor(1) as model_thread,
        TemporaryDirectory() as folder,
    ):
        defaults = {"search_seconds": 20.0, "workbench_url": f"sqlite://{folder}/workbench.db"}
        made = Settings(_env_file=None, **{**defaults, **settings})
        new_backend = partial(Backend, store_threads, model_thread, made.search_seconds)
        backend = new_backend()
        backend.store = store = FakeStore()
        backend.encoder = FakeEncoder()
        parts = SearcherParts(backend, fetcher, CroppingDecoder(), SearcherMetrics(registry), lambda: found.now)
        # Where a test names no workbench, no database is asked who may come in.
        look = None if "workbench_url" in settings else no_keys
        found = FakeSearcher(store, fetcher, backend, parts, registry, made, new_backend, store_threads, look)
        try:
            yield found
        finally:
            # A thread that a test left waiting would hold up the end of the pool.
            if store.held is not None:
                store.held.set()
            for desk in found.desks:
                desk.close()


def code_near(code: bytes, distance: int) -> bytes:
    """The code with its first `distance` bits flipped."""
    number = int.from_bytes(code, "big")
    mask = ((1 << distance) - 1) << (len(code) * 8 - distance)
    return (number ^ mask).to_bytes(len(code), "big")


def code_of(content: bytes) -> bytes:
    """The code that the fake decoder and the fake encoder give for a picture's bytes."""
    digest = hashlib.sha256(content).digest()
    pixels = (digest * (224 * 224 * 3 // len(digest)))[: 224 * 224 * 3]
    return hashlib.sha256(pixels).digest()


def image(
    image_id: str,
    code: bytes = bytes(32),
    *,
    age: timedelta = timedelta(hours=1),
    attributes: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Document:
    """A live document, as old as `age`."""
    kept: dict[str, Any] = {
        "version": 1,
        "item_id": image_id,
        "thumbnail": b"webp of " + image_id.encode(),
        **fields,
    }
    return Document(
        image_id=image_id,
        kind=Kind.IMAGE,
        version_explicit=True,
        event_time_ms=to_milliseconds(NOW - age),
        attributes=attributes or {},
        codes={ENCODER.encoder_id: code},
        **kept,
    )
