"""What the workbench's keys promise, on SQLite and on PostgreSQL."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from searcher.people import Scope
from searcher.workbench import keys as module
from searcher.workbench.database import Database
from searcher.workbench.keys import KeyMissingError, KeyRefusedError, Keys, digest_of, key_id_of
from searcher.workbench.tables import AUDIT
from tests.workbenches import Clock

HOUR = timedelta(hours=1)


@pytest.fixture
def keys(database: Database, clock: Clock) -> Keys:
    return Keys(database, clock)


def test_of_a_secret_only_its_sha256_is_kept(keys: Keys, database: Database) -> None:
    new = keys.create("ann", Scope.JUDGE, None, "command line")
    assert key_id_of(new.secret) == new.key.key_id
    assert new.key.digest == hashlib.sha256(new.secret.encode()).hexdigest()
    assert new.secret not in repr(new)
    assert len(new.secret.rpartition("_")[2]) * 4 == 256
    with database.transaction() as connection:
        row = connection.execute(text("SELECT * FROM keys")).one()
    assert not [value for value in row if new.secret.rpartition("_")[2] in str(value)]


def test_two_secrets_are_never_alike(keys: Keys) -> None:
    first, second = (keys.create(name, Scope.READ, None, "ann") for name in ("a", "b"))
    again = keys.rotate("a", HOUR, "ann")
    assert len({one.secret for one in (first, second, again)}) == 3
    assert first.key.key_id == again.key.key_id != second.key.key_id


def test_keys_are_listed_by_name_with_all_that_is_known_of_them(keys: Keys, clock: Clock) -> None:
    bob = keys.create("Bob", Scope.READ, clock.moment + HOUR, "ann").key
    ann = keys.create("ann", Scope.ADMINISTER, None, "command line").key
    assert keys.list() == [ann, bob]
    assert (bob.made_at, bob.made_by, bob.expires_at) == (clock.moment, "ann", clock.moment + HOUR)
    assert (bob.used_at, bob.revoked_at, bob.previous_until) == (None, None, None)


def test_an_expired_key_is_known_no_more(keys: Keys, clock: Clock) -> None:
    new = keys.create("ann", Scope.READ, clock.moment + HOUR, "bob")
    assert keys.known({}).keys == {new.key.key_id: new.key}
    clock.moment += HOUR
    assert not new.key.takes(digest_of(new.secret), clock.moment)
    known = keys.known({})
    assert (known.keys, known.asked_for) == ({}, True)
    with pytest.raises(KeyMissingError):
        keys.rotate("ann", HOUR, "bob")


def test_the_secret_before_a_rotation_works_for_its_grace_and_the_one_before_no_more(keys: Keys, clock: Clock) -> None:
    first = keys.create("ann", Scope.READ, None, "bob")
    second = keys.rotate("ann", HOUR, "bob")
    assert works(keys, clock, first.secret, second.secret) == [True, True]
    third = keys.rotate("ann", HOUR, "bob")
    assert works(keys, clock, first.secret, second.secret, third.secret) == [False, True, True]
    clock.moment += HOUR
    assert works(keys, clock, second.secret, third.secret) == [False, True]


def works(keys: Keys, clock: Clock, *secrets: str) -> list[bool]:
    known = keys.known({}).keys
    return [
        any(key.takes(digest_of(secret), clock.moment) for key in known.values() if key.key_id == key_id_of(secret))
        for secret in secrets
    ]


def test_a_revoked_key_ends_with_its_sessions_and_stays_in_the_list(keys: Keys, clock: Clock) -> None:
    new = keys.create("ann", Scope.READ, None, "bob")
    keys.begin_session(new.key, new.key.digest)
    revoked = keys.revoke("ann", "bob")
    assert revoked.revoked_at == clock.moment
    assert keys.list() == [revoked]
    known = keys.known({})
    assert (known.keys, known.sessions, known.asked_for) == ({}, {}, True)
    with pytest.raises(KeyMissingError):
        keys.revoke("ann", "bob")
    with pytest.raises(KeyMissingError):
        keys.revoke("nobody", "bob")


def test_a_name_is_never_used_twice(keys: Keys) -> None:
    keys.create("ann", Scope.READ, None, "bob")
    keys.revoke("ann", "bob")
    with pytest.raises(KeyRefusedError, match="rotate it, or take another name"):
        keys.create("ann", Scope.ADMINISTER, None, "bob")


def test_a_name_that_could_be_taken_for_something_else_is_refused(keys: Keys) -> None:
    for name in (
        "",
        " ann",
        "ann ",
        "a" * 65,
        "a/b",
        "a\nb",
        "a\x1b[31m",
        "<b>",
        "local",
        "Command line",
        "a,b",
        "-\0",
    ):
        with pytest.raises(KeyRefusedError):
            keys.create(name, Scope.READ, None, "bob")
    assert keys.list() == []


def test_an_end_in_the_past_is_refused(keys: Keys, clock: Clock) -> None:
    with pytest.raises(KeyRefusedError, match="ahead"):
        keys.create("ann", Scope.READ, clock.moment, "bob")


def test_there_is_a_most_of_keys_in_use(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEYS_MAX", 2)
    for name in ("a", "b"):
        keys.create(name, Scope.READ, None, "bob")
    with pytest.raises(KeyRefusedError, match="revoke one first"):
        keys.create("c", Scope.READ, None, "bob")
    keys.revoke("a", "bob")
    keys.create("c", Scope.READ, None, "bob")


def test_a_first_key_is_made_once_however_many_ask_for_it(keys: Keys) -> None:
    def ask(_: int) -> bool:
        try:
            return keys.ensure("administrator", Scope.ADMINISTER, "command line") is not None
        except KeyRefusedError:  # Another one made it at the same moment.
            return False

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(ask, range(8))) == 1
    assert [key.name for key in keys.list()] == ["administrator"]
    keys.revoke("administrator", "command line")
    assert keys.ensure("administrator", Scope.ADMINISTER, "command line") is None


def test_last_use_is_the_latest_that_any_searcher_told(keys: Keys, clock: Clock) -> None:
    key = keys.create("ann", Scope.READ, None, "bob").key
    later = clock.moment + HOUR
    assert keys.known({key.key_id: later}).keys[key.key_id].used_at == later
    assert keys.known({key.key_id: clock.moment, "unknown": later}).keys[key.key_id].used_at == later


def test_a_session_lasts_a_working_day_and_ends_when_it_is_ended(keys: Keys, clock: Clock) -> None:
    key = keys.create("ann", Scope.READ, None, "bob").key
    first, second = (keys.begin_session(key, key.digest) for _ in range(2))
    assert keys.known({}).sessions.keys() == {digest_of(first), digest_of(second)}
    session = keys.known({}).sessions[digest_of(first)]
    assert (session.key_id, session.key_digest) == (key.key_id, key.digest)
    assert session.expires_at == clock.moment + timedelta(hours=12)
    keys.end_session(first)
    keys.end_session("never begun")
    assert keys.known({}).sessions.keys() == {digest_of(second)}
    clock.moment += timedelta(hours=12)
    assert keys.known({}).sessions == {}


def test_a_key_has_a_most_of_sessions_and_the_oldest_goes_first(
    keys: Keys, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SESSIONS_MAX", 2)
    key = keys.create("ann", Scope.READ, None, "bob").key
    begun = []
    for _ in range(3):
        begun.append(keys.begin_session(key, key.digest))
        clock.advance()
    assert keys.known({}).sessions.keys() == {digest_of(secret) for secret in begun[1:]}


def test_everything_is_in_the_audit_log_and_no_secret_is(keys: Keys, database: Database) -> None:
    new = keys.create("ann", Scope.JUDGE, None, "bob")
    keys.begin_session(new.key, new.key.digest)
    keys.rotate("ann", HOUR, "cem")
    keys.revoke("ann", "bob")
    with database.transaction() as connection:
        entries = connection.execute(select(AUDIT.c.who, AUDIT.c.action, AUDIT.c.detail)).all()
    assert [(entry.who, entry.action) for entry in entries] == [
        ("bob", "key_made"),
        ("ann", "signed_in"),
        ("cem", "key_rotated"),
        ("bob", "key_revoked"),
    ]
    assert new.secret not in str(entries)
