"""Which store a URL names; the one place that knows both."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.store import Store

if TYPE_CHECKING:
    from shared.store.elasticsearch import Connection

_SCHEMES = {"elasticsearch": "http", "elasticsearchs": "https"}
_PORT = 9200


def open_store(settings: Settings) -> Store:
    """The store that `CATALOGUE_STORE_URL` names; ConfigurationError where it names none.

    SQLite is opened at once (folders are made), Elasticsearch is first asked when it is needed.
    """
    scheme, _, rest = settings.store_url.partition(":")
    if scheme == "sqlite":
        # Each client is imported only where it is used: the other's import takes time that a command line would feel.
        from shared.store.sqlite_store import SqliteStore  # noqa: PLC0415

        return SqliteStore(_sqlite_path(rest))
    if scheme in _SCHEMES:
        from shared.store.elasticsearch_store import ElasticsearchStore  # noqa: PLC0415

        connection = connect_to_elasticsearch(settings)
        return ElasticsearchStore(connection, settings.elasticsearch_replicas, hnsw=settings.elasticsearch_hnsw)
    raise _wrong("a store is sqlite:///path, elasticsearch://host:9200 or elasticsearchs://host:9200")


def connect_to_elasticsearch(settings: Settings) -> "Connection":
    """The connection to the cluster that `CATALOGUE_STORE_URL` names; ConfigurationError where it names none."""
    from shared.store.elasticsearch import Connection  # noqa: PLC0415

    scheme, _, rest = settings.store_url.partition(":")
    if scheme not in _SCHEMES:
        raise _wrong("it must be elasticsearch://host:9200 or elasticsearchs://host:9200 here")
    return Connection(
        _elasticsearch_urls(_SCHEMES[scheme], rest),
        api_key=lambda: settings.secret("elasticsearch_api_key"),
        ca_file=settings.elasticsearch_ca_file,
        seconds=settings.elasticsearch_seconds,
    )


def _sqlite_path(rest: str) -> Path:
    if rest.startswith("//"):
        if not rest.startswith("///"):
            raise _wrong("an absolute path has three slashes, sqlite:///path, a relative one none, sqlite:path")
        rest = rest[2:]
    path = unquote(rest)
    if not path or path.endswith("/") or "\0" in path:
        raise _wrong("it names no file")
    return Path(path)


def _elasticsearch_urls(scheme: str, rest: str) -> list[str]:
    hosts = rest.removeprefix("//").rstrip("/").split(",")
    if not rest.startswith("//") or not all(hosts):
        raise _wrong("it names no host")
    return [_node_url(scheme, host.strip()) for host in hosts]


def _node_url(scheme: str, host: str) -> str:
    try:
        parts = urlsplit(f"{scheme}://{host}")
        port = parts.port or _PORT
    except ValueError as error:
        raise _wrong(str(error)) from error
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            "CATALOGUE_STORE_URL: credentials go into CATALOGUE_ELASTICSEARCH_API_KEY, not the URL"
        )
    if not parts.hostname or parts.path or parts.query or parts.fragment:
        raise _wrong("it is made of hosts and ports alone: elasticsearch://host:9200,host:9200")
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{scheme}://{name}:{port}"


def _wrong(why: str) -> ConfigurationError:
    # Without the URL itself: it may hold a password that belongs elsewhere.
    return ConfigurationError(f"CATALOGUE_STORE_URL: {why}")
