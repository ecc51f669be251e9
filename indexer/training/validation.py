"""What a learned code is worth on pictures that it was not learned from, beside ITQ and the float embeddings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexer.training.evidence import Evidence
from indexer.training.hash_head import HeadOptions, learn_head
from shared.encoding.binarizer import Binarizer, fit_binarizer

Matrix = NDArray[np.float64]
Codes = NDArray[np.float32]

DEPTH = 100
UNSEEN_SHARE = 0.3
"""Of a field's values, for the measurement on values that were not learned."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean average precision at 100, divided by min(100, relevant); ties in an order by chance."""

    queries: int
    learned: float
    itq: float
    float_cosine: float


@dataclass(frozen=True, slots=True)
class Validation:
    """By the first field. `seen`: held-out pictures of values that were learned, against the others. `unseen`: the same
    for values that the head was not told of, against all others; None where there are fewer than four values."""

    field: str
    seen: Quality
    unseen: Quality | None
    unseen_values: list[str]


def validate(
    rows: Matrix, evidence: Evidence, options: HeadOptions, held_out: float, advance: Callable[[int], None]
) -> Validation | None:
    """Learn without a share of the pictures, and again without some values; rank the held-out ones by the codes.

    `advance` is told of steps, two of them. None where there are no labels, or too few pictures to hold any out.
    """
    if not evidence.labels:
        return None
    field, values = next(iter(evidence.labels.items()))
    generator = np.random.default_rng(options.seed)
    queries = np.zeros(len(rows), np.bool_)
    queries[generator.permutation(len(rows))[: round(len(rows) * held_out)]] = True
    value_of = _single_values(values, len(rows))
    names = list(values)
    left_out = sorted(generator.permutation(len(names))[: max(2, round(len(names) * UNSEEN_SHARE))].tolist())
    seen = _quality(rows, evidence, queries, np.ones(len(rows), np.bool_), value_of, options=options)
    advance(1)
    unseen = None
    if len(names) >= 4:
        untold = np.isin(value_of, left_out)
        unseen = _quality(rows, evidence, queries & untold, ~untold, value_of, options=options)
    advance(1)
    return (
        None if seen is None else Validation(field, seen, unseen, [names[each] for each in left_out] if unseen else [])
    )


def _quality(
    rows: Matrix,
    evidence: Evidence,
    queries: NDArray[np.bool_],
    told: NDArray[np.bool_],
    value_of: NDArray[np.intp],
    *,
    options: HeadOptions,
) -> Quality | None:
    """Learn from what is told of pictures that are no queries; rank all those by the code, for each query."""
    index = ~queries
    known = evidence.among(index & told)
    asked = queries & np.isin(value_of, value_of[index]) & (value_of >= 0)
    if known.empty or not asked.any():
        return None
    head, _ = learn_head(rows[index & told], known, options)
    plain, _ = fit_binarizer(rows[index & told], options.bits, "itq", options.seed)
    figures = [
        mean_average_precision(codes[asked], codes[index], value_of[asked], value_of[index], options.seed)
        for codes in (_signs(head, rows), _signs(plain, rows), rows.astype(np.float32))
    ]
    return Quality(int(asked.sum()), *figures)


def mean_average_precision(
    queries: Codes, index: Codes, query_values: NDArray[np.intp], index_values: NDArray[np.intp], seed: int
) -> float:
    """MAP@100 by the products of rows; each average divided by min(100, relevant). Equal products fall by chance."""
    order = np.random.default_rng(seed).permutation(len(index))
    index, index_values = index[order], index_values[order]
    averages = []
    for query, value in zip(queries, query_values, strict=True):
        nearest = np.argsort(-(index @ query), kind="stable")[:DEPTH]
        hits = index_values[nearest] == value
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        averages.append((precision * hits).sum() / min(DEPTH, np.count_nonzero(index_values == value)))
    return float(np.mean(averages))


def _signs(binarizer: Binarizer, rows: Matrix) -> Codes:
    return np.where(np.unpackbits(binarizer.encode(rows), axis=1), 1, -1).astype(np.float32)


def _single_values(values: Mapping[str, NDArray[np.intp]], count: int) -> NDArray[np.intp]:
    """Each picture's value as a number; -1 for none. Of several the last counts."""
    numbers = np.full(count, -1, np.intp)
    for number, members in enumerate(values.values()):
        numbers[members] = number
    return numbers
