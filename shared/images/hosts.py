"""Who may ask which host now: so many at once, so many of one host, and nobody a host that does not answer."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from yarl import URL

from shared.errors import RejectedError, RejectionReason

# Hosts with failures that are remembered; whoever makes up more names makes the oldest forgotten.
_FAILING_HOSTS_MAX = 10_000


class UnavailableError(RejectedError):
    """The host does not give the picture; `retry_after_seconds` where it said when it will."""

    def __init__(self, detail: str, *, retriable: bool = False, retry_after_seconds: float | None = None) -> None:
        super().__init__(RejectionReason.IMAGE_UNAVAILABLE, detail, retriable=retriable)
        self.retry_after_seconds = retry_after_seconds


class LeftAloneError(UnavailableError):
    """The host was not asked, because it has failed too often in a row just now."""

    def __init__(self) -> None:
        super().__init__("the host has failed too often just now and is left alone for a while", retriable=True)


class HostBreaker:
    """Leaves a host alone for `pause_seconds` after `failures_max` failures in a row; then lets one request find out.

    A success forgets them all. Where that one request gives no answer, the next may try after the same pause.
    """

    def __init__(self, failures_max: int, pause_seconds: float, clock: Callable[[], float]) -> None:
        """`clock` gives seconds."""
        self._failures_max = failures_max
        self._pause_seconds = pause_seconds
        self._clock = clock
        # For each host its failures in a row, and until when it is left alone; the one that failed last comes last.
        self._failing: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def admits(self, host: str) -> bool:
        """Whether the host may be asked now; whoever is told so has to do it."""
        failures, until = self._failing.get(host, (0, 0.0))
        if failures < self._failures_max:
            return True
        if self._clock() < until:
            return False
        self._failing[host] = failures, self._clock() + self._pause_seconds
        return True

    def failed(self, host: str) -> None:
        """Note that the host gave no answer, or one that says to come again."""
        failures, _ = self._failing.pop(host, (0, 0.0))
        self._failing[host] = failures + 1, self._clock() + self._pause_seconds
        if len(self._failing) > _FAILING_HOSTS_MAX:
            self._failing.popitem(last=False)

    def answered(self, host: str) -> None:
        """Note that the host is there."""
        self._failing.pop(host, None)


class Hosts:
    """At most `total` requests at once, and `per_host` to one host. Who waits for a host takes no place from others."""

    def __init__(self, total: int, per_host: int, breaker: HostBreaker) -> None:
        self._total = asyncio.Semaphore(total)
        self._per_host = per_host
        self._breaker = breaker
        # An entry lives as long as a request waits for it or holds it.
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def asking(self, url: URL) -> AsyncIterator[None]:
        """The time of one request; LeftAloneError, and no request, while its host is left alone."""
        name, host = url.host or "", f"{url.host}:{url.port}"
        places = self._places.get(name)
        if places is None:
            places = self._places[name] = asyncio.Semaphore(self._per_host)
        async with places:
            # Asked only here: the host may have failed while this one waited for its place.
            if not self._breaker.admits(host):
                raise LeftAloneError
            async with self._total:
                try:
                    yield
                except RejectedError as error:
                    (self._breaker.failed if error.retriable else self._breaker.answered)(host)
                    raise
                self._breaker.answered(host)
