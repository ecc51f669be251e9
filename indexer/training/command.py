"""`indexer train`: a sample of the event source, what is known of its pictures, and the encoder learned from both."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from indexer.fitting import Sample
from indexer.sampling import sample_source
from indexer.training.evidence import Evidence, has_any, read_labels, read_triplets
from indexer.training.hash_head import HeadOptions, learn_head
from indexer.training.validation import Validation, validate
from shared.encoding.embedder import Embedder
from shared.encoding.encoder import Encoder, unit_rows
from shared.encoding.opening import open_embedder
from shared.errors import ConfigurationError
from shared.settings import Settings
from shared.terminal import progress


@dataclass(frozen=True, slots=True)
class Request:
    """What to learn from: `labels` are fields, `left_out` values of fields, `validation` a share to hold out."""

    labels: Sequence[str]
    left_out: Mapping[str, Sequence[str]]
    triplets: Path | None
    sample: int
    validation: float
    options: HeadOptions


@dataclass(frozen=True, slots=True)
class Report:
    """What was learned from what, and what it is worth.

    `fine_tuning` tells how the network was trained before, on pictures that `validation` may hold out: its own curve is
    the one of pictures that it did not see.
    """

    encoder: str
    options: HeadOptions
    pictures: int
    left_out_pictures: int
    labels: Mapping[str, Mapping[str, int]]
    triplets: int
    triplets_unknown: int
    validation: Validation | None
    fine_tuning: Mapping[str, Any] | None = None

    def to_json(self) -> str:
        """As JSON, indented."""
        as_written: dict[str, Any] = asdict(self)
        return json.dumps(as_written, indent=2, ensure_ascii=False)


def trained(settings: Settings, request: Request) -> tuple[Encoder, Report]:
    """Sample and embed the source's pictures, and learn; errors as in `learned`, and those of the source."""
    embedder, sample = asyncio.run(sample_source(settings, lambda: open_embedder(settings), request.sample))
    return learned(embedder, sample, request)


def learned(embedder: Embedder, sample: Sample, request: Request) -> tuple[Encoder, Report]:
    """An encoder learned from embedded pictures. Images with a left-out value take no part in any way.

    The same sample and request give the same encoder. ConfigurationError where there is nothing to learn from.
    """
    kept = ~has_any(sample.fields, request.left_out)
    evidence = read_labels(sample, request.labels, request.left_out)
    triplets, unknown = np.empty((0, 3), np.intp), 0
    if request.triplets is not None:
        triplets, unknown = read_triplets(request.triplets, sample.image_ids)
    elif not request.labels:
        raise ConfigurationError("--labels or --triplets is needed: there is nothing to learn from")
    evidence = Evidence(evidence.labels, triplets).among(kept)
    rows, _ = unit_rows(sample.embeddings[kept])
    with progress("validating", 2) as advance:
        validation = validate(rows, evidence, request.options, request.validation, advance)
    head, warnings = learn_head(rows, evidence, request.options)
    for warning in warnings:
        structlog.get_logger().warning("learned_with_completion", detail=warning)
    encoder = Encoder.fitted_on(rows, embedder, head)
    report = Report(
        encoder=encoder.encoder_id,
        options=request.options,
        pictures=len(rows),
        left_out_pictures=int(np.count_nonzero(~kept)),
        labels={
            name: {value: len(found) for value, found in values.items()} for name, values in evidence.labels.items()
        },
        triplets=len(evidence.triplets),
        triplets_unknown=unknown,
        validation=validation,
    )
    return encoder, report
