"""Who asks: by a key, by a session that was begun with one, by the word of a trusted proxy, or for want of any keys."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from starlette.requests import cookie_parser
from starlette.types import Scope as Request

from searcher.guard import is_loopback
from searcher.key_ring import KeyRing
from searcher.people import LOCAL, KeyWrongError, Means, Person, Scope, TooManyWrongKeysError
from searcher.proxies import Headers, TrustedProxies
from searcher.workbench.keys import Key, key_id_of
from shared.settings import Settings

SESSION_COOKIE = "catalogue_session"
_NOBODY_ELSE = Person(LOCAL, Scope.ADMINISTER, Means.NO_KEYS)
_WRONG_KEYS_MAX = 10
_WRONG_KEYS_WITHIN = timedelta(minutes=1)
_ADDRESSES_MAX = 10_000


class Recognizer:
    """Finds out who is behind a request."""

    def __init__(
        self, key_ring: KeyRing, proxies: TrustedProxies, now: Callable[[], datetime], *, open_without_keys: bool
    ) -> None:
        """`open_without_keys`: everybody may do everything for as long as no key was ever made."""
        self.key_ring = key_ring
        self._proxies = proxies
        self._open_without_keys = open_without_keys
        self._wrong_keys = WrongKeys(now)

    @classmethod
    def of(cls, settings: Settings, key_ring: KeyRing, now: Callable[[], datetime]) -> "Recognizer":
        """As configured; ConfigurationError. Only a loopback address without a proxy before it is open without keys."""
        proxies = TrustedProxies.of(settings)
        return cls(key_ring, proxies, now, open_without_keys=is_loopback(settings.http_host) and not proxies)

    async def person(self, request: Request) -> Person | None:
        """Who asks, None where nobody says; KeyWrongError, TooManyWrongKeysError, and errors as of `KeyRing.known`."""
        if await self.needs_nobody():
            return _NOBODY_ELSE
        headers: Headers = request["headers"]
        secret = _bearer(headers)
        if secret is not None and key_id_of(secret) is not None:
            return _person(await self.key_of(secret, request), Means.KEY)
        # Behind a proxy a token that is none of ours is the proxy's own.
        if self._proxies.trusts(_peer(request)) and (person := self._proxies.person(headers)) is not None:
            return person
        if secret is not None:
            return _person(await self.key_of(secret, request), Means.KEY)
        session = session_of(headers)
        key = None if session is None else await self.key_ring.key_of_session(session)
        return None if key is None else _person(key, Means.SESSION)

    async def key_of(self, secret: str, request: Request) -> Key:
        """The key with this secret; KeyWrongError, TooManyWrongKeysError, and errors as of `KeyRing.known`."""
        key = await self.key_ring.key_of(secret)
        if key is not None:
            return key
        address = self._address(request)
        if not self._wrong_keys.admit(address):
            raise TooManyWrongKeysError(f"too many wrong keys from {address}")
        structlog.get_logger().warning("wrong_key", address=address, key_id=key_id_of(secret))
        raise KeyWrongError("the key is none of ours")

    async def needs_nobody(self) -> bool:
        """Whether everybody is let in, because no key was ever made and only this machine is listened to."""
        return self._open_without_keys and not (await self.key_ring.known()).asked_for

    def over_tls(self, request: Request) -> bool:
        """Whether the browser speaks TLS, with us or with a proxy that we trust."""
        if self._proxies.trusts(_peer(request)):
            return self._proxies.said(request["headers"], b"x-forwarded-proto") == "https"
        return bool(request["scheme"] == "https")

    def _address(self, request: Request) -> str:
        """Where a request comes from; behind a trusted proxy, where that one says."""
        peer = _peer(request)
        if self._proxies.trusts(peer):
            return self._proxies.said(request["headers"], b"x-forwarded-for") or peer
        return peer


class WrongKeys:
    """Counts wrong keys by address, of at most `_ADDRESSES_MAX` addresses.

    Not against guessing, which 256 random bits leave no room for, but so that a misconfigured or curious client neither
    fills the log nor keeps the database busy. So right keys go on from the same address, which others may share.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._counts: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def admit(self, address: str) -> bool:
        """Count one more; whether it is still within what an address may try in a minute."""
        network = _network_of(address)
        began, count = self._counts.pop(network, (self._now(), 0))
        if not timedelta(0) <= self._now() - began < _WRONG_KEYS_WITHIN:
            began, count = self._now(), 0
        self._counts[network] = began, count + 1
        if len(self._counts) > _ADDRESSES_MAX:
            self._counts.popitem(last=False)
        return count < _WRONG_KEYS_MAX

    def __len__(self) -> int:
        return len(self._counts)


def session_of(headers: Headers) -> str | None:
    """The session's secret in a request's cookies."""
    for name, value in headers:
        if name == b"cookie" and (secret := cookie_parser(value.decode("latin-1")).get(SESSION_COOKIE)):
            return secret
    return None


def _bearer(headers: Headers) -> str | None:
    for name, value in headers:
        if name == b"authorization":
            scheme, _, secret = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                return secret.strip()
    return None


def _person(key: Key, means: Means) -> Person:
    return Person(key.name, key.scope, means)


def _peer(request: Request) -> str:
    client = request.get("client")
    return str(client[0]) if client else ""


def _network_of(address: str) -> str:
    """The address; of IPv6 the first 64 bits, for whoever has one has all of those behind."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(found if found.version == 4 else ipaddress.ip_network((found, 64), strict=False))
