"""What every exact strategy answers, on every store: just what comparing all codes one by one gives."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any

import numpy as np
import pytest

from searcher.backend import Backend
from searcher.resident.follower import Follower
from searcher.resident.hamming_sum import HammingSum
from searcher.resident.index import ResidentIndex
from searcher.resident.shown_file import ShownFile
from searcher.strategies import Found, Query, StrategyName
from searcher.strategies.choosing import Strategies
from searcher.strategies.resident import Resident
from shared.document import Document, Kind, attribute_term
from shared.errors import QueryInvalidError
from shared.hash_code import hamming_distances
from shared.store import Restriction
from tests.store_subject import ALL, ENCODER, LAST_MONTH, NOW, NOW_MS, Subject, deletion, flipped, image

CODE_BYTES = 8
ZERO = bytes(CODE_BYTES)
EXACT = [StrategyName.FLAT, StrategyName.SUBCODE, StrategyName.RESIDENT]


@dataclass
class Rig:
    """One strategy over a store, and the truth about what was written."""

    subject: Subject
    strategies: Strategies
    follower: Follower
    strategy: StrategyName

    async def ask(self, code: bytes, count: int = 10, radius: int | None = None, **restriction: Any) -> Found:
        """What the strategy answers, after it has seen all that was written."""
        catch_up(self.follower)
        query = Query(ENCODER, HammingSum.plain(code), count, radius, replace(ALL, **restriction))
        found = await self.strategies.nearest(self.strategy, query)
        assert (found.complete, found.reason, found.exact) == (True, None, True)
        return found

    async def near(self, code: bytes, count: int = 10, radius: int | None = None, **restriction: Any) -> list[Any]:
        """(distance, image id) of the nearest."""
        return placed(await self.ask(code, count, radius, **restriction))


@pytest.fixture(params=EXACT)
def rig(request: pytest.FixtureRequest, subject: Subject) -> Iterator[Rig]:
    with ThreadPoolExecutor(4) as threads, ThreadPoolExecutor(1) as model:
        backend = Backend(threads, model, 20)
        backend.store = subject.store
        index = ResidentIndex(CODE_BYTES * 8, bytes_max=2**24, fields=("colour",), shown_file=partial(ShownFile, 2**20))
        feed = subject.store.follow(ENCODER, terms=True, shown=True)
        follower = Follower(index, lambda: feed, lambda: NOW, window_months=3, poll_seconds=1)
        backend.resident = Resident(backend, index, follower, threads)
        yield Rig(subject, Strategies(backend, lambda: NOW), follower, request.param)


def catch_up(follower: Follower) -> None:
    """Read until there is nothing new."""
    stop = Event()
    follower.run(stop, lambda _: stop.set())


def placed(found: Found) -> list[tuple[int, str]]:
    return [(one.distance, one.document.image_id) for one in found.neighbours]


def brute_force(documents: list[Document], code: bytes, count: int, radius: int | None) -> list[tuple[int, str]]:
    codes = np.array([list(one.codes[ENCODER]) for one in documents], dtype=np.uint8)
    distances = hamming_distances(code, codes).tolist()
    ranked = sorted(zip(distances, (one.image_id for one in documents), strict=True))
    return [one for one in ranked if radius is None or one[0] <= radius][:count]


async def test_the_answer_is_that_of_brute_force_with_neighbours_planted_around_the_radius(rig: Rig) -> None:
    generator = np.random.default_rng(5)
    query = generator.bytes(CODE_BYTES)
    radius = 9
    planted = [
        image(f"planted-{distance}-{number}", code=flipped(query, distance, generator))
        for distance in (0, 1, radius - 1, radius, radius + 1)
        for number in range(3)
    ]
    noise = [image(f"noise-{number:03}", code=generator.bytes(CODE_BYTES)) for number in range(300)]
    rig.subject.write(*planted, *noise)
    everything = [*planted, *noise]
    for count, limit in [(1, None), (5, None), (14, None), (40, None), (400, None), (400, radius), (4, radius), (9, 0)]:
        found = await rig.ask(query, count, limit)
        assert placed(found) == brute_force(everything, query, count, limit)
        assert found.exact_up_to is not None
        farthest = max((distance for distance, _ in placed(found)), default=0)
        # Nothing that was shown lies beyond what was searched, and a radius that was asked for was searched.
        assert farthest <= found.exact_up_to
        assert limit is None or found.exact_up_to == limit
        assert len(found.neighbours) <= found.compared or not found.neighbours


async def test_a_subcode_query_compares_few_codes(rig: Rig) -> None:
    generator = np.random.default_rng(6)
    rig.subject.write(*(image(f"{number:03}", code=generator.bytes(CODE_BYTES)) for number in range(300)))
    rig.subject.write(image("near", code=flipped(ZERO, 2, generator)))
    found = await rig.ask(ZERO, 5, 3)
    assert placed(found) == [(2, "near")]
    assert (found.compared < 10) is (rig.strategy is StrategyName.SUBCODE)


async def test_equal_distances_are_cut_by_image_id(rig: Rig) -> None:
    generator = np.random.default_rng(7)
    ids = [f"{number:03}" for number in generator.permutation(60)]
    rig.subject.write(*(image(image_id, code=flipped(ZERO, 5, generator)) for image_id in ids))
    assert await rig.near(ZERO, 7) == [(5, image_id) for image_id in sorted(ids)[:7]]


async def test_an_empty_store_has_no_neighbours(rig: Rig) -> None:
    found = await rig.ask(ZERO)
    assert (placed(found), found.compared, found.exhausted) == ([], 0, True)


async def test_filters_and_times_narrow_what_is_found(rig: Rig) -> None:
    hour_ms = 3_600_000
    rig.subject.write(
        image("blue", attributes={"colour": "blue"}, code=ZERO, event_time_ms=NOW_MS - hour_ms),
        image("both", attributes={"colour": ["blue", "red"]}, code=ZERO, event_time_ms=NOW_MS - 2 * hour_ms),
        image("red", attributes={"colour": "red"}, code=ZERO, event_time_ms=NOW_MS - 3 * hour_ms),
        image("none", code=ZERO, event_time_ms=NOW_MS - 4 * hour_ms),
    )
    blue, red = ([[attribute_term("colour", colour)]] for colour in ("blue", "red"))
    assert await rig.near(ZERO, terms=blue) == [(0, "blue"), (0, "both")]
    assert await rig.near(ZERO, terms=[*blue, *red]) == [(0, "both")]
    assert await rig.near(ZERO, terms=[[*blue[0], *red[0]]]) == [(0, "blue"), (0, "both"), (0, "red")]
    assert await rig.near(ZERO, terms=[[attribute_term("colour", "green")]]) == []
    assert await rig.near(ZERO, since_ms=NOW_MS - 3 * hour_ms, until_ms=NOW_MS - hour_ms) == [(0, "both"), (0, "red")]
    assert await rig.near(ZERO, 1, terms=red, since_ms=NOW_MS - 2 * hour_ms) == [(0, "both")]


async def test_what_has_left_the_window_or_was_deleted_is_not_found(rig: Rig) -> None:
    rig.subject.write(
        *(image(f"expired-{number}", code=ZERO, event_time_ms=NOW_MS - 1000) for number in range(200)),
        image("edge", code=ZERO, event_time_ms=NOW_MS - 999),
        image("deleted", code=ZERO, event_time_ms=NOW_MS),
        image("alive", code=bytes([255] * CODE_BYTES), event_time_ms=NOW_MS),
    )
    rig.subject.write(deletion("deleted", 2))
    window = NOW_MS - 1000
    assert await rig.near(ZERO, 3, visible_after_ms=window) == [(0, "edge"), (CODE_BYTES * 8, "alive")]


async def test_an_update_replaces_the_code_also_over_months(rig: Rig) -> None:
    far = bytes([255] * CODE_BYTES)
    rig.subject.write(image("moved", 1, code=ZERO), image("stays", 1, code=ZERO), now=LAST_MONTH)
    assert await rig.near(ZERO) == [(0, "moved"), (0, "stays")]
    rig.subject.write(image("moved", 2, code=far), now=NOW)
    assert await rig.near(ZERO) == [(0, "stays"), (CODE_BYTES * 8, "moved")]
    rig.subject.write(image("moved", 1, code=ZERO), now=NOW)
    assert await rig.near(far) == [(0, "moved"), (CODE_BYTES * 8, "stays")]


async def test_hits_show_what_their_version_says(rig: Rig) -> None:
    def version(number: int) -> Document:
        attributes = {
            "colour": "red",
            "text": "ü\n" * number * 1000,
            "price": 9.5,
            "tags": ["a", str(number)],
            "n": True,
        }
        return replace(
            image("a", number, ZERO, attributes=attributes), item_id=f"item-{number}", image_url=f"https://{number}"
        )

    rig.subject.write(image("plain", code=ZERO))
    for number, now in enumerate([LAST_MONTH, NOW, NOW, LAST_MONTH], start=1):
        rig.subject.write(version(number), now=now)
        found = [one.document for one in (await rig.ask(ZERO)).neighbours]
        assert [replace(one, codes={}, indexed_at_ms=0, content_sha256="") for one in found] == [
            replace(one, codes={}, indexed_at_ms=0, content_sha256="") for one in (version(number), image("plain"))
        ]


async def test_an_image_that_expired_as_an_event_is_not_found(rig: Rig) -> None:
    rig.subject.write(image("old", 1, code=ZERO))
    rig.subject.write(Document("old", Kind.EXPIRED, 2, True, NOW_MS - timedelta(days=200) // timedelta(milliseconds=1)))
    assert await rig.near(ZERO) == []


async def test_filters_on_what_is_not_in_memory_go_to_the_store(rig: Rig) -> None:
    rig.subject.write(image("a", code=ZERO, attributes={"colour": "blue", "seller": "s-1"}))
    seller = Restriction(0, terms=[[attribute_term("seller", "s-1")]])
    colour = Restriction(0, terms=[[attribute_term("colour", "blue")]])
    catch_up(rig.follower)
    used = {}
    for name, restriction in (("seller", seller), ("colour", colour)):
        found = await rig.strategies.nearest(
            StrategyName.AUTO, Query(ENCODER, HammingSum.plain(ZERO), 5, None, restriction)
        )
        used[name] = found.strategy
        assert placed(found) == [(0, "a")]
    assert used == {"seller": StrategyName.FLAT, "colour": StrategyName.RESIDENT}
    with pytest.raises(QueryInvalidError, match="CATALOGUE_RESIDENT_FIELDS"):
        await rig.strategies.nearest(StrategyName.RESIDENT, Query(ENCODER, HammingSum.plain(ZERO), 5, None, seller))
