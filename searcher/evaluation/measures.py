"""Measures of retrieval for each query, by ir-measures (trec_eval).

trec_eval sorts hits by score, and equal scores by document id, falling. It is given scores that fall strictly in the
searcher's own order (distance, then image id, rising), so that it measures what a user sees.

MAP has three conventions. `AP@k` is trec_eval's map_cut: divided by all relevant pictures, so with 5,000 of them it
can't exceed k / 5,000. `AP@k/min(k,R)` is divided by how many of them can be among k hits. `AP@k/found` is divided by
how many are.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from searcher.evaluation.ranking import Ranking
from searcher.evaluation.task import Task
from shared.errors import ConfigurationError

Columns = Mapping[str, NDArray[np.float64]]
"""Name of a measure to its values, one for each query."""

# All relevant pictures of a query are handed over, which may be thousands, so only some queries at a time.
_JUDGEMENTS_AT_ONCE = 200_000


def map_names(k: int) -> tuple[str, str, str]:
    """The names of the three conventions: divided by all relevant, by how many can be hits, by the hits found."""
    return f"AP@{k}", f"AP@{k}/min({k},R)", f"AP@{k}/found"


def measure(task: Task, ranking: Ranking, advance: Callable[[int], None]) -> Columns:
    """The measures of each query at k, the width of the ranking; `advance` is told how many queries are done.

    ConfigurationError where the extra `evaluate` is not installed.
    """
    k = ranking.places.shape[1]
    ids = [picture.image_id for picture in task.gallery]
    relevant_counts = task.relevant_counts()
    names = trec_names(k)
    values = {name: np.zeros(len(task.queries)) for name in names}
    of_class: dict[int, dict[str, int]] = {}
    step = max(1, _JUDGEMENTS_AT_ONCE // int(relevant_counts.max()))
    for start in range(0, len(task.queries), step):
        block = range(start, min(start + step, len(task.queries)))
        judgements = {str(query): _judgements(task, query, ids, of_class) for query in block}
        run = {
            str(query): {ids[place]: float(k - rank) for rank, place in enumerate(ranking.places[query]) if place >= 0}
            for query in block
        }
        for name, query, value in _by_trec_eval(list(names), judgements, run):
            values[name][int(query)] = value
        advance(len(block))
    return _with_conventions(values, relevant_counts, k)


def _judgements(task: Task, query: int, ids: list[str], of_class: dict[int, dict[str, int]]) -> dict[str, int]:
    """What is relevant to a query; `of_class` keeps the same of whole classes, which may be large."""
    label = int(task.query_labels[query])
    if label not in of_class:
        of_class[label] = {ids[place]: 1 for place in np.flatnonzero(task.gallery_labels == label).tolist()}
    own = int(task.own[query])
    if own < 0:
        return of_class[label]
    return {image_id: grade for image_id, grade in of_class[label].items() if image_id != ids[own]}


def trec_names(k: int) -> tuple[str, ...]:
    """The measures as ir-measures names them."""
    return tuple(dict.fromkeys((f"AP@{k}", "P@10", f"P@{k}", f"R@{k}", f"nDCG@{k}", "RR", "Success@1", "Success@20")))


def _with_conventions(values: dict[str, NDArray[np.float64]], relevant: NDArray[np.int64], k: int) -> Columns:
    by_all, by_possible, by_found = map_names(k)
    summed = values[by_all] * relevant
    found = np.rint(values[f"P@{k}"] * k)
    conventions = {
        by_possible: summed / np.minimum(k, relevant),
        by_found: np.divide(summed, found, out=np.zeros_like(summed), where=found > 0),
    }
    return {by_all: values.pop(by_all), **conventions, **values}


def _by_trec_eval(
    names: list[str], judgements: dict[str, dict[str, int]], run: dict[str, dict[str, float]]
) -> list[tuple[str, str, float]]:
    """Name, query and value of each measure of each query."""
    try:
        import ir_measures  # noqa: PLC0415 (an optional library)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"to evaluate, the extra `evaluate` is needed: pip install 'catalogue-indexer[evaluate]' ({error})"
        ) from error
    wanted = [ir_measures.parse_measure(name) for name in names]
    try:
        found = list(ir_measures.iter_calc(wanted, judgements, run))
    except (ValueError, RuntimeError) as error:
        raise ConfigurationError(f"ir-measures: {error}") from error
    return [(str(one.measure), one.query_id, float(one.value)) for one in found]
