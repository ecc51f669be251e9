"""Floats compared by Elasticsearch: embeddings in a dense_vector field without a graph, so that all are compared.

What others built with Elasticsearch, measured under the same rules. The index is made for it, and dropped at the end.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from searcher.evaluation.ranking import Ranking, from_hits
from searcher.evaluation.task import Task
from shared.errors import StoreUnavailableError
from shared.settings import Settings
from shared.store.opening import connect_to_elasticsearch

if TYPE_CHECKING:
    # Its client takes time to import, which the searcher's other commands would feel.
    from shared.store.elasticsearch import Connection

_DOCUMENTS_AT_ONCE, _QUERIES_AT_ONCE = 500, 20

Rows = NDArray[np.float32]
Advance = Callable[[int], None]


def rank_in_elasticsearch(
    task: Task, queries: Rows, gallery: Rows, *, k: int, settings: Settings, index: str, advance: Advance
) -> Ranking:
    """The nearest by cosine as Elasticsearch finds them in a new index of this name; `advance` is told the queries.

    ConfigurationError where the store is not Elasticsearch, StoreUnavailableError where it does not answer.
    """
    with closing(connect_to_elasticsearch(settings)) as connection:
        _drop(connection, index)
        try:
            _fill(connection, index, task, gallery)
            hits = []
            for start in range(0, len(queries), _QUERIES_AT_ONCE):
                block = queries[start : start + _QUERIES_AT_ONCE]
                # One more for the query itself, and one to see whether the cut goes through a tie.
                hits += _search(connection, index, block, k + 2)
                advance(len(block))
        finally:
            _drop(connection, index)
    for found, own in zip(hits, task.own.tolist(), strict=True):
        found[:] = [hit for hit in found if hit[1] != own]
    tied = np.array([len(found) > k and found[k][0] == found[k - 1][0] for found in hits], np.bool_)
    none = np.zeros((0, 0), np.uint8)
    return Ranking(*from_hits(hits, k), tied, none, none)


def _fill(connection: "Connection", index: str, task: Task, gallery: Rows) -> None:
    vector = {
        "type": "dense_vector",
        "dims": gallery.shape[1],
        "similarity": "cosine",
        "index_options": {"type": "flat"},
    }
    fields = {"image_id": {"type": "keyword"}, "place": {"type": "integer"}, "embedding": vector}
    connection.ask(lambda client: client.indices.create(index=index, mappings={"properties": fields}))
    for start in range(0, len(gallery), _DOCUMENTS_AT_ONCE):
        _write(connection, index, list(_operations(task, gallery, start)))
    connection.ask(lambda client: client.indices.refresh(index=index))


def _write(connection: "Connection", index: str, operations: list[dict[str, Any]]) -> None:
    answer = connection.ask(lambda client: client.bulk(index=index, operations=operations))
    if answer["errors"]:
        raise StoreUnavailableError("Elasticsearch did not take all embeddings")


def _operations(task: Task, gallery: Rows, start: int) -> Iterator[dict[str, Any]]:
    for place, row in enumerate(gallery[start : start + _DOCUMENTS_AT_ONCE].tolist(), start):
        yield {"index": {}}
        yield {"image_id": task.gallery[place].image_id, "place": place, "embedding": row}


def _search(connection: "Connection", index: str, queries: Rows, count: int) -> list[list[tuple[float, int]]]:
    """Distances (1 - cosine) and places of the `count` nearest of each query."""
    searches: list[dict[str, Any]] = []
    for query in queries.tolist():
        nearest = {"field": "embedding", "query_vector": query, "k": count, "num_candidates": count}
        order = [{"_score": "desc"}, {"image_id": "asc"}]
        searches += [{}, {"query": {"knn": nearest}, "sort": order, "_source": ["place"], "size": count}]
    answer = connection.ask(lambda client: client.msearch(index=index, searches=searches))
    if failed := [one["error"] for one in answer["responses"] if "error" in one]:
        raise StoreUnavailableError(f"Elasticsearch could not compare all embeddings: {failed[0].get('type')}")
    # A score is (1 + cosine) / 2.
    return [
        [(2 - 2 * hit["_score"], hit["_source"]["place"]) for hit in one["hits"]["hits"]] for one in answer["responses"]
    ]


def _drop(connection: "Connection", index: str) -> None:
    connection.ask(lambda client: client.options(ignore_status=404).indices.delete(index=index))
