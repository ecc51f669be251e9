"""A host that does not answer is left alone, and slows no other one."""

import asyncio
import selectors
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from yarl import URL

from shared.errors import RejectedError, RejectionReason
from shared.images import hosts
from shared.images.hosts import HostBreaker, Hosts, LeftAloneError, UnavailableError

_Result = TypeVar("_Result")


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class _TimePasses(selectors.DefaultSelector):
    """Does not wait, but lets the clock pass as if it had."""

    clock: Clock

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everything waits, and for nothing that will happen"
        ready = super().select(0)
        if not ready:
            self.clock.seconds += timeout
        return ready


def in_virtual_time(work: Coroutine[Any, Any, _Result]) -> _Result:
    selector, clock = _TimePasses(), Clock()
    selector.clock = clock
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = clock  # type: ignore[method-assign]
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> HostBreaker:
    return HostBreaker(3, 30, clock)


def fail(breaker: HostBreaker, times: int, host: str = "dead") -> None:
    for _ in range(times):
        breaker.failed(host)


def test_a_host_is_asked_until_it_has_failed_so_often_in_a_row(breaker: HostBreaker) -> None:
    fail(breaker, 2)
    assert breaker.admits("dead")
    fail(breaker, 1)
    assert not breaker.admits("dead")
    assert breaker.admits("other")


def test_an_answer_in_between_makes_the_count_start_anew(breaker: HostBreaker) -> None:
    fail(breaker, 2)
    breaker.answered("dead")
    fail(breaker, 2)
    assert breaker.admits("dead")


def test_after_the_pause_one_request_finds_out_and_the_others_still_wait(breaker: HostBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.seconds += 29.9
    assert not breaker.admits("dead")
    clock.seconds += 0.1
    assert [breaker.admits("dead") for _ in range(3)] == [True, False, False]


def test_a_host_that_answers_again_is_asked_by_all(breaker: HostBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.seconds += 30
    assert breaker.admits("dead")
    breaker.answered("dead")
    assert breaker.admits("dead")
    assert breaker.admits("dead")


def test_a_host_that_fails_again_is_left_alone_again(breaker: HostBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.seconds += 30
    assert breaker.admits("dead")
    fail(breaker, 1)
    clock.seconds += 29
    assert not breaker.admits("dead")
    clock.seconds += 1
    assert breaker.admits("dead")


def test_a_request_that_never_tells_does_not_shut_a_host_out_for_good(breaker: HostBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.seconds += 30
    assert breaker.admits("dead")
    clock.seconds += 30
    assert breaker.admits("dead")


def test_only_so_many_failing_hosts_are_remembered(breaker: HostBreaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "_FAILING_HOSTS_MAX", 2)
    for host in ("first", "second", "third"):
        fail(breaker, 3, host)
    assert [breaker.admits(host) for host in ("first", "second", "third")] == [True, False, False]


@pytest.mark.parametrize(
    ("error", "left_alone"),
    [
        (UnavailableError("503", retriable=True), True),
        (UnavailableError("403"), False),
        (RejectedError(RejectionReason.IMAGE_NOT_FOUND, "404"), False),
    ],
)
def test_only_failures_that_may_pass_count_against_a_host(error: RejectedError, left_alone: bool) -> None:
    async def ask() -> list[type[RejectedError]]:
        gate = Hosts(10, 10, HostBreaker(3, 30, asyncio.get_running_loop().time))
        raised: list[type[RejectedError]] = []
        for _ in range(4):
            with pytest.raises(RejectedError) as caught:
                async with gate.asking(URL("http://host/")):
                    raise error
            raised.append(type(caught.value))
        return raised

    assert in_virtual_time(ask()) == [type(error)] * 3 + [LeftAloneError if left_alone else type(error)]


def test_a_dead_host_does_not_slow_the_others_by_more_than_a_fifth() -> None:
    """A worker with 512 records in flight, every third of which is of a host that lets requests run into the limit."""
    good = [URL(f"http://good-{number % 20}/{number}") for number in range(8000)]
    dead = [URL(f"http://dead/{number}") for number in range(4000)]
    mixed = [
        url for first, second, third in zip(good[::2], good[1::2], dead, strict=True) for url in (first, second, third)
    ]
    alone = in_virtual_time(_seconds_for(iter(good)))
    assert alone == pytest.approx(8000 / 64 * 0.5, rel=0.1)
    assert in_virtual_time(_seconds_for(iter(mixed))) <= alone / 0.8


async def _seconds_for(urls: Iterator[URL]) -> float:
    """How long the fetches take, 64 at once, 8 of one host; a picture takes half a second, the dead host all 15."""
    clock = asyncio.get_running_loop().time
    gate = Hosts(64, 8, HostBreaker(5, 30, clock))

    async def record_after_record() -> None:
        for url in urls:
            try:
                async with gate.asking(url):
                    await asyncio.sleep(15 if url.host == "dead" else 0.5)
                    if url.host == "dead":
                        raise UnavailableError("the host takes too long", retriable=True)
            except UnavailableError:
                continue

    began = clock()
    await asyncio.gather(*(record_after_record() for _ in range(512)))
    return clock() - began
