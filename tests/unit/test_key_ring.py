"""Keys in memory: how soon a change counts, what goes on while the database is away, and what a request costs it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from searcher.key_ring import KNOWN_FOR, KNOWN_FOR_WHILE_AWAY, LOOK_AGAIN, KeyRing, KeysUnknownError
from searcher.people import Scope
from searcher.workbench.database import WorkbenchUnavailableError
from searcher.workbench.keys import Key, Known, Session, digest_of
from tests.workbenches import Clock

START = Clock().moment
SECRET = f"catalogue_{'a' * 12}_{'0' * 64}"
OTHER = f"catalogue_{'b' * 12}_{'1' * 64}"
SESSION = "of a browser"


def key_with(secret: str) -> Key:
    return Key(secret.split("_")[1], "ann", Scope.JUDGE, START, "bob", None, None, None, None, digest_of(secret), None)


@dataclass
class FakeDatabase:
    """What a searcher can read of keys; it counts how often it is asked, and can be away or slow."""

    known: Known
    clock: Clock = field(default_factory=Clock)
    away: bool = False
    asked: int = 0
    told: list[Mapping[str, datetime]] = field(default_factory=list)
    held: asyncio.Event | None = None

    async def look(self, used: Mapping[str, datetime]) -> Known:
        self.asked += 1
        known = self.known
        if self.held is not None:
            await self.held.wait()
        if self.away:
            raise WorkbenchUnavailableError("the database is away")
        self.told.append(used)
        return known

    def ring(self) -> KeyRing:
        return KeyRing(self.look, self.clock)

    def pass_time(self, time: timedelta) -> None:
        self.clock.moment += time


@pytest.fixture
def database() -> FakeDatabase:
    key = key_with(SECRET)
    session = Session(key.key_id, key.digest, START + timedelta(hours=12))
    return FakeDatabase(Known({key.key_id: key}, {digest_of(SESSION): session}, asked_for=True))


async def settled() -> None:
    """Let a look in the background come to its end."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_thousand_requests_ask_the_database_once(database: FakeDatabase) -> None:
    ring = database.ring()
    assert await ring.key_of(SECRET) == key_with(SECRET)
    await settled()
    before = database.asked
    for _ in range(500):
        assert await ring.key_of(SECRET) is not None
        assert await ring.key_of_session(SESSION) is not None
    await settled()
    assert database.asked == before


async def test_requests_at_the_same_time_wait_for_one_look(database: FakeDatabase) -> None:
    ring = database.ring()
    found = await asyncio.gather(*(ring.known() for _ in range(20)))
    assert (len(found), database.asked) == (20, 1)


async def test_what_is_a_second_old_is_read_again_while_requests_go_on(database: FakeDatabase) -> None:
    ring = database.ring()
    await ring.known()
    database.held = asyncio.Event()
    database.pass_time(LOOK_AGAIN * 2)
    before = database.asked
    assert await ring.known() is database.known
    assert await ring.known() is database.known
    await settled()
    assert database.asked == before + 1
    database.held.set()
    await settled()


async def test_a_revocation_counts_within_seconds_also_after_an_idle_hour(database: FakeDatabase) -> None:
    ring = database.ring()
    assert await ring.key_of(SECRET) is not None
    await settled()
    database.known = Known({}, {}, asked_for=True)
    database.pass_time(timedelta(hours=1))
    assert await ring.key_of(SECRET) is None
    assert await ring.key_of_session(SESSION) is None


async def test_a_clock_that_was_put_back_makes_nothing_last_longer(database: FakeDatabase) -> None:
    ring = database.ring()
    await ring.known()
    database.known = Known({}, {}, asked_for=True)
    database.pass_time(timedelta(hours=-1))
    assert await ring.key_of(SECRET) is None


async def test_a_new_key_and_a_new_session_work_at_once(database: FakeDatabase) -> None:
    ring = database.ring()
    await ring.known()
    database.pass_time(timedelta(milliseconds=500))
    assert await ring.key_of(OTHER) is None
    database.known = Known({"b" * 12: key_with(OTHER)}, {}, asked_for=True)
    database.pass_time(timedelta(milliseconds=500))
    assert await ring.key_of(OTHER) == key_with(OTHER)


async def test_wrong_keys_and_made_up_cookies_ask_the_database_five_times_a_second(database: FakeDatabase) -> None:
    ring = database.ring()
    await ring.known()
    for _ in range(100):
        database.pass_time(timedelta(milliseconds=10))
        assert await ring.key_of(OTHER) is None
        assert await ring.key_of_session("made up") is None
        assert await ring.key_of("no key at all") is None
    await settled()
    assert database.asked <= 1 + 5 + 1


async def test_while_the_database_is_away_known_keys_go_on_for_minutes_and_then_nobody_gets_in(
    database: FakeDatabase,
) -> None:
    ring = database.ring()
    await ring.known()
    database.away = True
    database.pass_time(KNOWN_FOR * 2)
    assert await ring.key_of(SECRET) is not None
    assert await ring.key_of(OTHER) is None
    database.pass_time(KNOWN_FOR_WHILE_AWAY - KNOWN_FOR * 2)
    assert await ring.key_of_session(SESSION) is not None
    database.pass_time(timedelta(seconds=1))
    with pytest.raises(KeysUnknownError):
        await ring.key_of(SECRET)
    database.away = False
    assert await ring.key_of(SECRET) is not None


async def test_while_the_database_is_away_it_is_tried_once_a_second(database: FakeDatabase) -> None:
    ring = database.ring()
    await ring.known()
    database.away = True
    database.pass_time(KNOWN_FOR * 2)
    await ring.known()
    before = database.asked
    for _ in range(100):
        await ring.known()
        await settled()
    assert database.asked == before
    database.pass_time(LOOK_AGAIN * 2)
    await ring.known()
    await settled()
    assert database.asked == before + 1


async def test_a_searcher_that_never_read_the_keys_lets_nobody_in(database: FakeDatabase) -> None:
    database.away = True
    ring = database.ring()
    for _ in range(2):
        with pytest.raises(KeysUnknownError):
            await ring.known()


async def test_what_was_changed_here_counts_at_once_even_if_a_look_was_under_way(database: FakeDatabase) -> None:
    ring = database.ring()
    await ring.known()
    database.held = asyncio.Event()
    database.pass_time(LOOK_AGAIN * 2)
    assert await ring.key_of(SECRET) is not None
    await settled()
    # The look has read what was there before the key was revoked.
    database.known = Known({}, {}, asked_for=True)
    ring.forget()
    asking = asyncio.create_task(ring.key_of(SECRET))
    await settled()
    database.held.set()
    assert await asking is None


async def test_who_goes_away_does_not_end_the_look_of_others(database: FakeDatabase) -> None:
    database.held = asyncio.Event()
    ring = database.ring()
    first, second = asyncio.create_task(ring.known()), asyncio.create_task(ring.known())
    await settled()
    first.cancel()
    await settled()
    database.held.set()
    assert await second is database.known
    assert (first.cancelled(), database.asked) == (True, 1)


async def test_last_use_is_told_once_a_minute_and_again_where_telling_failed(database: FakeDatabase) -> None:
    ring = database.ring()
    for _ in range(10):
        await ring.key_of(SECRET)
        await settled()
    assert [used for used in database.told if used] == [{"a" * 12: START}]
    database.away = True
    database.pass_time(timedelta(seconds=61))
    later = database.clock.moment
    await ring.key_of_session(SESSION)
    await settled()
    database.away = False
    database.pass_time(LOOK_AGAIN * 2)
    await ring.known()
    await settled()
    assert [used for used in database.told if used] == [{"a" * 12: START}, {"a" * 12: later}]


async def test_a_key_that_ends_between_two_looks_ends_then(database: FakeDatabase) -> None:
    ends = START + timedelta(milliseconds=500)
    database.known = replace(database.known, keys={"a" * 12: replace(key_with(SECRET), expires_at=ends)})
    ring = database.ring()
    assert await ring.key_of(SECRET) is not None
    database.pass_time(timedelta(milliseconds=500))
    assert await ring.key_of(SECRET) is None
    assert await ring.key_of_session(SESSION) is None


async def test_a_session_ends_with_the_secret_that_it_was_begun_with(database: FakeDatabase) -> None:
    ring = database.ring()
    assert await ring.key_of_session(SESSION) is not None
    rotated = replace(key_with(SECRET), digest=digest_of("another"), previous_digest=digest_of(SECRET))
    database.known = replace(
        database.known, keys={"a" * 12: replace(rotated, previous_until=START + timedelta(hours=1))}
    )
    database.pass_time(timedelta(minutes=1))
    assert await ring.key_of_session(SESSION) is not None
    database.pass_time(timedelta(hours=1))
    assert await ring.key_of_session(SESSION) is None
