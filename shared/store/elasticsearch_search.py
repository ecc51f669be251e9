"""Searches of the documents behind the alias: filters, the exact and the approximate nearest, whole answers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.document import Kind
from shared.errors import QueryInvalidError, StoreUnavailableError
from shared.store import NEIGHBOURS_MAX, Neighbour, Neighbours, Restriction
from shared.store.elasticsearch import Connection, RefusalError
from shared.store.elasticsearch_documents import (
    ALIAS,
    HEAVY_FIELDS,
    code_field,
    code_name,
    from_source,
    graph_field,
    subcode_term,
    subcodes_field,
)
from shared.store.elasticsearch_indices import CodeFields
from shared.store.exact_cut import Answer, Question, one_copy_each

# What an index takes in one list of terms (`index.max_terms_count`).
SUBCODES_MAX = 65_536
# Entries of the graph that a shard looks at for each neighbour asked for, and at least; recall grows with them, and so
# does the time. Of 60,000 clustered codes of 256 bits these find 99.8 % of the 100 nearest, half of them 98.7 %.
_CANDIDATES_PER_NEIGHBOUR, _CANDIDATES_MIN = 4, 200


class NearestQuestions:
    """The questions of one search for the nearest."""

    def __init__(self, connection: Connection, encoder_id: str, code: bytes, restriction: Restriction) -> None:
        self._connection = connection
        self._encoder_id = encoder_id
        self._code = code
        self._filters = code_filters(encoder_id, restriction)

    def __call__(self, question: Question) -> Answer:
        knn: dict[str, Any] = {
            "field": code_field(self._encoder_id),
            "query_vector": self._code.hex(),
            "k": question.shard_size,
            "num_candidates": question.shard_size,
            "filter": [*self._filters],
        }
        if question.radius is not None:
            knn["similarity"] = question.radius
        if question.id_at_most is not None:
            knn["filter"].append({"range": {"image_id": {"lte": question.id_at_most}}})
        answer = search(
            self._connection,
            query={"knn": knn},
            sort=[{"_score": "asc" if question.farthest_first else "desc"}, {"image_id": "asc"}],
            size=question.size,
            track_total_hits=True,
            source_excludes=HEAVY_FIELDS,
        )
        hits = answer["hits"]
        shards = answer["_shards"]["total"]
        return Answer(_neighbours(hits["hits"], self._code), hits["total"]["value"], shards, failure_of(answer))

    def compared(self) -> int:
        """How many codes the restriction lets through.

        A question of its own costs little more than its way there and back; an aggregation beside the neighbours adds
        a third to their time, because it looks at each document by itself.
        """
        held = {"exists": {"field": subcodes_field(self._encoder_id)}}
        query = {"bool": {"filter": [*self._filters, held]}}
        return int(search(self._connection, query=query, size=0, track_total_hits=True)["hits"]["total"]["value"])

    def approximate(self, count: int, radius: int | None) -> Neighbours:
        """What the graphs of the months find; ties are cut as they come."""
        knn = {
            "field": graph_field(self._encoder_id),
            "query_vector": self._code.hex(),
            "k": count,
            "num_candidates": min(NEIGHBOURS_MAX, max(_CANDIDATES_MIN, _CANDIDATES_PER_NEIGHBOUR * count)),
            "filter": self._filters,
        }
        if radius is not None:
            knn["similarity"] = radius
        answer = search(self._connection, query={"knn": knn}, size=count, source_excludes=HEAVY_FIELDS)
        failure = failure_of(answer)
        found = one_copy_each(_neighbours(answer["hits"]["hits"], self._code))
        return Neighbours(found, complete=failure is None, reason=failure)


def demand_graphs(months: Iterable[CodeFields], encoder_id: str, *, hnsw: bool) -> None:
    """QueryInvalidError where a month keeps codes of this encoder without a graph, or where there are to be none."""
    name = code_name(encoder_id)
    holding = [month for month in months if name in month.bits]
    if not (all(name in month.graphs for month in holding) and (holding or hnsw)):
        raise QueryInvalidError(
            "the index keeps no graph for approximate searches; indices that are made with "
            "CATALOGUE_ELASTICSEARCH_HNSW=true keep one"
        )


def search(connection: Connection, **request: Any) -> Mapping[str, Any]:
    """The answer of all months to one search, of an empty index where there are none."""
    try:
        answer: Mapping[str, Any] = connection.ask(lambda client: client.search(index=ALIAS, **request))
    except RefusalError as error:
        if error.missing:
            # Before the first write there is no month and no alias.
            return {"hits": {"hits": [], "total": {"value": 0}}, "_shards": {"total": 0, "failed": 0}}
        raise
    return answer


def search_whole(connection: Connection, **request: Any) -> Mapping[str, Any]:
    """A search of which no shard may fail."""
    answer = search(connection, **request)
    failure = failure_of(answer)
    if failure is not None:
        raise StoreUnavailableError(f"Elasticsearch could not search everywhere: {failure}")
    return answer


def filters(restriction: Restriction) -> list[Mapping[str, Any]]:
    """The clauses that let a restriction's images through, whatever their subcodes."""
    bounds = {"gt": restriction.visible_after_ms, "gte": restriction.since_ms, "lt": restriction.until_ms}
    ranges = [{"range": {"event_time": {bound: value}}} for bound, value in bounds.items() if value is not None]
    terms = [{"terms": {"terms": list(alternatives)}} for alternatives in restriction.terms]
    return [{"term": {"kind": Kind.IMAGE.value}}, *ranges, *terms]


def code_filters(encoder_id: str, restriction: Restriction) -> list[Mapping[str, Any]]:
    """The same with the subcodes; QueryInvalidError where they are more than an index takes."""
    if restriction.subcodes is None:
        return filters(restriction)
    if len(restriction.subcodes) > SUBCODES_MAX:
        raise QueryInvalidError(f"a search is restricted to at most {SUBCODES_MAX} subcodes")
    keys = [subcode_term(key) for key in restriction.subcodes]
    return [*filters(restriction), {"terms": {subcodes_field(encoder_id): keys}}]


def failure_of(answer: Mapping[str, Any]) -> str | None:
    """Why the answer is not of all shards; None where it is."""
    shards = answer["_shards"]
    # A shard whose search was cancelled is neither successful nor counted as failed.
    missing = max(shards["failed"], shards["total"] - shards.get("successful", shards["total"]))
    if missing:
        told = next(iter(shards.get("failures", ())), None)
        why = f": {told.get('index')}: {told['reason']['type']}" if told else ""
        return f"{missing} of {shards['total']} shards failed{why}"
    return "the search ran out of time" if answer.get("timed_out") else None


def _neighbours(hits: Sequence[Mapping[str, Any]], code: bytes) -> list[Neighbour]:
    # The score of a bit vector is (bits - distance) / bits.
    bits = len(code) * 8
    return [Neighbour(round(bits * (1 - hit["_score"])), from_source(hit["_source"])) for hit in hits]
