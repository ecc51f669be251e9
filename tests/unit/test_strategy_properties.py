"""After any sequence of writes, whatever a strategy marks as exact is what comparing every code gives."""

import asyncio
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from searcher.backend import Backend
from searcher.resident.follower import Follower
from searcher.resident.hamming_sum import HammingSum
from searcher.resident.index import ResidentIndex
from searcher.resident.shown_file import ShownFile
from searcher.strategies import Query, StrategyName
from searcher.strategies.choosing import Strategies
from searcher.strategies.resident import Resident
from shared.document import Document, Kind
from shared.hash_code import hamming_distances
from shared.store import Restriction, Store
from shared.store.sqlite_store import SqliteStore
from tests.fake_store import FakeStore
from tests.store_subject import ENCODER, NOW, NOW_MS

BITS = 48
HOUR_MS = 3_600_000
VISIBLE_AFTER_MS = NOW_MS - 5 * HOUR_MS


@dataclass(frozen=True)
class Write:
    """A document for one of a few images, in this month or the last one."""

    image: int
    version: int
    live: bool
    age_hours: int
    last_month: bool
    code: int

    def document(self) -> Document:
        code = (self.code * 0x010101010101 % 2**BITS).to_bytes(BITS // 8)
        codes = {ENCODER: code} if self.live else {}
        kind = Kind.IMAGE if self.live else Kind.DELETED
        document = Document(f"image-{self.image}", kind, self.version, True, NOW_MS - self.age_hours * HOUR_MS)
        return replace(document, codes=codes, **_shown(self.version, self.code)) if self.live else document


def _shown(version: int, code: int) -> dict[str, Any]:
    """What tells versions apart, in pieces of many lengths."""
    url = None if code % 3 else f"https://pictures.test/{version}"
    return {"item_id": f"item-{version}", "image_url": url, "attributes": {"of": version, "text": "x" * (code % 40)}}


WRITES = st.builds(
    Write,
    image=st.integers(0, 7),
    version=st.integers(1, 6),
    live=st.booleans() | st.just(True),
    age_hours=st.integers(0, 7),
    last_month=st.booleans(),
    code=st.integers(0, 255) | st.sampled_from([0, 1, 3, 7]),
)


@contextmanager
def opened(name: str, folder: str) -> Iterator[Store]:
    with closing(FakeStore() if name == "fake" else SqliteStore(Path(folder) / "store.sqlite")) as store:
        yield store


@pytest.mark.parametrize("name", ["fake", "sqlite"])
@pytest.mark.parametrize("shown_bytes", [2**16, 512, 0])
@given(
    batches=st.lists(st.lists(WRITES, min_size=1, max_size=6), max_size=6),
    count=st.integers(1, 9),
    radius=st.none() | st.integers(0, BITS),
    seed=st.integers(0, 255),
)
@settings(deadline=None, max_examples=20)
def test_exact_is_brute_force(
    *, name: str, shown_bytes: int, batches: list[list[Write]], count: int, radius: int | None, seed: int
) -> None:
    """With room for all documents beside the codes, for some and for none."""
    with tempfile.TemporaryDirectory() as folder, opened(name, folder) as store, ThreadPoolExecutor(2) as threads:
        backend = Backend(threads, threads, 20)
        backend.store = store
        with closing(
            ResidentIndex(BITS, bytes_max=2**20, shown_file=partial(ShownFile, shown_bytes), threads=1)
        ) as index:
            feed = store.follow(ENCODER, terms=False, shown=True)
            follower = Follower(index, lambda: feed, lambda: NOW, window_months=3, poll_seconds=1)
            backend.resident = Resident(backend, index, follower, threads)
            strategies = Strategies(backend, lambda: NOW)
            highest: dict[str, Document] = {}
            for batch in batches:
                write(store, batch, highest)
                follow(follower)
                code = (seed * 0x010101010101 % 2**BITS).to_bytes(BITS // 8)
                query = Query(ENCODER, HammingSum.plain(code), count, radius, Restriction(VISIBLE_AFTER_MS))
                expected = brute_force(highest, query)
                for strategy in (StrategyName.RESIDENT, StrategyName.FLAT, StrategyName.SUBCODE):
                    found = asyncio.run(strategies.nearest(strategy, query))
                    assert found.exact
                    assert [(one.distance, one.document) for one in found.neighbours] == [
                        (distance, stripped(document, one.document))
                        for (distance, document), one in zip(expected, found.neighbours, strict=True)
                    ]


def write(store: Store, batch: list[Write], highest: dict[str, Document]) -> None:
    """Write the first document of each image, and keep in mind which one counts."""
    for last_month in (True, False):
        documents = {one.document().image_id: one.document() for one in reversed(batch) if one.last_month is last_month}
        store.write(list(documents.values()), NOW - timedelta(days=31 if last_month else 0))
        for image_id, document in documents.items():
            if image_id not in highest or document.version > highest[image_id].version:
                highest[image_id] = document


def follow(follower: Follower) -> None:
    stop = Event()
    follower.run(stop, lambda _: stop.set())


def brute_force(highest: dict[str, Document], query: Query) -> list[tuple[int, Document]]:
    visible = [one for one in highest.values() if one.visible(query.restriction.visible_after_ms)]
    codes = np.array([list(one.codes[ENCODER]) for one in visible], dtype=np.uint8).reshape(-1, BITS // 8)
    ranked = sorted(
        zip(hamming_distances(query.code, codes).tolist(), visible, strict=True),
        key=lambda one: (one[0], one[1].image_id),
    )
    return [one for one in ranked if query.radius is None or one[0] <= query.radius][: query.count]


def stripped(document: Document, like: Document) -> Document:
    """The document with as much of its codes as the other one shows."""
    return document if like.codes else replace(document, codes={})
