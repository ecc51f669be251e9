"""Queries with their hits as one picture: a row a query, green frames around what is relevant, red around the rest."""

import asyncio
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from searcher.evaluation.ranking import Ranking
from searcher.evaluation.task import Task
from searcher.resident.index import usable_cores
from shared.images.decoder import DecoderPool
from shared.images.picture import DecodeLimits
from shared.settings import Settings

ROWS = 8
_HITS = 10
_SIDE, _FRAME, _GAP = 96, 4, 10
_RELEVANT, _OTHER, _QUERY, _PAGE = "#2e9d4f", "#cc3b3b", "#7a7a7a", "#ffffff"


def draw_grid(task: Task, ranking: Ranking, queries: Sequence[int], settings: Settings, path: Path) -> Path:
    """Write the grid of these queries as JPEG. Pictures are decoded in child processes, as everywhere."""
    cells = [_cells(task, ranking, query) for query in queries]
    files = sorted({file for row in cells for file, _ in row})
    thumbnails = asyncio.run(_thumbnails(files, settings))
    step = _SIDE + 2 * _FRAME
    page = Image.new("RGB", ((_HITS + 1) * step + _GAP, len(cells) * step), _PAGE)
    for row, line in enumerate(cells):
        for column, (file, colour) in enumerate(line):
            framed = ImageOps.expand(thumbnails[file], _FRAME, colour)
            page.paste(framed, (column * step + (_GAP if column else 0), row * step))
    path.parent.mkdir(parents=True, exist_ok=True)
    page.save(path, quality=85)
    return path


def _cells(task: Task, ranking: Ranking, query: int) -> list[tuple[Path, str]]:
    """Files and colours of frames, the query first."""
    label = task.query_labels[query]
    hits = [place for place in ranking.places[query, :_HITS].tolist() if place >= 0]
    frames = [_RELEVANT if task.gallery_labels[place] == label else _OTHER for place in hits]
    shown = [task.gallery[place].path for place in hits]
    return [(task.queries[query].path, _QUERY), *zip(shown, frames, strict=True)]


async def _thumbnails(files: Sequence[Path], settings: Settings) -> dict[Path, Image.Image]:
    async with DecoderPool(DecodeLimits.of(settings, usable_cores())) as decoder:

        async def thumbnail(file: Path) -> Image.Image:
            decoded = await decoder.decode(await asyncio.to_thread(file.read_bytes), thumbnail=True)
            with Image.open(io.BytesIO(decoded.thumbnail or b"")) as image:
                return ImageOps.pad(image.convert("RGB"), (_SIDE, _SIDE), color=_PAGE)

        return dict(zip(files, await asyncio.gather(*map(thumbnail, files)), strict=True))
