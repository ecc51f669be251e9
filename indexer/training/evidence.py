"""What a catalogue knows of its pictures, as evidence to learn from: labels from the events' fields, and triplets."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from indexer.fitting import Sample
from shared.document import Attributes, Scalar
from shared.errors import ConfigurationError

Rows = NDArray[np.intp]
"""Indices of pictures."""

_ROLES = ("anchor", "positive", "negative")
_NAMES_SHOWN = 12


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Which pictures belong together.

    `labels` has for each field its values with the pictures that have them (two or more of each). A picture without the
    field is in none of that field's, one with a list in several. `triplets` has the shape (count, 3): anchor, positive
    and negative; the anchor belongs with the positive rather than with the negative.
    """

    labels: Mapping[str, Mapping[str, Rows]]
    triplets: Rows

    def among(self, kept: NDArray[np.bool_]) -> "Evidence":
        """What is known of these pictures alone, renumbered as if the others were not there. May be empty."""
        number = np.cumsum(kept) - 1
        labels = {
            field: {value: number[rows[kept[rows]]] for value, rows in values.items() if kept[rows].sum() >= 2}
            for field, values in self.labels.items()
        }
        triplets = number[self.triplets[kept[self.triplets].all(axis=1)]]
        return Evidence({field: values for field, values in labels.items() if len(values) >= 2}, triplets)

    @property
    def empty(self) -> bool:
        """Whether nothing can be learned from it."""
        return not self.labels and not len(self.triplets)


def read_labels(sample: Sample, names: Sequence[str], left_out: Mapping[str, Sequence[str]]) -> Evidence:
    """Labels from these fields, those of images with a left-out value aside.

    ConfigurationError where no image has a field (with the names that there are), and where fewer than two of its
    values have two pictures.
    """
    refuse_unknown([*names, *left_out], sample.fields)
    kept = ~has_any(sample.fields, left_out)
    labels = {}
    for name in names:
        found = _by_value(sample.fields, name, kept)
        usable = {value: rows for value, rows in found.items() if len(rows) >= 2}
        if len(usable) < 2:
            raise ConfigurationError(
                f"--labels: {name!r} has {len(found)} values among {int(kept.sum())} pictures, of which {len(usable)} "
                "have two pictures or more; learning needs two such values"
            )
        labels[name] = usable
    return Evidence(labels, np.empty((0, 3), np.intp))


def has_any(fields: Sequence[Attributes], values: Mapping[str, Sequence[str]]) -> NDArray[np.bool_]:
    """For each picture, whether it has one of these values."""
    return np.array(
        [any(text in wanted for name, wanted in values.items() for text in _texts(each, name)) for each in fields],
        np.bool_,
    )


def read_triplets(path: Path, image_ids: Sequence[str]) -> tuple[Rows, int]:
    """Triplets of JSON Lines `{"anchor": …, "positive": …, "negative": …}` (image ids), shape (count, 3).

    Gives also the number of triplets that name an image which is not among the pictures; they are left out.
    ConfigurationError where the file can't be read, has another form, or leaves no triplet.
    """
    numbers = {image_id: number for number, image_id in enumerate(image_ids)}
    found, unknown = [], 0
    for triplet in _triplets(path):
        if all(image_id in numbers for image_id in triplet):
            found.append([numbers[image_id] for image_id in triplet])
        else:
            unknown += 1
    if not found:
        raise ConfigurationError(
            f"--triplets: {path}: no triplet is left: {unknown} name images that are not among the "
            f"{len(image_ids)} sampled ones (a larger --sample takes more)"
        )
    return np.array(found, np.intp), unknown


def _triplets(path: Path) -> list[tuple[str, ...]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        read = [json.loads(line) for line in lines if line.strip()]
        return [tuple(str(triplet[role]) for role in _ROLES) for triplet in read]
    except OSError as error:
        raise ConfigurationError(f"--triplets: {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f'--triplets: {path}: a line is no {{"anchor": ID, "positive": ID, "negative": ID}}: {error!r}'
        ) from error


def refuse_unknown(names: Sequence[str], fields: Sequence[Attributes]) -> None:
    """ConfigurationError where no picture has a field, with the fields that there are."""
    there = sorted({name for each in fields for name in each if _texts(each, name)})
    for name in names:
        if name not in there:
            shown = ", ".join(there[:_NAMES_SHOWN]) + (", …" if len(there) > _NAMES_SHOWN else "")
            raise ConfigurationError(f"no sampled picture has the attribute {name!r}; there are: {shown or 'none'}")


def _by_value(fields: Sequence[Attributes], name: str, kept: NDArray[np.bool_]) -> dict[str, Rows]:
    rows: dict[str, list[int]] = defaultdict(list)
    for number in np.flatnonzero(kept).tolist():
        for text in _texts(fields[number], name):
            rows[text].append(number)
    return {value: np.array(rows[value], np.intp) for value in sorted(rows)}


def _texts(fields: Attributes, name: str) -> set[str]:
    value: Scalar | Sequence[Scalar] = fields.get(name, "")
    several = [value] if isinstance(value, str | int | float | bool) else value
    return {str(each) for each in several} - {""}
