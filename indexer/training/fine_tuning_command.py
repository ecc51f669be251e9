"""`indexer train --fine-tune`: sampled pictures and their labels, the network trained on them, its weights' file."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from indexer.fitting import Sample
from indexer.sampling import sample_source
from indexer.training.evidence import has_any, refuse_unknown
from indexer.training.fine_tuning import TrainingPictures, fine_tune
from indexer.training.options import WEIGHTS_SUFFIXES, Options
from shared.document import Attributes
from shared.encoding.embedder import Embedder, EmbedderSpec
from shared.encoding.network import chosen_device
from shared.encoding.network_weights import write_state
from shared.encoding.opening import open_backbone_to_train, open_embedder
from shared.errors import ConfigurationError
from shared.images.picture import PREPROCESSING, SIDE
from shared.settings import Settings
from shared.terminal import progress

_PICTURE = (SIDE, SIDE, 3)
_PICTURES_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class FineTuning:
    """What to train on: fields whose values together are the label, and values of fields that are left out."""

    labels: Sequence[str]
    left_out: Mapping[str, Sequence[str]]
    sample: int
    weights_out: Path
    options: Options


def fine_tuned(settings: Settings, request: FineTuning) -> tuple[Embedder, Sample, dict[str, Any]]:
    """Train the network that the settings name, and write its weights.

    Gives it opened with them, all sampled pictures (those left out of the training too) embedded by it, and a report.
    ConfigurationError where the network can't be trained, the labels do not allow it, or the file can't be written.
    """
    _refuse_unwritable(request.weights_out)
    device = chosen_device(settings.device)
    backbone = open_backbone_to_train(settings)
    if request.options.projection is not None:
        backbone = backbone.projected(request.options.projection, request.options.seed)
    with _kept_pictures() as keeper:
        _, sample = asyncio.run(sample_source(settings, lambda: keeper, request.sample))
        places = sample.embeddings[:, 0].astype(np.int64)
        pixels = keeper.pictures()
        pictures = TrainingPictures(pixels, places, *_labels(sample.fields, request))
        with progress("training", None) as advance:
            report = fine_tune(backbone, pictures, request.options, device, advance)
        write_state(backbone.state(), request.weights_out)
        embedder = open_embedder(settings.model_copy(update={"weights": str(request.weights_out)}))
        rows = _embedded(embedder, pixels)[places]
    weights = {"from": settings.weights, "to": str(request.weights_out)}
    return embedder, Sample(sample.image_ids, rows, sample.fields), {**report.as_json(), "weights": weights}


def _embedded(embedder: Embedder, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows = []
    with progress("embedding", len(pixels)) as advance:
        for start in range(0, len(pixels), _PICTURES_AT_ONCE):
            rows.append(embedder.embed(pixels[start : start + _PICTURES_AT_ONCE]))
            advance(len(rows[-1]))
    return np.concatenate(rows)


def _labels(fields: Sequence[Attributes], request: FineTuning) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Labels and groups; -1 stands for a picture that has no such field, or is left out."""
    within = request.options.negatives_within
    refuse_unknown([*request.labels, *request.left_out, *([within] if within else [])], fields)
    labels = _numbered([_values(each, request.labels) for each in fields])
    labels[has_any(fields, request.left_out)] = -1
    return labels, None if within is None else _numbered([_values(each, (within,)) for each in fields])


def _values(fields: Attributes, names: Sequence[str]) -> tuple[str, ...] | None:
    found = [fields.get(name) for name in names]
    return None if any(value is None for value in found) else tuple(str(value) for value in found)


def _numbered(values: list[tuple[str, ...] | None]) -> NDArray[np.int64]:
    numbers = {value: number for number, value in enumerate(sorted({value for value in values if value is not None}))}
    return np.array([-1 if value is None else numbers[value] for value in values], np.int64)


class _PictureKeeper:
    """Takes an embedder's place in a sample and keeps the pictures in a file; a row is the picture's number there."""

    batch_size = _PICTURES_AT_ONCE
    spec = EmbedderSpec("pictures", "numbers", "", "float32", PREPROCESSING, 1)

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._count = 0

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Numbers (count, 1), exact up to 16 million."""
        self._file.write(np.ascontiguousarray(pixels).tobytes())
        first, self._count = self._count, self._count + len(pixels)
        return np.arange(first, self._count, dtype=np.float32)[:, None]

    def pictures(self) -> NDArray[np.uint8]:
        """All that were kept, (count, 224, 224, 3), read from the file where they are looked at."""
        self._file.flush()
        return np.memmap(self._file, np.uint8, "r", shape=(self._count, *_PICTURE))


@contextmanager
def _kept_pictures() -> Iterator[_PictureKeeper]:
    # 150 KB a picture: thousands of them are better in a file than in memory.
    with tempfile.TemporaryFile() as file:
        yield _PictureKeeper(file)


def _refuse_unwritable(path: Path) -> None:
    """Before minutes of work, not after them."""
    if path.suffix not in WEIGHTS_SUFFIXES:
        raise ConfigurationError(f"--weights-out: {path} ends in none of {', '.join(WEIGHTS_SUFFIXES)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ConfigurationError(f"--weights-out: {path}: {error.strerror}") from error
