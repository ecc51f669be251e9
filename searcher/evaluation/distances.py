"""`searcher distance`: how far pictures are apart, and where to put a threshold."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from searcher.evaluation.collection import Picture, read_collection, read_csv
from searcher.evaluation.embedding import decoded, embed
from searcher.evaluation.roc import Roc, roc_of
from searcher.evaluation.task import label_of
from shared.encoding.encoder import load_encoder
from shared.errors import ConfigurationError, RejectedError, RejectionReason
from shared.settings import Settings
from shared.store.opening import open_store
from shared.terminal import cell, progress

_ROWS_SHOWN = 50
_CURVE_POINTS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Distances:
    """Distances (queries, gallery), NaN from a picture to itself; in bits of `encoder`, or 1 - cosine without one."""

    queries: Sequence[Picture]
    gallery: Sequence[Picture]
    values: NDArray[np.float64]
    encoder: str | None
    roc: Roc | None


def measure_distances(
    settings: Settings, query: Path, gallery: Path, *, use_float: bool, label: Sequence[str]
) -> Distances:
    """The distances of pictures, folders of pictures, or CSV files of them, with a ROC where `label` tells pairs apart.

    RejectedError names a picture that can't be used; ConfigurationError where no encoder is active.
    """
    sides = _pictures(query), _pictures(gallery)
    pictures = [*sides[0], *sides[1]]
    with progress("embedding", len(pictures)) as advance:
        paths = [picture.path for picture in pictures]
        if use_float:
            embeddings, encoder = embed(paths, settings, advance), None
            _refuse([paths[place] for place in sorted(embeddings.refused)])
            rows = embeddings.rows.astype(np.float64)
            values = 1 - rows[: len(sides[0])] @ rows[len(sides[0]) :].T
        else:
            codes, encoder = asyncio.run(_codes(paths, settings))
            advance(len(paths))
            bits = [codes[: len(sides[0])], codes[len(sides[0]) :]]
            values = np.stack([np.bitwise_count(bits[1] ^ code).sum(axis=1) for code in bits[0]]).astype(np.float64)
    itself = np.array([[one.path == other.path for other in sides[1]] for one in sides[0]])
    values[itself] = np.nan
    return Distances(*sides, values, encoder, _roc(sides, values, label))


def as_json(found: Distances, false_accept_rate: float) -> str:
    """All pairs, and what the ROC says, as one JSON object."""
    pairs = [
        {"query": str(query.path), "image": str(image.path), "distance": distance}
        for query, row in zip(found.queries, found.values.tolist(), strict=True)
        for image, distance in zip(found.gallery, row, strict=True)
        if query.path != image.path
    ]
    content: dict[str, Any] = {"encoder": found.encoder, "unit": _unit(found), "pairs": pairs}
    if found.roc is not None:
        content["roc"] = _roc_json(found.roc, false_accept_rate)
    return json.dumps(content)


def print_distances(found: Distances, false_accept_rate: float, console: Console) -> None:
    """The nearest of each query as a table, and what the ROC says."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(_unit(found), justify="right")
    for heading in ("query", "nearest"):
        table.add_column(heading, overflow="fold")
    for query, row in list(zip(found.queries, found.values, strict=True))[:_ROWS_SHOWN]:
        if not np.isnan(row).all():
            place = int(np.nanargmin(row))
            shown = f"{row[place]:.0f}" if found.encoder else f"{row[place]:.4f}"
            table.add_row(*map(cell, (shown, str(query.path), str(found.gallery[place].path))))
    console.print(table)
    if len(found.queries) > _ROWS_SHOWN:
        console.print(Text(f"{len(found.queries) - _ROWS_SHOWN} more queries; --json tells all pairs", style="dim"))
    if found.roc is not None:
        console.print(Text(_roc_text(found.roc, false_accept_rate)))


def _pictures(path: Path) -> list[Picture]:
    if path.suffix.lower() == ".csv":
        return read_csv(path, path.parent)
    if path.is_file():
        return [Picture(path.name, path.absolute(), {"category": path.absolute().parent.name})]
    if path.is_dir():
        # What lies in the folder itself is labelled by its name.
        own = {"category": path.absolute().name}
        return [
            replace(picture, attributes={**own, **picture.attributes})
            for picture in read_collection(str(path), path, path)
        ]
    raise ConfigurationError(f"{path}: there is no such picture or folder")


async def _codes(paths: Sequence[Path], settings: Settings) -> tuple[NDArray[np.uint8], str]:
    with closing(open_store(settings)) as store:
        stored = store.active_encoder()
    if stored is None:
        raise ConfigurationError("no encoder is active: run `indexer fit` first, or compare embeddings with --float")
    encoder = load_encoder(stored, settings)
    codes = []
    async for start, pixels, refused in decoded(paths, settings, encoder.batch_size):
        _refuse([paths[place] for place in refused])
        rows, finite = encoder.encode(pixels)
        _refuse([paths[start + int(place)] for place in np.flatnonzero(~finite)])
        codes.append(rows)
    return np.concatenate(codes), encoder.encoder_id


def _refuse(paths: Sequence[Path]) -> None:
    if paths:
        raise RejectedError(RejectionReason.IMAGE_UNDECODABLE, f"{paths[0]}: not a picture that can be embedded")


def _roc(
    sides: tuple[Sequence[Picture], Sequence[Picture]], values: NDArray[np.float64], label: Sequence[str]
) -> Roc | None:
    names = [np.array([label_of(picture, label) for picture in side]) for side in sides]
    known = (names[0] != "")[:, None] & (names[1] != "")[None, :] & ~np.isnan(values)
    same = names[0][:, None] == names[1][None, :]
    if not (known & same).any() or not (known & ~same).any():
        return None
    return roc_of(values[known], same[known])


def _roc_json(roc: Roc, rate: float) -> dict[str, Any]:
    shown = np.unique(np.linspace(0, len(roc.distances) - 1, _CURVE_POINTS).round().astype(int))
    threshold = roc.threshold(rate)
    return {
        "pairs_of_the_same": roc.same_pairs,
        "pairs_of_others": roc.other_pairs,
        "equal_error_rate": roc.equal_error_rate,
        "area": roc.area,
        "threshold": None
        if threshold is None
        else dict(zip(("distance", "false_accept_rate", "true_accept_rate"), threshold, strict=True)),
        "curve": [
            [float(roc.distances[place]), float(roc.false_accepts[place]), float(roc.true_accepts[place])]
            for place in shown
        ],
    }


def _roc_text(roc: Roc, rate: float) -> str:
    told = (
        f"{roc.same_pairs} pairs of the same label, {roc.other_pairs} of different ones: equal error rate "
        f"{roc.equal_error_rate:.3f}, area under the ROC {roc.area:.3f}.\n"
    )
    if (threshold := roc.threshold(rate)) is None:
        return told + f"No threshold keeps false accepts at {rate:g}: the nearest pairs are of different labels."
    distance, falsely, rightly = threshold
    told += f"At most {distance:g} apart: {falsely:.3%} of the others accepted, {rightly:.1%} of the same."
    if rate * roc.other_pairs < 1:
        told += f" So few pairs of others can't tell a rate of {rate:g}."
    return told


def _unit(found: Distances) -> str:
    return "1 - cosine" if found.encoder is None else "bits"
