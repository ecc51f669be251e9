"""The store on Elasticsearch: encoders, watches, documents over monthly indices, and the searches."""

import base64
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from shared.document import Document
from shared.errors import ConfigurationError, RejectedError
from shared.store import (
    ChangeFeed,
    Neighbours,
    PageCursor,
    Restriction,
    StoredCopy,
    StoredEncoder,
    WriteOutcome,
    exact_cut,
    monthly_indices,
)
from shared.store.elasticsearch import Connection, RefusalError
from shared.store.elasticsearch_changes import ElasticsearchChanges
from shared.store.elasticsearch_documents import (
    ENCODERS_INDEX,
    HEAVY_FIELDS,
    WATCHES_INDEX,
    encoders_index,
    from_source,
    watches_index,
)
from shared.store.elasticsearch_indices import ElasticsearchIndices
from shared.store.elasticsearch_scan import scan_copies
from shared.store.elasticsearch_search import (
    NearestQuestions,
    demand_graphs,
    filters,
    search_whole,
)
from shared.watch import NO_WATCHES, WatchList, from_bytes, to_bytes

# An encoder of 4,096 inputs and bits has 64 MiB: more than a document should hold.
_PART_BYTES = 8 * 1024 * 1024
_ACTIVE = "active"
# Copies of an image that is moving may take places on a page.
_SPARE = 16


class ElasticsearchStore:
    """One live copy of each image behind the alias `catalogue`; the contract is `shared.store.Store`'s."""

    def __init__(
        self,
        connection: Connection,
        replicas: str = "0-1",
        pause: Callable[[float], None] = time.sleep,
        *,
        hnsw: bool = False,
    ) -> None:
        """`replicas` is a count or a range like "0-1"; `pause` waits before overloaded items are sent again; with
        `hnsw` months that are made from now on keep a graph for approximate searches."""
        self._connection = connection
        self._replicas = replicas
        self._hnsw = hnsw
        self.indices = ElasticsearchIndices(connection, replicas, pause, hnsw=hnsw)

    @property
    def searchable_after_seconds(self) -> float:
        # The indices are refreshed twice a second, those made by earlier versions once, and a refresh takes some time.
        return 2.0

    # Encoders

    def activate_encoder(self, encoder: StoredEncoder) -> None:
        self._make_index(ENCODERS_INDEX, encoders_index(self._replicas))
        parts = [encoder.blob[at : at + _PART_BYTES] for at in range(0, len(encoder.blob), _PART_BYTES)]
        for number, part in enumerate(parts):
            self._put_encoder(f"{encoder.encoder_id}#{number}", {"blob": base64.b64encode(part).decode()})
        described = {"encoder_id": encoder.encoder_id, "bits": encoder.bits, "parts": len(parts)}
        try:
            # Created last and only once: of two fits at a time one fails here, and nobody reads a half-written encoder.
            self._put_encoder(_ACTIVE, described, only_create=True)
        except RefusalError as error:
            if not error.exists_already:
                raise
            active = self._get_encoder(_ACTIVE)
            if active is None or active["encoder_id"] != encoder.encoder_id:
                raise ConfigurationError("another encoder is active; an index has one for good") from error

    def active_encoder(self) -> StoredEncoder | None:
        active = self._get_encoder(_ACTIVE)
        if active is None:
            return None
        parts = [self._get_encoder(f"{active['encoder_id']}#{number}") for number in range(active["parts"])]
        if None in parts:
            raise ConfigurationError(f"the index {ENCODERS_INDEX} lacks a part of the active encoder")
        blob = b"".join(base64.b64decode(part["blob"]) for part in parts if part is not None)
        return StoredEncoder(active["encoder_id"], active["bits"], blob)

    # Watches

    def publish_watches(self, watches: WatchList) -> None:
        self._make_index(WATCHES_INDEX, watches_index(self._replicas))
        source = {"list": base64.b64encode(to_bytes(watches)).decode()}
        try:
            self._connection.ask(
                lambda client: client.index(
                    index=WATCHES_INDEX,
                    id=_ACTIVE,
                    document=source,
                    version=watches.revision,
                    version_type="external",
                )
            )
        except RefusalError as error:
            # A later list is there, or this one from a try whose reply was lost.
            if not error.exists_already:
                raise

    def watches_revision(self) -> int:
        found = self._get(WATCHES_INDEX, _ACTIVE, source=False)
        return 0 if found is None else int(found["_version"])

    def watches(self) -> WatchList:
        found = self._get(WATCHES_INDEX, _ACTIVE)
        return NO_WATCHES if found is None else from_bytes(base64.b64decode(found["_source"]["list"]))

    # Writing

    def settle(self, image_ids: Sequence[str]) -> Mapping[str, Document]:
        return monthly_indices.settle(self.indices, image_ids)

    def write(self, documents: Sequence[Document], now: datetime) -> Sequence[WriteOutcome | RejectedError]:
        return monthly_indices.write(self.indices, documents, now)

    def drop_expired(self, now: datetime, window_months: int) -> Sequence[str]:
        return monthly_indices.drop_expired(self.indices, now, window_months)

    # Reading

    def documents(self, image_ids: Sequence[str]) -> Mapping[str, Document]:
        return monthly_indices.look_up(self.indices, image_ids)

    def documents_at(self, versions: Mapping[str, int]) -> Mapping[str, Document]:
        # A look in real time costs twice as much, and so does asking which months there are.
        months = self.indices.months_seen or self.indices.live()
        copies = self.indices.copies(list(versions), months, real_time=False)
        return {
            image_id: document
            for image_id, of_image in copies.items()
            for document in of_image.values()
            if document.live and document.version == versions[image_id]
        }

    def thumbnail(self, image_id: str) -> bytes | None:
        return self.indices.thumbnail(image_id)

    def nearest(
        self, encoder_id: str, code: bytes, count: int, radius: int | None, restriction: Restriction
    ) -> Neighbours:
        questions = NearestQuestions(self._connection, encoder_id, code, restriction)
        found = exact_cut.nearest(questions, count, None if radius is None else min(radius, len(code) * 8))
        return replace(found, compared=questions.compared())

    def approximately_nearest(
        self, encoder_id: str, code: bytes, count: int, radius: int | None, restriction: Restriction
    ) -> Neighbours:
        demand_graphs(self.indices.fields().values(), encoder_id, hnsw=self._hnsw)
        return NearestQuestions(self._connection, encoder_id, code, restriction).approximate(count, radius)

    def follow(self, encoder_id: str, *, terms: bool, shown: bool = False) -> ChangeFeed:
        return ElasticsearchChanges(self._connection, self.indices, encoder_id, terms=terms, shown=shown)

    def newest(
        self, words: Sequence[str], restriction: Restriction, after: PageCursor | None, count: int
    ) -> Sequence[Document]:
        clauses = [*filters(restriction), *({"prefix": {"words": word}} for word in words)]
        best: dict[str, Document] = {}
        size = count + _SPARE
        search_after = None if after is None else [after.event_time_ms, after.image_id]
        while True:
            hits = search_whole(
                self._connection,
                query={"bool": {"filter": clauses}},
                sort=[{"event_time": "desc"}, {"image_id": "asc"}],
                search_after=search_after,
                size=size,
                source_excludes=HEAVY_FIELDS,
            )["hits"]["hits"]
            for document in (from_source(hit["_source"]) for hit in hits):
                known = best.get(document.image_id)
                if known is None or document.version > known.version:
                    best[document.image_id] = document
            if len(best) >= count or len(hits) < size:
                break
            search_after = hits[-1]["sort"]
        return sorted(best.values(), key=lambda one: (-one.event_time_ms, one.image_id))[:count]

    def visible_count(self, restriction: Restriction) -> int:
        answer = search_whole(
            self._connection, query={"bool": {"filter": filters(restriction)}}, size=0, track_total_hits=True
        )
        return int(answer["hits"]["total"]["value"])

    def scan(self) -> Generator[StoredCopy, None, None]:
        return scan_copies(self._connection)

    def copies(self, image_ids: Sequence[str]) -> Sequence[StoredCopy]:
        found = self.indices.copies(image_ids, self.indices.live())
        return [
            StoredCopy(month, one.image_id, one.kind, one.version, one.event_time_ms, frozenset(one.codes))
            for of_image in found.values()
            for month, one in of_image.items()
        ]

    def check(self) -> None:
        self.indices.live()
        search_whole(self._connection, query={"match_none": {}}, size=0)

    def close(self) -> None:
        self._connection.close()

    def _make_index(self, name: str, body: Mapping[str, Any]) -> None:
        try:
            self._connection.ask(lambda client: client.indices.create(index=name, **body))
        except RefusalError as error:
            if not error.exists_already:
                raise

    def _put_encoder(self, document_id: str, source: Mapping[str, Any], *, only_create: bool = False) -> None:
        self._connection.ask(
            lambda client: client.index(
                index=ENCODERS_INDEX, id=document_id, document=source, op_type="create" if only_create else "index"
            )
        )

    def _get_encoder(self, document_id: str) -> Mapping[str, Any] | None:
        found = self._get(ENCODERS_INDEX, document_id)
        if found is None:
            return None
        source: Mapping[str, Any] = found["_source"]
        return source

    def _get(self, index: str, document_id: str, **options: Any) -> Mapping[str, Any] | None:
        """A document of a small index, in real time; None where there is none, or no such index yet."""
        try:
            found: Mapping[str, Any] = self._connection.ask(
                lambda client: client.get(index=index, id=document_id, **options)
            )
        except RefusalError as error:
            if error.missing:
                return None
            raise
        return found
