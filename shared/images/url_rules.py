"""Which URLs and which addresses a picture may come from. Nothing here opens a socket.

Whoever can send a catalogue event or a query can make this machine connect somewhere, so the answer is no unless a rule
says yes (server-side request forgery: OWASP's cheat sheet of that name).
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from yarl import URL

from shared.errors import ConfigurationError, RejectedError, RejectionReason

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = frozenset({80, 443})
_FORBIDDEN_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
# What a C library may read as an address of four, three, two or one numbers: decimal, octal or hexadecimal.
_ENDS_IN_A_NUMBER = re.compile(r"(^|\.)([0-9]+|0x[0-9a-f]*)$")

# The registries of special addresses of IANA, where `ipaddress.is_global` of some supported Python misses them.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "192.0.0.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "198.18.0.0/15",  # benchmarking
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # IPv4-compatible, the unspecified and the loopback address
        "64:ff9b:1::/48",  # NAT64 of this network, which may lead to private IPv4
        "100::/64",
        "2001::/23",  # Teredo among others
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries any IPv4 address; nobody publishes such hosts
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
# Not even for a named host: no picture is served there, but a cloud's credentials are (169.254.169.254).
_NEVER = tuple(
    ipaddress.ip_network(network)
    for network in ("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/128", "fe80::/10", "ff00::/8")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class UrlRules:
    """`named` holds (host, port) pairs, port None for any; `public_hosts` allows every host with a public address."""

    named: frozenset[tuple[str, int | None]]
    public_hosts: bool

    @classmethod
    def of(cls, allowed_hosts: Sequence[str], public_hosts: bool) -> Self:
        """Rules from the setting's entries, `host` or `host:port`; ConfigurationError where one is neither."""
        return cls(frozenset(_parse_entry(entry) for entry in allowed_hosts), public_hosts)

    def check(self, text: str) -> URL:
        """Parse a URL and return the very object to send; RejectedError where it may not be fetched."""
        if _FORBIDDEN_CHARACTERS.search(text):
            raise forbidden("the URL contains a control character or a backslash")
        try:
            # Percent escapes stay as they are where nothing needs escaping: a signature may depend on them.
            url = URL(text, encoded=text.isascii() and " " not in text)
            return self._checked(url)
        except ValueError as error:
            raise forbidden("the URL is malformed") from error

    def follow(self, url: URL, location: str) -> URL:
        """The URL that a redirect of `url` leads to, checked like a first one."""
        if _FORBIDDEN_CHARACTERS.search(location):
            raise forbidden("a redirect leads to a URL that contains a control character or a backslash")
        try:
            target = url.join(URL(location, encoded=location.isascii() and " " not in location))
            checked = self._checked(target)
        except ValueError as error:
            raise forbidden("a redirect leads to a malformed URL") from error
        if url.scheme == "https" and checked.scheme != "https":
            raise forbidden("a redirect leads from https to http")
        return checked

    def check_addresses(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """Let all addresses of one look-up pass, or raise RejectedError: one bad among good ones is an attack."""
        named = self._is_named(_normal(host), port)
        for text in addresses:
            address = _embedded(ipaddress.ip_address(text))
            if _is_in(address, _NEVER):
                raise forbidden("the host resolves to an address that no picture is fetched from")
            if not named and not _is_public(address):
                raise forbidden("the host resolves to a private address: name it in CATALOGUE_FETCH_ALLOWED_HOSTS")

    def _checked(self, url: URL) -> URL:
        if url.scheme not in ("http", "https"):
            raise forbidden("the URL's scheme is not http or https")
        if "@" in url.raw_authority:
            raise forbidden("the URL carries a user name")
        host, port = _normal(url.raw_host or ""), url.port or 0
        named = self._is_named(host, port)
        if not named and not self.public_hosts:
            raise forbidden(
                "the host is not named in CATALOGUE_FETCH_ALLOWED_HOSTS, and CATALOGUE_FETCH_PUBLIC_HOSTS is off"
            )
        if not named and port not in _PORTS:
            raise forbidden("the port is neither 80 nor 443: name host:port in CATALOGUE_FETCH_ALLOWED_HOSTS")
        if ":" in host or _ENDS_IN_A_NUMBER.search(host):
            # Only the canonical form of an address gets here: other forms are a ValueError.
            ipaddress.ip_address(url.raw_host or "")
            self.check_addresses(host, port, [host])
        elif not _NAME.fullmatch(host) or "[" in url.raw_authority:
            raise forbidden("the URL's host is not a name or an address")
        return url

    def _is_named(self, host: str, port: int) -> bool:
        return (host, port) in self.named or (host, None) in self.named


def forbidden(detail: str) -> RejectedError:
    """The rejection of a URL; `detail` never repeats the URL, which may carry credentials."""
    return RejectedError(RejectionReason.URL_FORBIDDEN, detail)


def _parse_entry(entry: str) -> tuple[str, int | None]:
    try:
        url = URL(f"http://[{entry}]" if entry.count(":") > 1 and "[" not in entry else f"http://{entry}")
        host, port = _normal(url.raw_host or ""), url.explicit_port
    except ValueError:
        host, port = "", None
    if not (":" in host or _NAME.fullmatch(host)) or url.raw_path_qs != "/" or "@" in url.raw_authority:
        raise ConfigurationError("CATALOGUE_FETCH_ALLOWED_HOSTS: an entry is not of the form host or host:port")
    return host, port


def _normal(host: str) -> str:
    name = host.lower().removesuffix(".")
    return str(ipaddress.ip_address(name)) if ":" in name else name


def _embedded(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 address leads to, where it is only another way to write one."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: _Address) -> bool:
    return address.is_global and not _is_in(address, _NOT_PUBLIC)


def _is_in(address: _Address, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    return any(address in network for network in networks)
