"""A walk over every copy of every image in Elasticsearch, by image id, page by page over one point in time."""

from collections.abc import Generator, Mapping
from contextlib import suppress
from typing import Any

from shared.errors import StoreUnavailableError
from shared.store import StoredCopy
from shared.store.elasticsearch import Connection, RefusalError
from shared.store.elasticsearch_documents import ALIAS, from_source, month_of_index

_PAGE = 2000
# Between two pages; each page renews it.
_KEEP_ALIVE = "5m"
_FIELDS = ("image_id", "kind", "version", "version_explicit", "event_time", "codes")


def scan_copies(connection: Connection) -> Generator[StoredCopy, None, None]:
    """Every copy behind the alias; StoreUnavailableError where not all could be read."""
    try:
        # The point in time holds what a search can find.
        connection.ask(lambda client: client.indices.refresh(index=ALIAS))
        opened = connection.ask(lambda client: client.open_point_in_time(index=ALIAS, keep_alive=_KEEP_ALIVE))
    except RefusalError as error:
        if error.missing:
            # Before the first write there is no month and no alias.
            return
        raise
    point: str = opened["id"]
    try:
        after = None
        while hits := (answer := _page(connection, point, after))["hits"]["hits"]:
            point = answer["pit_id"]
            yield from map(_copy_of, hits)
            after = hits[-1]["sort"]
    finally:
        with suppress(StoreUnavailableError):
            # It also ends by itself.
            connection.ask(lambda client: client.options(ignore_status=404).close_point_in_time(id=point))


def _page(connection: Connection, point: str, after: list[Any] | None) -> Mapping[str, Any]:
    try:
        answer: Mapping[str, Any] = connection.ask(
            lambda client: client.search(
                pit={"id": point, "keep_alive": _KEEP_ALIVE},
                # Copies of one image are told apart by the shard's own order, which a point in time adds by itself.
                sort=[{"image_id": "asc"}],
                search_after=after,
                size=_PAGE,
                source_includes=_FIELDS,
                track_total_hits=False,
            )
        )
    except RefusalError as error:
        if error.missing:
            raise StoreUnavailableError("Elasticsearch lost the walk over its documents; start it again") from error
        raise
    if answer["_shards"]["failed"] or answer["timed_out"]:
        raise StoreUnavailableError("Elasticsearch could not read all months: a shard is away, or a month was dropped")
    return answer


def _copy_of(hit: Mapping[str, Any]) -> StoredCopy:
    one = from_source(hit["_source"])
    month = str(month_of_index(hit["_index"]))
    return StoredCopy(month, one.image_id, one.kind, one.version, one.event_time_ms, frozenset(one.codes))
