"""The fetcher against a real local host that behaves well, badly, or not at all."""

import asyncio
import gzip
import itertools
import random
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import NoReturn

import pytest

from shared.errors import RejectedError, RejectionReason
from shared.images.fetcher import Fetcher, FetchLimits, SystemLookup
from shared.settings import Settings
from tests.image_host import ImageHost, Send, dripping

PICTURE = bytes(range(256)) * 40
LIMITS = FetchLimits(
    allowed_hosts=("127.0.0.1", "images.test", "other.test"),
    public_hosts=True,
    bytes_max=100_000,
    seconds=10,
    connect_seconds=5,
    redirects_max=3,
    concurrency=16,
    concurrency_per_host=4,
    tries=1,
)


@pytest.fixture
def host() -> Iterator[ImageHost]:
    with ImageHost() as running:
        yield running


class Lookup:
    """Name servers that know 127.0.0.1 and, in turn, the given answers; counts the questions."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if self._answers else ["127.0.0.1"]


class Pauses:
    """Takes the place of sleeping and remembers for how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def fetch(
    url: str,
    limits: FetchLimits = LIMITS,
    lookup: Callable[[str], Awaitable[Sequence[str]]] | None = None,
    pauses: Pauses | None = None,
) -> bytes:
    async def once() -> bytes:
        sleep = pauses or Pauses()
        async with Fetcher(limits, lookup=lookup or Lookup(), sleep=sleep, dice=random.Random(1)) as fetcher:
            return await fetcher.fetch(url)

    return asyncio.run(once())


def refused(url: str, limits: FetchLimits = LIMITS, **parts: object) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        fetch(url, limits, **parts)  # type: ignore[arg-type]
    # Whatever goes wrong, the text does not repeat the URL, whose query may hold a token.
    assert "127.0.0.1" not in str(caught.value)
    assert "token" not in str(caught.value)
    return caught.value


def test_a_picture_is_fetched(host: ImageHost) -> None:
    assert fetch(host.serve("/a%20b.jpg", PICTURE) + "?token=1") == PICTURE
    assert host.requests[0][0] == "/a%20b.jpg?token=1"


@pytest.mark.parametrize(
    ("status", "reason", "retriable"),
    [
        *((status, RejectionReason.IMAGE_NOT_FOUND, False) for status in (404, 410)),
        *((status, RejectionReason.IMAGE_UNAVAILABLE, False) for status in (201, 206, 304, 400, 401, 403, 406, 451)),
        *((status, RejectionReason.IMAGE_UNAVAILABLE, True) for status in (408, 425, 429, 500, 502, 503, 504)),
    ],
)
def test_a_status_says_whether_to_try_again(
    host: ImageHost, status: int, reason: RejectionReason, retriable: bool
) -> None:
    error = refused(host.serve("/", status=status))
    assert (error.reason, error.retriable) == (reason, retriable)


def test_what_may_pass_is_tried_again_with_growing_pauses(host: ImageHost) -> None:
    url = host.serve("/", status=503)
    pauses = Pauses()
    refused(url, replace(LIMITS, tries=3), pauses=pauses)
    assert len(host.requests) == 3
    first, second = pauses.seconds
    assert 0.5 <= first <= 1 <= second <= 2


def test_a_later_try_succeeds(host: ImageHost) -> None:
    url = host.serve("/", status=503)

    class Recovery(Pauses):
        async def __call__(self, seconds: float) -> None:
            host.serve("/", PICTURE)

    assert fetch(url, replace(LIMITS, tries=2), pauses=Recovery()) == PICTURE


def test_what_cannot_pass_is_not_tried_again(host: ImageHost) -> None:
    pauses = Pauses()
    refused(host.serve("/", status=403), replace(LIMITS, tries=3), pauses=pauses)
    assert (len(host.requests), pauses.seconds) == (1, [])


def test_the_host_says_when_to_try_again(host: ImageHost) -> None:
    pauses = Pauses()
    refused(host.serve("/", status=429, headers={"Retry-After": "7"}), replace(LIMITS, tries=2), pauses=pauses)
    assert pauses.seconds == [7]


@pytest.mark.parametrize(
    ("date", "pause"),
    [
        ({"Date": "Sat, 21 Nov 2026 12:00:00 GMT"}, 7),
        # What the host's own clock has passed, or can't be told for want of it, leaves the usual pause.
        ({"Date": "Sat, 21 Nov 2026 13:00:00 GMT"}, None),
        ({}, None),
        ({"Date": "yesterday"}, None),
    ],
)
def test_the_host_says_the_time_at_which_to_try_again(
    host: ImageHost, date: dict[str, str], pause: float | None
) -> None:
    pauses = Pauses()
    headers = {"Retry-After": "Sat, 21 Nov 2026 12:00:07 GMT"} | date
    refused(host.serve("/", status=503, headers=headers), replace(LIMITS, tries=2), pauses=pauses)
    (seconds,) = pauses.seconds
    assert seconds == pause if pause else 0.5 <= seconds <= 1


@pytest.mark.parametrize("later", ["3600", "9" * 400, "Sat, 21 Nov 2099 12:00:00 GMT"])
def test_a_host_that_wants_a_longer_pause_than_a_fetch_may_take_is_given_up_on(host: ImageHost, later: str) -> None:
    pauses = Pauses()
    headers = {"Retry-After": later, "Date": "Sat, 21 Nov 2026 12:00:00 GMT"}
    error = refused(host.serve("/", status=429, headers=headers), replace(LIMITS, tries=5), pauses=pauses)
    assert error.retriable
    assert (len(host.requests), pauses.seconds) == (1, [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed(host: ImageHost, status: int) -> None:
    host.serve("/end", PICTURE)
    assert fetch(host.redirect("/start", "/end", status)) == PICTURE


def test_redirects_are_followed_so_often_and_no_more(host: ImageHost) -> None:
    host.serve("/4", PICTURE)
    for number in range(4):
        host.redirect(f"/{number}", f"/{number + 1}")
    assert fetch(host.url("/1")) == PICTURE
    error = refused(host.url("/0"))
    assert (error.reason, error.retriable) == (RejectionReason.IMAGE_UNAVAILABLE, False)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://localhost/",
        "http://127.0.0.2/",
        "http://user:password@127.0.0.1/",
        "http://a\\@127.0.0.1/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://private.test/",
    ],
)
def test_a_redirect_to_where_no_url_may_lead_is_refused(host: ImageHost, location: str) -> None:
    error = refused(host.redirect("/", location))
    assert (error.reason, error.retriable) == (RejectionReason.URL_FORBIDDEN, False)
    assert len(host.requests) == 1


def test_the_checked_address_is_connected_to_without_a_second_look_up(
    host: ImageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(*_: object, **__: object) -> NoReturn:
        pytest.fail("the name was looked up a second time")

    monkeypatch.setattr(socket, "getaddrinfo", trip)
    host.serve("/", PICTURE)
    rebinding = Lookup(["127.0.0.1"], ["10.0.0.1"], ["10.0.0.1"])
    assert fetch(host.url("/", host="images.test"), lookup=rebinding) == PICTURE
    assert rebinding.asked == ["images.test"]
    assert host.requests[0][1]["Host"] == f"images.test:{host.port}"


def test_one_private_address_among_the_answers_refuses_the_host() -> None:
    error = refused("http://example.com/", lookup=Lookup(["93.184.215.14", "10.0.0.1"]))
    assert error.reason is RejectionReason.URL_FORBIDDEN


def test_a_name_that_does_not_resolve_may_resolve_later() -> None:
    async def nothing(host: str) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "token")

    error = refused("http://example.com/", lookup=nothing)
    assert (error.reason, error.retriable) == (RejectionReason.IMAGE_UNAVAILABLE, True)


def test_the_system_looks_names_up() -> None:
    async def once() -> list[str]:
        lookup = SystemLookup()
        try:
            return await lookup("localhost")
        finally:
            lookup.close()

    assert set(asyncio.run(once())) <= {"127.0.0.1", "::1"}


def test_no_cookies_credentials_proxies_or_compression_are_used(
    host: ImageHost, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / ".netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    host.serve("/end", PICTURE)
    host.serve("/start", status=302, headers={"Location": "/end", "Set-Cookie": "a=b; Path=/"})
    assert fetch(host.url("/start")) == PICTURE
    for _, headers in host.requests:
        assert not {"Cookie", "Authorization", "Referer"} & set(headers)
        assert headers["Accept-Encoding"] == "identity"


def test_a_compressed_body_is_refused(host: ImageHost) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    error = refused(host.serve("/", bomb, headers={"Content-Encoding": "gzip"}))
    assert (error.reason, error.retriable) == (RejectionReason.IMAGE_UNAVAILABLE, False)


def test_a_picture_of_the_largest_size_passes_and_a_byte_more_does_not(host: ImageHost) -> None:
    assert len(fetch(host.serve("/", bytes(LIMITS.bytes_max)))) == LIMITS.bytes_max
    assert refused(host.serve("/", bytes(LIMITS.bytes_max + 1))).reason is RejectionReason.IMAGE_TOO_LARGE


def test_a_length_that_is_too_large_is_refused_before_the_body_comes(host: ImageHost) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n"
    error = refused(host.script("/", lambda send, stopped: (send(head), stopped.wait())))
    assert error.reason is RejectionReason.IMAGE_TOO_LARGE


@pytest.mark.parametrize("framing", [b"", b"Transfer-Encoding: chunked\r\n"])
def test_an_endless_body_is_refused_at_the_limit(host: ImageHost, framing: bytes) -> None:
    drop = b"4000\r\n" + bytes(0x4000) + b"\r\n" if framing else bytes(0x4000)
    head = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n"
    error = refused(host.script("/", dripping(head, drop, seconds=0)))
    assert error.reason is RejectionReason.IMAGE_TOO_LARGE


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Drop: 1\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b""),
    ],
    ids=["body", "headers", "one header", "interim answers", "nothing"],
)
def test_a_dripping_answer_ends_at_the_deadline(host: ImageHost, head: bytes, drop: bytes) -> None:
    began = time.monotonic()
    error = refused(host.script("/", dripping(head, drop)), replace(LIMITS, seconds=0.3))
    assert (error.reason, error.retriable) == (RejectionReason.IMAGE_UNAVAILABLE, True)
    assert time.monotonic() - began < 3


def test_the_deadline_covers_redirects_together(host: ImageHost) -> None:
    def late(send: Send, stopped: threading.Event) -> None:
        stopped.wait(0.25)
        send(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")

    error = refused(host.script("/", late), replace(LIMITS, seconds=0.4, redirects_max=10))
    assert "too long" in str(error)
    assert len(host.requests) <= 2


def test_a_host_that_does_not_finish_connecting_is_given_up_on_early() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        error = refused(url, replace(LIMITS, seconds=60, connect_seconds=0.2))
    assert (error.reason, error.retriable) == (RejectionReason.IMAGE_UNAVAILABLE, True)


def test_the_name_in_the_url_is_the_one_that_tls_asks_for() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        refused(f"https://images.test:{silent.getsockname()[1]}/", replace(LIMITS, connect_seconds=0.2))
        connection, _ = silent.accept()
        with connection:
            assert b"images.test" in connection.recv(4096)


def test_a_host_without_proper_tls_is_not_tried_again(host: ImageHost) -> None:
    error = refused(host.url("/").replace("http:", "https:"))
    assert (error.reason, error.retriable) == (RejectionReason.IMAGE_UNAVAILABLE, False)


def test_a_refused_connection_may_be_accepted_later() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    error = refused(f"http://127.0.0.1:{port}/")
    assert (error.reason, error.retriable) == (RejectionReason.IMAGE_UNAVAILABLE, True)


@pytest.mark.parametrize(
    ("answer", "retriable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nshort", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", True),
        (b"", True),
        (b"SSH-2.0-OpenSSH_9.9\r\n", False),
        (b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 1000 + b"\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", False),
    ],
    ids=["short", "short chunks", "nothing", "not HTTP", "long header", "many headers", "two lengths"],
)
def test_a_broken_answer_is_unavailable(host: ImageHost, answer: bytes, retriable: bool) -> None:
    def broken(send: Send, stopped: threading.Event) -> None:
        send(answer)
        raise ConnectionAbortedError

    error = refused(host.script("/", broken))
    assert (error.reason, error.retriable) == (RejectionReason.IMAGE_UNAVAILABLE, retriable)


def test_one_slow_host_gets_its_share_of_requests_and_leaves_the_others_theirs(host: ImageHost) -> None:
    arrivals, full, opened = itertools.count(1), threading.Event(), threading.Event()

    def slow(send: Send, stopped: threading.Event) -> None:
        if next(arrivals) == 3:
            full.set()
        opened.wait()
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    host.script("/slow", slow)
    host.serve("/quick", PICTURE)

    async def both() -> None:
        async with Fetcher(replace(LIMITS, concurrency=4, concurrency_per_host=3), lookup=Lookup()) as fetcher:
            tasks = [asyncio.create_task(fetcher.fetch(host.url("/slow", host="images.test"))) for _ in range(12)]
            assert await asyncio.to_thread(full.wait, 10)
            quick = fetcher.fetch(host.url("/quick", host="other.test"))
            assert await asyncio.wait_for(quick, 5) == PICTURE
            assert [path for path, _ in host.requests] == ["/slow"] * 3 + ["/quick"]
            opened.set()
            assert await asyncio.gather(*tasks) == [b"ok"] * 12
        assert host.busy_max <= 4

    try:
        asyncio.run(both())
    finally:
        opened.set()


def test_waiting_for_a_free_place_does_not_count_against_the_host(host: ImageHost) -> None:
    def unhurried(send: Send, stopped: threading.Event) -> None:
        stopped.wait(0.1)
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    url = host.script("/", unhurried)

    async def all_at_once() -> list[bytes]:
        async with Fetcher(replace(LIMITS, concurrency_per_host=1, seconds=1), lookup=Lookup()) as fetcher:
            return await asyncio.gather(*(fetcher.fetch(url) for _ in range(15)))

    assert asyncio.run(all_at_once()) == [b"ok"] * 15


def test_a_host_that_fails_again_and_again_is_left_alone_by_all_fetches_until_it_answers(host: ImageHost) -> None:
    down, there = host.serve("/down", status=503), host.serve("/there", PICTURE)
    seconds = [0.0]

    async def many() -> None:
        limits = replace(LIMITS, tries=2, host_failures_max=3, host_pause_seconds=30)
        async with Fetcher(
            limits, lookup=Lookup(), sleep=Pauses(), dice=random.Random(1), clock=lambda: seconds[0]
        ) as fetcher:
            for _ in range(5):
                with pytest.raises(RejectedError) as caught:
                    await fetcher.fetch(down)
                assert (caught.value.reason, caught.value.retriable) == (RejectionReason.IMAGE_UNAVAILABLE, True)
            assert len(host.requests) == 3
            with pytest.raises(RejectedError):
                await fetcher.fetch(there)
            seconds[0] += 30
            assert await fetcher.fetch(there) == PICTURE
            assert await fetcher.fetch(there) == PICTURE

    asyncio.run(many())


def test_limits_are_the_settings() -> None:
    limits = FetchLimits.of(Settings(_env_file=None, fetch_tries=7, fetch_allowed_hosts="a, b:81"))
    assert limits.tries == 7
    assert limits.allowed_hosts == ("a", "b:81")
