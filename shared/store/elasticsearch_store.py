"""The store on Elasticsearch: encoders, documents over monthly indices, and the searches."""

import base64
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from typing import Any

from shared.document import Document, Kind
from shared.errors import ConfigurationError, RejectedError, StoreUnavailableError
from shared.store import (
    Neighbour,
    Neighbours,
    PageCursor,
    Restriction,
    StoredCopy,
    StoredEncoder,
    WriteOutcome,
    monthly_indices,
)
from shared.store.elasticsearch import Connection, RefusalError
from shared.store.elasticsearch_documents import (
    ALIAS,
    ENCODERS_INDEX,
    HEAVY_FIELDS,
    code_field,
    encoders_index,
    from_source,
)
from shared.store.elasticsearch_indices import ElasticsearchIndices
from shared.store.elasticsearch_scan import scan_copies
from shared.store.exact_cut import Answer, Question, nearest

# An encoder of 4,096 inputs and bits has 64 MiB: more than a document should hold.
_PART_BYTES = 8 * 1024 * 1024
_ACTIVE = "active"
# Copies of an image that is moving may take places on a page.
_SPARE = 16


class ElasticsearchStore:
    """One live copy of each image behind the alias `catalogue`; the contract is `shared.store.Store`'s."""

    def __init__(
        self, connection: Connection, replicas: str = "0-1", pause: Callable[[float], None] = time.sleep
    ) -> None:
        """`replicas` is a count or a range like "0-1"; `pause` waits before overloaded items are sent again."""
        self._connection = connection
        self._replicas = replicas
        self.indices = ElasticsearchIndices(connection, replicas, pause)

    # Encoders

    def activate_encoder(self, encoder: StoredEncoder) -> None:
        self._make_encoders_index()
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

    def thumbnail(self, image_id: str) -> bytes | None:
        return self.indices.thumbnail(image_id)

    def nearest(
        self, encoder_id: str, code: bytes, count: int, radius: int | None, restriction: Restriction
    ) -> Neighbours:
        bits = len(code) * 8
        filters = _filters(restriction)

        def ask(question: Question) -> Answer:
            return self._ask_nearest(encoder_id, code, filters, question)

        return nearest(ask, count, None if radius is None else min(radius, bits))

    def newest(
        self, words: Sequence[str], restriction: Restriction, after: PageCursor | None, count: int
    ) -> Sequence[Document]:
        filters = [*_filters(restriction), *({"prefix": {"words": word}} for word in words)]
        best: dict[str, Document] = {}
        size = count + _SPARE
        search_after = None if after is None else [after.event_time_ms, after.image_id]
        while True:
            hits = self._search_whole(
                query={"bool": {"filter": filters}},
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
        answer = self._search_whole(query={"bool": {"filter": _filters(restriction)}}, size=0, track_total_hits=True)
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
        self._search_whole(query={"match_none": {}}, size=0)

    def close(self) -> None:
        self._connection.close()

    def _ask_nearest(
        self, encoder_id: str, code: bytes, filters: Sequence[Mapping[str, Any]], question: Question
    ) -> Answer:
        knn: dict[str, Any] = {
            "field": code_field(encoder_id),
            "query_vector": code.hex(),
            "k": question.shard_size,
            "num_candidates": question.shard_size,
            "filter": [*filters],
        }
        if question.radius is not None:
            knn["similarity"] = question.radius
        if question.id_at_most is not None:
            knn["filter"].append({"range": {"image_id": {"lte": question.id_at_most}}})
        answer = self._search(
            query={"knn": knn},
            sort=[{"_score": "asc" if question.farthest_first else "desc"}, {"image_id": "asc"}],
            size=question.size,
            track_total_hits=True,
            source_excludes=HEAVY_FIELDS,
        )
        bits = len(code) * 8
        # The score of a bit vector is (bits - distance) / bits.
        neighbours = [
            Neighbour(round(bits * (1 - hit["_score"])), from_source(hit["_source"])) for hit in answer["hits"]["hits"]
        ]
        shards = answer["_shards"]
        return Answer(neighbours, answer["hits"]["total"]["value"], shards["total"], _failure(answer))

    def _search_whole(self, **request: Any) -> Mapping[str, Any]:
        """A search of which no shard may fail."""
        answer = self._search(**request)
        failure = _failure(answer)
        if failure is not None:
            raise StoreUnavailableError(f"Elasticsearch could not search everywhere: {failure}")
        return answer

    def _search(self, **request: Any) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = self._connection.ask(lambda client: client.search(index=ALIAS, **request))
        except RefusalError as error:
            if error.missing:
                # Before the first write there is no month and no alias.
                return {"hits": {"hits": [], "total": {"value": 0}}, "_shards": {"total": 0, "failed": 0}}
            raise
        return answer

    def _make_encoders_index(self) -> None:
        body = encoders_index(self._replicas)
        try:
            self._connection.ask(lambda client: client.indices.create(index=ENCODERS_INDEX, **body))
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
        try:
            found = self._connection.ask(lambda client: client.get(index=ENCODERS_INDEX, id=document_id))
        except RefusalError as error:
            if error.missing:
                return None
            raise
        source: Mapping[str, Any] = found["_source"]
        return source


def _filters(restriction: Restriction) -> list[Mapping[str, Any]]:
    bounds = {"gt": restriction.visible_after_ms, "gte": restriction.since_ms, "lt": restriction.until_ms}
    ranges = [{"range": {"event_time": {bound: value}}} for bound, value in bounds.items() if value is not None]
    terms = [{"terms": {"terms": list(alternatives)}} for alternatives in restriction.terms]
    return [{"term": {"kind": Kind.IMAGE.value}}, *ranges, *terms]


def _failure(answer: Mapping[str, Any]) -> str | None:
    """Why the answer is not of all shards; None where it is."""
    shards = answer["_shards"]
    # A shard whose search was cancelled is neither successful nor counted as failed.
    missing = max(shards["failed"], shards["total"] - shards.get("successful", shards["total"]))
    if missing:
        told = next(iter(shards.get("failures", ())), None)
        why = f": {told.get('index')}: {told['reason']['type']}" if told else ""
        return f"{missing} of {shards['total']} shards failed{why}"
    return "the search ran out of time" if answer.get("timed_out") else None
