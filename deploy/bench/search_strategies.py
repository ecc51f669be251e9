"""The strategies against each other over HTTP: time and codes compared, by number of images, bits and radius."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import rig
from rich.progress import Progress
from search_codes import CodeSource
from search_rows import K, Timing, shown
from search_server import Client, Stand, image_id, search_body

STRATEGIES = ("flat", "subcode", "hnsw", "resident")
RADII_PERCENT = (2, 5, 10, 15, 20, 30)
# After so many seconds a cell gets no further query beyond the least number.
_CELL_SECONDS = 2.0
_QUERIES_MIN = 3
# A graph of more images takes hours to build on two cores.
_GRAPH_IMAGES_MAX = 1_000_000
# The slowest queries take longer than one may wait for by default.
_PATIENCE = {"search_seconds": "120", "elasticsearch_seconds": "120"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One strategy at one radius. `candidates`: the median of the codes compared. `recall`: the mean part of the exact
    hits that was found, where equal distances are as good as each other. `answered_by`: another strategy, where this
    one hands such queries over."""

    images: int
    bits: int
    percent: int
    strategy: str
    timing: Timing
    candidates: int
    hits: float
    recall: float
    answered_by: str

    def text(self) -> str:
        """As it stands in the table."""
        if self.strategy == "hnsw":
            return f"{shown(self.timing.p50)} ({self.recall:.3f})"
        handed_over = f" by {self.answered_by}" if self.answered_by != self.strategy else ""
        return f"{shown(self.timing.p50)} ({self.candidates:,}{handed_over})"


def strategy_cells(
    bench: rig.Bench, source: CodeSource, sizes: Sequence[tuple[int, int]], queries: int, progress: Progress
) -> Iterator[list[Cell]]:
    """Cells for each (images, bits)."""
    stand = Stand(bench)
    for count, bits in sizes:
        memory = count * (bits // 8 + 128) + (1 << 28)
        hnsw = str(count <= _GRAPH_IMAGES_MAX).lower()
        stand.use({"elasticsearch_hnsw": hnsw, "resident_bytes_max": str(memory)})
        stand.fill(source.encoder(bits), source.codes(bits, count), progress)
        yield cells_of(stand, count, bits, queries, progress)
    stand.store.close()


def cells_of(stand: Stand, count: int, bits: int, queries: int, progress: Progress) -> list[Cell]:
    """Cells of the images that are there; without a graph where there are very many."""
    stand.bench.settings |= _PATIENCE
    strategies = [one for one in STRATEGIES if one != "hnsw" or count <= _GRAPH_IMAGES_MAX]
    seeds = [{"image_id": image_id(n)} for n in np.random.default_rng(6).integers(0, count, queries).tolist()]
    made = []
    task = progress.add_task(f"{count:,} × {bits} bits", total=len(RADII_PERCENT) * len(strategies))
    with stand.searcher(resident=True) as searcher:
        client = Client(searcher.port)
        for percent in RADII_PERCENT:
            radius = bits * percent // 100
            exact: list[Mapping[str, Any]] = []
            for strategy in reversed(strategies):
                seconds, replies = _asked(client, [search_body(seed, strategy, K, radius) for seed in seeds])
                exact = exact or replies
                made.append(_cell((count, bits, percent, strategy), Timing.of(seconds), replies, exact))
                progress.advance(task)
    return made


def _asked(client: Client, bodies: Sequence[bytes]) -> tuple[list[float], list[Mapping[str, Any]]]:
    """Seconds and replies; of few queries where they are slow."""
    started = time.perf_counter()
    client.search(bodies[0])
    seconds: list[float] = []
    replies: list[Mapping[str, Any]] = []
    for body in bodies:
        began = time.perf_counter()
        if len(replies) >= _QUERIES_MIN and began - started > _CELL_SECONDS:
            break
        replies.append(client.search(body))
        seconds.append(time.perf_counter() - began)
    return seconds, replies


def _cell(
    name: tuple[int, int, int, str],
    timing: Timing,
    replies: Sequence[Mapping[str, Any]],
    exact: Sequence[Mapping[str, Any]],
) -> Cell:
    # The first strategy is the fastest, so it was asked most.
    pairs = list(zip(replies, exact, strict=False))
    for reply, truth in pairs:
        if reply["exact"] and _places(reply) != _places(truth):
            raise SystemExit(f"{name}: exact answers differ")
    return Cell(
        *name,
        timing,
        candidates=int(np.median([reply["candidates"] for reply in replies])),
        hits=float(np.mean([len(reply["hits"]) for reply in replies])),
        recall=float(np.mean([recall_of(reply, truth) for reply, truth in pairs])),
        answered_by=max({reply["strategy"] for reply in replies}),
    )


def recall_of(reply: Mapping[str, Any], exact: Mapping[str, Any]) -> float:
    """The part of the exact hits' number that the reply has within the exact hits' largest distance."""
    if not exact["hits"]:
        return 1.0
    farthest = exact["hits"][-1]["distance"]
    found = sum(int(hit["distance"] <= farthest) for hit in reply["hits"])
    return found / len(exact["hits"])


def _places(reply: Mapping[str, Any]) -> list[tuple[int, str]]:
    return [(hit["distance"], hit["image_id"]) for hit in reply["hits"]]


def table(cells: Sequence[Cell]) -> str:
    """The cells in Markdown: a line for each radius."""
    by_place = {(cell.images, cell.bits, cell.percent, cell.strategy): cell for cell in cells}
    lines = [
        "| images | bits | radius | hits | flat | subcode | hnsw | resident |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for images, bits, percent in sorted({(cell.images, cell.bits, cell.percent) for cell in cells}):
        of_line = [by_place.get((images, bits, percent, strategy)) for strategy in STRATEGIES]
        texts = " | ".join("—" if cell is None else cell.text() for cell in of_line)
        radius = f"{percent} % ({bits * percent // 100})"
        hits = by_place[images, bits, percent, "resident"].hits
        lines.append(f"| {images:,} | {bits} | {radius} | {hits:.0f} | {texts} |")
    return "\n".join(lines)
