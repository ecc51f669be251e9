"""Embeddings of pictures in this process, by the embedder that the settings name and the rules of the pipeline."""

import asyncio
from collections.abc import Callable, Sequence
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


async def _embed(paths: Sequence[Path], settings: Settings, advance: Callable[[int], None]) -> Embeddings:
    embedder = open_embedder(settings)
    size = max(embedder.batch_size, _DECODED_AT_ONCE_MIN)
    rows = np.zeros((len(paths), embedder.spec.dimensions), np.float32)
    refused: set[int] = set()
    async with DecoderPool(DecodeLimits.of(settings, usable_cores())) as decoder:
        for start in range(0, len(paths), size):
            part = paths[start : start + size]
            decoded = await asyncio.gather(*(_pixels(path, decoder) for path in part))
            good = [place for place, pixels in enumerate(decoded, start) if pixels is not None]
            refused |= {*range(start, start + len(part))} - {*good}
            if good:
                pixels = np.stack([one for one in decoded if one is not None])
                rows[good] = await asyncio.to_thread(embedder.embed, pixels)
            advance(len(part))
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
