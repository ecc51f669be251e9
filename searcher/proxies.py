"""Who an OIDC proxy says that somebody is: its headers count where they come from its addresses, and nowhere else."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from searcher.people import Means, Person, Scope
from shared.errors import ConfigurationError
from shared.settings import Settings

_EVERYBODY = "*"
_NAME_CHARACTERS_MAX = 254  # The longest e-mail address.
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The proxies whose word counts, and what the groups that they name may do."""

    networks: Sequence[Network]
    user_header: bytes
    groups_header: bytes
    scopes: Mapping[str, Scope]

    @classmethod
    def of(cls, settings: Settings) -> "TrustedProxies":
        """As configured; ConfigurationError names what is wrong."""
        return cls(
            [_network(text) for text in settings.trusted_proxies],
            settings.user_header.lower().encode(),
            settings.groups_header.lower().encode(),
            dict(_group(text) for text in settings.group_scopes),
        )

    def __bool__(self) -> bool:
        return bool(self.networks)

    def trusts(self, address: str) -> bool:
        """Whether requests from there may say who asks."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        # On a socket for both families an IPv4 peer shows as ::ffff:a.b.c.d.
        peer = getattr(found, "ipv4_mapped", None) or found
        return any(peer in network for network in self.networks)

    def person(self, headers: Headers) -> Person | None:
        """Who a trusted proxy says is asking; None where it names nobody, or so that it can be meant in two ways."""
        name = _only(headers, self.user_header)
        groups = _only(headers, self.groups_header)
        if not name or groups is None or len(name) > _NAME_CHARACTERS_MAX or not name.isprintable():
            return None
        named = {group.strip() for group in groups.split(",")} | {_EVERYBODY}
        scopes = [scope for scope in Scope if any(self.scopes.get(group) == scope for group in named)]
        return Person(name, scopes[-1] if scopes else None, Means.PROXY)

    def said(self, headers: Headers, name: bytes) -> str:
        """The last value of a header that proxies append to, such as X-Forwarded-For; empty where there is none."""
        values = [value for header, value in headers if header == name]
        return values[-1].decode("latin-1").rpartition(",")[2].strip() if values else ""


def _only(headers: Headers, name: bytes) -> str | None:
    """The value of a header, empty where it is not there; None where it comes more than once or is no text.

    A proxy that adds its own line to one that a client has sent would otherwise let the client choose.
    """
    values = [value for header, value in headers if header == name]
    if not values:
        return ""
    try:
        return values[0].decode().strip() if len(values) == 1 else None
    except UnicodeDecodeError:
        return None


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigurationError(f"CATALOGUE_TRUSTED_PROXIES: {error}") from error


def _group(text: str) -> tuple[str, Scope]:
    group, _, scope = text.rpartition("=")
    if not group or scope not in list(Scope):
        raise ConfigurationError(f"CATALOGUE_GROUP_SCOPES: {text} is not GROUP=SCOPE with one of {', '.join(Scope)}")
    return group.strip(), Scope(scope)
