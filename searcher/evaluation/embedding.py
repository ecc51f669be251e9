"""Pictures of files in this process: decoded in child processes, and embedded by the embedder of the settings."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from searcher.evaluation.ranking import unit_rows
from searcher.resident.index import usable_cores
from shared.encoding.opening import open_embedder
from shared.errors import ConfigurationError, RejectedError
from shared.images.decoder import DecoderPool
from shared.images.picture import DecodeLimits
from shared.settings import Settings

_DECODED_AT_ONCE_MIN = 64


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Rows of unit length (pictures, dimensions), and the places of pictures that have none (their rows are zeros)."""

    rows: NDArray[np.float32]
    refused: frozenset[int]


def embed(paths: Sequence[Path], settings: Settings, advance: Callable[[int], None]) -> Embeddings:
    """Embed pictures, in batches; `advance` is told how many are done. Errors as of `open_embedder`.

    Refused is what the pipeline refuses: what can't be decoded, and embeddings that are not finite.
    """
    return asyncio.run(_embed(paths, settings, advance))


async def decoded(
    paths: Sequence[Path], settings: Settings, batch: int
) -> AsyncIterator[tuple[int, NDArray[np.uint8], list[int]]]:
    """In parts: the first place, the pixels (count, 224, 224, 3) of those that can be decoded, places of the others."""
    size = max(batch, _DECODED_AT_ONCE_MIN)
    async with DecoderPool(DecodeLimits.of(settings, usable_cores())) as decoder:
        for start in range(0, len(paths), size):
            part = await asyncio.gather(*(_pixels(path, decoder) for path in paths[start : start + size]))
            good = [pixels for pixels in part if pixels is not None]
            refused = [place for place, pixels in enumerate(part, start) if pixels is None]
            yield start, np.stack(good) if good else np.zeros((0, 224, 224, 3), np.uint8), refused


async def _embed(paths: Sequence[Path], settings: Settings, advance: Callable[[int], None]) -> Embeddings:
    embedder = open_embedder(settings)
    rows = np.zeros((len(paths), embedder.spec.dimensions), np.float32)
    refused: set[int] = set()
    async for start, pixels, others in decoded(paths, settings, embedder.batch_size):
        refused |= set(others)
        count = len(pixels) + len(others)
        good = [place for place in range(start, start + count) if place not in refused]
        if good:
            rows[good] = await asyncio.to_thread(embedder.embed, pixels)
        advance(count)
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1)).tolist()
    rows[broken] = 0
    return Embeddings(unit_rows(rows), frozenset({*refused, *broken}))


async def _pixels(path: Path, decoder: DecoderPool) -> NDArray[np.uint8] | None:
    try:
        content = await asyncio.to_thread(path.read_bytes)
        return (await decoder.decode(content, thumbnail=False)).pixels
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except RejectedError:
        return None
