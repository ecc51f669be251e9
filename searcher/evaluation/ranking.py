"""The hits of all queries by one method, kept in a file, and the exact ranking by cosine."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searcher.evaluation.task import Task
from shared.errors import ConfigurationError

_QUERIES_AT_ONCE = 128


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Hits by distance, then image id.

    `places` (queries, k) int32 are places in the gallery, -1 behind the last hit; `distances` of the same shape are
    bits, or 1 - cosine. `tied` (queries,): whether the hit behind the last is just as far, so that ids decided the cut.
    `query_codes` and `gallery_codes` (count, bits / 8) uint8 are empty where the method has no codes.
    """

    places: NDArray[np.int32]
    distances: NDArray[np.float32]
    tied: NDArray[np.bool_]
    query_codes: NDArray[np.uint8]
    gallery_codes: NDArray[np.uint8]

    def save(self, path: Path) -> None:
        """Write it; the file is there only when it is whole."""
        stream = io.BytesIO()
        np.savez_compressed(
            stream,
            places=self.places,
            distances=self.distances,
            tied=self.tied,
            query_codes=self.query_codes,
            gallery_codes=self.gallery_codes,
        )
        new = path.with_suffix(".new")
        new.write_bytes(stream.getvalue())
        new.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Ranking":
        """Read what `save` wrote; ConfigurationError where it is something else."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(**{name: arrays[name] for name in cls.__dataclass_fields__})
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ConfigurationError(f"{path}: {error}; delete it, and it is made again") from error


def from_hits(hits: list[list[tuple[float, int]]], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Lists of (distance, place), each in order, as arrays (queries, k)."""
    places = np.full((len(hits), k), -1, np.int32)
    distances = np.full((len(hits), k), np.inf, np.float32)
    for row, found in enumerate(hits):
        for column, (distance, place) in enumerate(found[:k]):
            places[row, column], distances[row, column] = place, distance
    return places, distances


def rank_by_cosine(
    task: Task,
    queries: NDArray[np.float32],
    gallery: NDArray[np.float32],
    k: int,
    advance: Callable[[int], None],
) -> Ranking:
    """The exact nearest by cosine of rows of unit length (count, dimensions), the query itself left out."""
    order_of_ids = np.argsort(np.argsort([picture.image_id for picture in task.gallery]))
    places = np.full((len(queries), k), -1, np.int32)
    distances = np.full((len(queries), k), np.inf, np.float32)
    tied = np.zeros(len(queries), np.bool_)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        block = 1 - queries[start : start + _QUERIES_AT_ONCE] @ gallery.T
        for row, one in enumerate(block, start):
            if task.own[row] >= 0:
                one[task.own[row]] = np.inf
            nearest = _nearest(one, order_of_ids, k + 1)
            found = nearest[:k]
            places[row, : len(found)], distances[row, : len(found)] = found, one[found]
            tied[row] = len(nearest) > k and one[nearest[k]] == one[nearest[k - 1]]
        advance(len(block))
    none = np.zeros((0, 0), np.uint8)
    return Ranking(places, distances, tied, none, none)


def reduced_by_pca(
    queries: NDArray[np.float32], gallery: NDArray[np.float32], dimensions: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both projected on the gallery's first principal components, of unit length again."""
    mean = gallery.mean(axis=0)
    centred = (gallery - mean).astype(np.float64)
    if dimensions > min(centred.shape):
        raise ConfigurationError(f"float-pca:{dimensions}: {len(gallery)} pictures of {gallery.shape[1]} give fewer")
    _, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, : -dimensions - 1 : -1]
    return unit_rows(((queries - mean) @ axes).astype(np.float32)), unit_rows((centred @ axes).astype(np.float32))


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows divided by their L2 norms; rows of zeros stay."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), np.float32)


def _nearest(distances: NDArray[np.float32], order_of_ids: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The places of the `count` least distances that are finite, equal ones by id."""
    if count < len(distances):
        bound = np.partition(distances, count - 1)[count - 1]
        candidates = np.flatnonzero((distances <= bound) & np.isfinite(distances))
    else:
        candidates = np.flatnonzero(np.isfinite(distances))
    order = np.lexsort((order_of_ids[candidates], distances[candidates]))
    return candidates[order][:count]
