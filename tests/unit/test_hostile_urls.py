"""No URL of an event or a query reaches what is not a public picture host, however it is written."""

import asyncio
import socket
from asyncio.selector_events import BaseSelectorEventLoop
from collections.abc import Sequence
from typing import NoReturn

import pytest

from shared.errors import ConfigurationError, RejectedError, RejectionReason
from shared.images.fetcher import Fetcher, FetchLimits
from shared.images.url_rules import UrlRules

PUBLIC = UrlRules.of((), public_hosts=True)
LIMITS = FetchLimits(
    allowed_hosts=(),
    public_hosts=True,
    bytes_max=1000,
    seconds=5,
    connect_seconds=5,
    redirects_max=3,
    concurrency=4,
    concurrency_per_host=4,
    tries=3,
)

# What an attacker's name servers, and the machine's own, may answer.
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "localhost.": ["127.0.0.1"],
    "intranet": ["10.1.2.3"],
    "metadata.google.internal": ["169.254.169.254"],
    "loopback.test": ["127.0.0.1"],
    "loopback6.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "nat64.test": ["64:ff9b::7f00:1"],
    "nat64-local.test": ["64:ff9b:1::a00:1"],
    "six-to-four.test": ["2002:7f00:1::"],
    "teredo.test": ["2001:0:4136:e378:8000:63bf:3fff:fdd2"],
    "compatible.test": ["::127.0.0.1"],
    "unspecified.test": ["0.0.0.0"],
    "unspecified6.test": ["::"],
    "this-network.test": ["0.1.2.3"],
    "cgnat.test": ["100.64.0.1"],
    "alibaba.test": ["100.100.100.200"],
    "benchmark.test": ["198.18.0.1"],
    "unique-local.test": ["fd00:ec2::254"],
    "link-local6.test": ["fe80::1"],
    "site-local.test": ["fec0::1"],
    "multicast.test": ["224.0.0.1"],
    "multicast6.test": ["ff02::1"],
    "broadcast.test": ["255.255.255.255"],
    "protocol.test": ["192.0.0.8"],
    "documentation.test": ["192.0.2.1"],
    "documentation6.test": ["2001:db8::1"],
    "half-public.test": ["93.184.215.14", "10.0.0.1"],
    "half-public6.test": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::1"],
}

HOSTILE_URLS = [
    *(f"http://{name}/a.jpg" for name in NAMES),
    "http://LOCALHOST/",
    "https://localhost/",
    # Addresses, canonical and as a C library reads them
    "http://127.0.0.1/",
    "http://127.0.0.1./",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0X7F.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.0.0.01/",
    "http://0/",
    "http://0x/",
    "http://0.0.0.0/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[fe80::1%25eth0]/",
    "http://[::1%25lo]/",
    "http://[fd00:ec2::254]/",
    "http://[v1.localhost]/",
    "http://[127.0.0.1]/",
    "http://[::1/",
    # The same in other alphabets
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://１２７.0.0.1/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    # What two parsers read differently
    "http://user@example.com/",
    "http://user:password@example.com/",
    "http://@example.com/",
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1\\.example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1%00.example.com/",
    "http://127.0.0.1%2f.example.com/",
    "http://ex%61mple.com/",
    "http://exa mple.com/",
    "http://example.com\t/",
    "http://example.com/\r\nX-Injected: 1",
    "http://example.com/a\nb",
    "http://example.com/\x00",
    "http://example.com/\x85",
    "http://example.com/\udcff",
    " \x01http://example.com/",
    "http://example..com/",
    "http://-example.com/",
    "http://example.com;evil/",
    f"http://{'a' * 64}.com/",
    f"http://{'a.' * 127}com/",
    "http:///etc/passwd",
    "http://./",
    "http://",
    "http:example.com/",
    "//example.com/",
    "example.com/a.jpg",
    "",
    # Ports
    "http://example.com:22/",
    "http://example.com:0/",
    "http://example.com:6379/",
    "http://example.com:65536/",
    "http://example.com:-1/",
    "http://example.com:80:80/",
    "https://example.com:9200/_search",
    # Schemes
    "file:///etc/passwd",
    "file://localhost/etc/passwd",
    "FILE:///etc/passwd",
    "ftp://example.com/a.jpg",
    "gopher://example.com/_",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "ws://example.com/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/info",
    "jar:http://example.com!/",
    "blob:http://example.com/",
    "dict://localhost:11211/stat",
    "ldap://localhost/",
]


async def look_up(host: str) -> Sequence[str]:
    return NAMES.get(host.lower(), ["93.184.215.14"])


@pytest.fixture
def no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any connection, and any look-up beside the fetcher's own, fails the test."""

    def trip(*_: object, **__: object) -> NoReturn:
        pytest.fail("a connection or a second look-up was tried")

    monkeypatch.setattr(BaseSelectorEventLoop, "sock_connect", trip)
    monkeypatch.setattr(socket, "getaddrinfo", trip)


async def rejection(url: str) -> RejectedError:
    async with Fetcher(LIMITS, lookup=look_up) as fetcher:
        with pytest.raises(RejectedError) as caught:
            await fetcher.fetch(url)
    return caught.value


@pytest.mark.usefixtures("no_connections")
@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_a_hostile_url_is_refused_without_a_connection(url: str) -> None:
    error = asyncio.run(rejection(url))
    assert error.reason is RejectionReason.URL_FORBIDDEN
    assert not error.retriable
    assert "password" not in str(error)


def test_the_table_is_long_enough() -> None:
    assert len(set(HOSTILE_URLS)) >= 60


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://example.com/a.jpg", "http://example.com/a.jpg"),
        ("HTTPS://EXAMPLE.com:443/A", "https://EXAMPLE.com/A"),
        ("http://example.com./", "http://example.com./"),
        ("http://93.184.215.14/", "http://93.184.215.14/"),
        ("http://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/", "http://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/"),
        ("http://bücher.example/ä b.jpg", "http://xn--bcher-kva.example/%C3%A4%20b.jpg"),
        # A signature covers the very bytes of the URL.
        ("https://cdn.test/a%2Fb%2Cc?sig=a%2Fb%3D&x=%41", "https://cdn.test/a%2Fb%2Cc?sig=a%2Fb%3D&x=%41"),
        ("http://my_bucket.example.com/", "http://my_bucket.example.com/"),
        ("http://example.com/a@b", "http://example.com/a@b"),
    ],
)
def test_an_honest_url_passes_and_is_sent_as_it_was_checked(url: str, sent: str) -> None:
    assert str(PUBLIC.check(url)) == sent


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_address_passes(address: str) -> None:
    PUBLIC.check_addresses("example.com", 80, [address])


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("images.internal", "http://images.internal:8000/a"),
        ("images.internal", "https://IMAGES.internal./a"),
        ("images.internal:8000", "http://images.internal:8000/a"),
        ("127.0.0.1:8000", "http://127.0.0.1:8000/a"),
        ("127.0.0.1", "http://127.0.0.1/a"),
        ("::1", "http://[0:0::1]:99/a"),
        ("[::1]:99", "http://[::1]:99/a"),
        ("BÜCHER.example", "http://xn--bcher-kva.example:81/"),
    ],
)
def test_a_named_host_may_be_private_and_on_any_port(entry: str, url: str) -> None:
    rules = UrlRules.of((entry,), public_hosts=False)
    target = rules.check(url)
    rules.check_addresses(target.raw_host or "", target.port or 0, ["10.0.0.7", "127.0.0.1", "fd00::7", "100.64.0.1"])


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("images.internal:8000", "http://images.internal/a"),
        ("images.internal:8000", "http://images.internal:8001/a"),
        ("images.internal", "http://cdn.images.internal:8000/a"),
        ("127.0.0.1:8000", "http://127.0.0.1:8001/a"),
        ("127.0.0.1", "http://127.0.0.2/a"),
        ("127.0.0.1", "http://2130706433/a"),
    ],
)
def test_naming_a_host_names_no_other_host_or_port(entry: str, url: str) -> None:
    with pytest.raises(RejectedError):
        UrlRules.of((entry,), public_hosts=False).check(url)


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "fe80::1", "224.0.0.1"])
def test_even_a_named_host_may_not_resolve_to_a_clouds_metadata_or_to_no_host_at_all(address: str) -> None:
    with pytest.raises(RejectedError, match="no picture is fetched from"):
        UrlRules.of(("images.internal",), public_hosts=True).check_addresses("images.internal", 80, [address])


def test_public_hosts_can_be_turned_off() -> None:
    with pytest.raises(RejectedError, match="CATALOGUE_FETCH_PUBLIC_HOSTS"):
        UrlRules.of(("images.internal",), public_hosts=False).check("http://example.com/")


def test_the_error_says_what_to_set() -> None:
    with pytest.raises(RejectedError, match="private address: name it in CATALOGUE_FETCH_ALLOWED_HOSTS"):
        PUBLIC.check_addresses("images.internal", 80, ["10.0.0.7"])
    with pytest.raises(RejectedError, match="name host:port in CATALOGUE_FETCH_ALLOWED_HOSTS"):
        PUBLIC.check("http://images.internal:8000/")


@pytest.mark.parametrize(
    "entry", ["http://images.internal", "images.internal/a", "a b", "host:port", "u@host", "", ":80"]
)
def test_a_wrong_entry_is_a_wrong_setting(entry: str) -> None:
    with pytest.raises(ConfigurationError, match="CATALOGUE_FETCH_ALLOWED_HOSTS"):
        UrlRules.of((entry,), public_hosts=True)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b.jpg", "https://example.com/b.jpg"),
        ("b.jpg?x=%2F", "https://example.com/a/b.jpg?x=%2F"),
        ("//cdn.example.com/b", "https://cdn.example.com/b"),
        ("https://cdn.example.com/ä", "https://cdn.example.com/%C3%A4"),
    ],
)
def test_a_redirect_is_followed_relative_to_its_url(location: str, target: str) -> None:
    assert str(PUBLIC.follow(PUBLIC.check("https://example.com/a/"), location)) == target


@pytest.mark.parametrize(
    "location",
    ["http://example.com/", "file:///etc/passwd", "//127.0.0.1/", "https://u:p@example.com/", "/\\evil.test"],
)
def test_a_redirect_does_not_lead_from_https_to_less(location: str) -> None:
    with pytest.raises(RejectedError) as caught:
        PUBLIC.follow(PUBLIC.check("https://example.com/"), location)
    assert caught.value.reason is RejectionReason.URL_FORBIDDEN
