"""Too many dead letters halt the worker; a few, or many beside good records, do not."""

import asyncio
from contextlib import ExitStack

import pytest

from indexer.dead_letter_limit import Attempt, DeadLetterLimit
from indexer.planning import Outcome
from shared.errors import BadInputHaltError, RejectionReason
from shared.event_log import Record

RECORD = Record("7", 41, 42, 0, b"key", b"{")


async def letter(
    limit: DeadLetterLimit, attempt: Attempt, reason: RejectionReason = RejectionReason.EVENT_NOT_JSON
) -> None:
    await limit.admit(attempt, reason, RECORD, "the value is not JSON")
    attempt.outcome = Outcome.DEAD_LETTERED


async def letters(limit: DeadLetterLimit, count: int) -> None:
    for _ in range(count):
        with limit.attempt() as attempt:
            await letter(limit, attempt)


def ends(limit: DeadLetterLimit, outcome: Outcome) -> None:
    with limit.attempt() as attempt:
        attempt.outcome = outcome


async def test_one_letter_too_many_in_a_row_is_refused_with_what_to_do() -> None:
    limit = DeadLetterLimit(5, 0)
    for reason in [RejectionReason.EVENT_INVALID, *[RejectionReason.EVENT_NOT_JSON] * 4]:
        with limit.attempt() as attempt:
            await letter(limit, attempt, reason)
    with pytest.raises(BadInputHaltError) as caught, limit.attempt() as attempt:
        await letter(limit, attempt, RejectionReason.EVENT_INVALID)
    for told in ("last 5 records", "event_not_json", "partition 7, offset 41", "DEAD_LETTERS_CONSECUTIVE_MAX"):
        assert told in str(caught.value)


@pytest.mark.parametrize(
    ("outcome", "ends_the_run"),
    [
        (Outcome.INDEXED, True),
        (Outcome.SUPERSEDED, True),
        (Outcome.DELETED, True),
        (Outcome.RETRIED, False),
        (Outcome.ABANDONED, False),
    ],
)
async def test_a_record_that_passes_ends_the_run_and_one_that_comes_again_does_not(
    outcome: Outcome, ends_the_run: bool
) -> None:
    limit = DeadLetterLimit(5, 0)
    await letters(limit, 5)
    ends(limit, outcome)
    if ends_the_run:
        await letters(limit, 5)
    with pytest.raises(BadInputHaltError):
        await letters(limit, 1)


@pytest.mark.parametrize("before_it", [0, 4, 5, 8])
async def test_a_slow_good_record_among_quick_bad_ones_ends_the_run_of_those_before_it_only(before_it: int) -> None:
    limit, passing = DeadLetterLimit(5, 0), asyncio.Event()

    async def slow() -> None:
        with limit.attempt() as attempt:
            await passing.wait()
            attempt.outcome = Outcome.INDEXED

    tasks = [asyncio.create_task(letters(limit, 1)) for _ in range(before_it)]
    good = asyncio.create_task(slow())
    tasks += [asyncio.create_task(letters(limit, 1)) for _ in range(8 - before_it)]
    for _ in range(20):
        await asyncio.sleep(0)
    # A letter waits for what was begun earlier.
    assert sum(task.done() for task in tasks) == before_it
    passing.set()
    ended = await asyncio.wait_for(asyncio.gather(*tasks, good, return_exceptions=True), 5)
    assert sum(isinstance(error, BadInputHaltError) for error in ended) == {0: 3, 4: 0, 5: 0, 8: 3}[before_it]


@pytest.mark.parametrize("consecutive_max", [1, 100])
async def test_with_any_number_in_flight_and_in_any_order_exactly_the_limit_is_let_through(
    consecutive_max: int,
) -> None:
    limit = DeadLetterLimit(consecutive_max, 0)
    written = 0

    async def poison(number: int) -> None:
        nonlocal written
        with limit.attempt() as attempt:
            for _ in range((number * 7919) % 13):
                await asyncio.sleep(0)
            await letter(limit, attempt)
            written += 1

    ended = await asyncio.gather(*(poison(number) for number in range(512)), return_exceptions=True)
    assert written == consecutive_max
    assert {type(error) for error in ended if error} == {BadInputHaltError}


async def test_a_share_of_the_last_thousand_above_the_limit_is_refused() -> None:
    limit = DeadLetterLimit(0, 0.5)
    for _ in range(500):
        await letters(limit, 1)
        ends(limit, Outcome.INDEXED)
    ends(limit, Outcome.INDEXED)
    await letters(limit, 1)
    with pytest.raises(BadInputHaltError, match=r"501 of the last 1000 .*DEAD_LETTERS_SHARE_MAX"):
        await letters(limit, 2)


async def test_a_share_below_the_limit_goes_on_for_ever() -> None:
    limit = DeadLetterLimit(0, 0.5)
    for _ in range(1500):
        await letters(limit, 1)
        ends(limit, Outcome.INDEXED)


@pytest.mark.parametrize("share", [0, 1])
async def test_without_limits_nothing_is_refused(share: float) -> None:
    await letters(DeadLetterLimit(0, share), 2000)


async def test_letters_are_counted_in_the_order_in_which_their_records_were_begun() -> None:
    limit = DeadLetterLimit(2, 0)
    with limit.attempt() as early, ExitStack() as between:
        good = between.enter_context(limit.attempt())
        with limit.attempt() as later, limit.attempt() as latest:
            waiting = [asyncio.create_task(letter(limit, attempt)) for attempt in (later, latest)]
            await asyncio.wait_for(letter(limit, early), 5)
            assert not any(task.done() for task in waiting)
            good.outcome = Outcome.INDEXED
            between.close()
            await asyncio.wait_for(asyncio.gather(*waiting), 5)
    with pytest.raises(BadInputHaltError):
        await letters(limit, 1)


async def test_a_letter_that_takes_long_to_write_holds_up_no_other() -> None:
    limit = DeadLetterLimit(5, 0)
    with limit.attempt() as being_written:
        await letter(limit, being_written)
        await asyncio.wait_for(letters(limit, 4), 5)
        with pytest.raises(BadInputHaltError):
            await letters(limit, 1)


async def test_without_a_limit_in_a_row_a_letter_waits_for_nothing() -> None:
    limit = DeadLetterLimit(0, 0.5)
    with limit.attempt():
        await asyncio.wait_for(letters(limit, 10), 5)
