"""Picture bytes from the web, and posts to it. The only module that opens URLs; `url_rules` says which may be."""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from shared.errors import RejectedError, RejectionReason
from shared.images.hosts import HostBreaker, Hosts, LeftAloneError, UnavailableError
from shared.images.url_rules import UrlRules, forbidden
from shared.settings import Settings

Lookup = Callable[[str], Awaitable[Sequence[str]]]
"""Gives all addresses of a host name, as text; OSError where there are none."""

_HEADERS = {
    # Hosts that choose a format by this header must not choose AVIF.
    "Accept": "image/jpeg,image/png,image/webp,*/*;q=0.1",
    # A compressed body could be small on the wire and huge here.
    "Accept-Encoding": "identity",
    "User-Agent": "catalogue-indexer",
}
_HEADER_BYTES_MAX = 8190
_HEADERS_MAX = 100
_LOOKUP_THREADS = 8
_FIRST_PAUSE_SECONDS = 0.5

_GONE = frozenset({404, 410})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Bounds of fetching; the settings `fetch_*` say what each is."""

    allowed_hosts: tuple[str, ...]
    public_hosts: bool
    bytes_max: int
    seconds: float
    connect_seconds: float
    redirects_max: int
    concurrency: int
    concurrency_per_host: int
    tries: int
    host_failures_max: int = 5
    host_pause_seconds: float = 30.0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The settings' limits."""
        return cls(
            allowed_hosts=settings.fetch_allowed_hosts,
            public_hosts=settings.fetch_public_hosts,
            bytes_max=settings.fetch_bytes_max,
            seconds=settings.fetch_seconds,
            connect_seconds=settings.fetch_connect_seconds,
            redirects_max=settings.fetch_redirects_max,
            concurrency=settings.fetch_concurrency,
            concurrency_per_host=settings.fetch_concurrency_per_host,
            tries=settings.fetch_tries,
            host_failures_max=settings.fetch_host_failures_max,
            host_pause_seconds=settings.fetch_host_pause_seconds,
        )


class Fetcher:
    """Fetches http and https URLs within the rules and limits. Make it inside a running event loop, and close it.

    No cookies, no credentials, no proxies or .netrc of the environment, no compressed bodies.
    """

    def __init__(
        self,
        limits: FetchLimits,
        *,
        lookup: Lookup | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        dice: random.Random | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._limits = limits
        self._rules = UrlRules.of(limits.allowed_hosts, limits.public_hosts)
        breaker = HostBreaker(
            limits.host_failures_max, limits.host_pause_seconds, clock or asyncio.get_running_loop().time
        )
        self._hosts = Hosts(limits.concurrency, limits.concurrency_per_host, breaker)
        self._sleep = sleep
        self._dice = dice or random.Random()
        self._system_lookup = SystemLookup()
        self._session = _new_session(lookup or self._system_lookup, self._rules, limits.connect_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        self._system_lookup.close()

    async def fetch(self, url: str) -> bytes:
        """The bytes behind a URL, with retries.

        RejectedError: URL_FORBIDDEN, IMAGE_NOT_FOUND, IMAGE_TOO_LARGE, or IMAGE_UNAVAILABLE, which is retriable where
        the host may answer later; the tries are used up by then, or the host is left alone for a while, or it asks for
        a longer pause than a fetch may take.
        """
        target = self._rules.check(url)
        tried = 0
        while True:
            tried += 1
            try:
                return await self._try(target)
            except LeftAloneError:
                raise
            except UnavailableError as error:
                # 0, or a date that has passed, asks for no pause of its own.
                pause = max(error.retry_after_seconds or 0, 0) or self._pause(tried)
                if not error.retriable or tried >= self._limits.tries or pause > self._limits.seconds:
                    raise
            await self._sleep(pause)

    def _pause(self, tried: int) -> float:
        longest = _FIRST_PAUSE_SECONDS * 2.0**tried
        return self._dice.uniform(longest / 2, longest)

    async def _try(self, url: URL) -> bytes:
        loop = asyncio.get_running_loop()
        left = self._limits.seconds
        for _ in range(self._limits.redirects_max + 1):
            async with self._hosts.asking(url):
                began = loop.time()
                with _translated():
                    async with asyncio.timeout(left):
                        answer = await self._request(url)
                left -= loop.time() - began
            if isinstance(answer, bytes):
                return answer
            url = answer
        raise UnavailableError("the host redirects more often than CATALOGUE_FETCH_REDIRECTS_MAX allows")

    async def _request(self, url: URL) -> bytes | URL:
        """The body, or where it is instead."""
        async with self._session.get(url, allow_redirects=False) as response:
            location = response.headers.get("Location")
            if response.status in _REDIRECTS and location is not None:
                return self._rules.follow(url, location)
            _check_status(response)
            return await self._body(response)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnavailableError("the host sends a compressed body, unasked")
        if (response.content_length or 0) > self._limits.bytes_max:
            raise too_large()
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._limits.bytes_max:
                raise too_large()
        return bytes(body)


class Poster:
    """Posts to http and https URLs under the same rules of addresses. Make it inside a running event loop; close it."""

    def __init__(self, limits: FetchLimits, seconds: float, *, lookup: Lookup | None = None) -> None:
        """A post may take `seconds`."""
        self._rules = UrlRules.of(limits.allowed_hosts, limits.public_hosts)
        self._seconds = seconds
        self._system_lookup = SystemLookup()
        self._session = _new_session(lookup or self._system_lookup, self._rules, limits.connect_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
        self._system_lookup.close()

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer, whose body is not read; no redirect is followed.

        RejectedError: URL_FORBIDDEN, or IMAGE_UNAVAILABLE where there is no answer.
        """
        target = self._rules.check(url)
        with _translated():
            async with (
                asyncio.timeout(self._seconds),
                self._session.post(target, data=content, headers=headers, allow_redirects=False) as response,
            ):
                return response.status


class SystemLookup:
    """Looks names up by the operating system, on threads of its own: slow name servers hold up nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_LOOKUP_THREADS, thread_name_prefix="lookup")

    async def __call__(self, host: str) -> list[str]:
        """All addresses of a host, in the system's order."""
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        )
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _new_session(lookup: Lookup, rules: UrlRules, connect_seconds: float) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            # Callers bound what is open at once; waiting for that must not count as the host's slowness.
            limit=0,
            # It keeps the checked addresses for 10 s, so hundreds of requests to a host need one look-up.
            resolver=_CheckingResolver(lookup, rules),
        ),
        headers=_HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        max_line_size=_HEADER_BYTES_MAX,
        max_field_size=_HEADER_BYTES_MAX,
        max_headers=_HEADERS_MAX,
    )


class _CheckingResolver(AbstractResolver):
    """One look-up, all of whose answers pass the rules; the connection goes to exactly these addresses.

    aiohttp does not ask for URLs that hold an address: `UrlRules.check` has judged those.
    """

    def __init__(self, lookup: Lookup, rules: UrlRules) -> None:
        self._lookup = lookup
        self._rules = rules

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = await self._lookup(host)
        self._rules.check_addresses(host, port, addresses)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


def too_large() -> RejectedError:
    """The rejection of a picture of too many bytes."""
    return RejectedError(RejectionReason.IMAGE_TOO_LARGE, "more bytes than CATALOGUE_FETCH_BYTES_MAX allows")


def _check_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status == 200:
        return
    if status in _GONE:
        raise RejectedError(RejectionReason.IMAGE_NOT_FOUND, f"the host answers {status}")
    raise UnavailableError(
        f"the host answers {status}",
        retriable=status in _TRANSIENT or status >= 500,
        retry_after_seconds=_retry_after_seconds(response.headers),
    )


def _retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """How long the host asks to wait, as seconds or as a date, which is compared with the host's own clock."""
    retry_after = headers.get("Retry-After", "")
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return (parsedate_to_datetime(retry_after) - parsedate_to_datetime(headers.get("Date", ""))).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None


@contextmanager
def _translated() -> Iterator[None]:
    """aiohttp's errors as rejections, without its words, which repeat the URL."""
    try:
        yield
    except aiohttp.InvalidURL as error:
        raise forbidden("the URL is malformed") from error
    except TimeoutError as error:
        raise UnavailableError("the host takes too long", retriable=True) from error
    except aiohttp.ClientConnectorDNSError as error:
        raise UnavailableError("the host's name does not resolve", retriable=True) from error
    except (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch) as error:
        raise UnavailableError("no trusted TLS connection to the host") from error
    except aiohttp.ClientResponseError as error:
        raise UnavailableError("the host's answer is not proper HTTP") from error
    except (aiohttp.ClientError, OSError) as error:
        raise UnavailableError("the connection to the host fails or breaks off", retriable=True) from error
