"""TREC files: a run (query, Q0, image id, rank, score, name) and qrels (query, 0, image id, 1)."""

import gzip
from collections.abc import Iterator
from pathlib import Path

from searcher.evaluation.ranking import Ranking
from searcher.evaluation.task import Task

# A file of more lines is compressed, and its name ends in .gz.
PLAIN_LINES_MAX = 2_000_000


def write_run(task: Task, ranking: Ranking, name: str, folder: Path) -> Path:
    """Write the hits; scores fall strictly, so that whatever reads the file keeps the searcher's order."""
    return _write(folder / f"run-{name}.txt", ranking.places.size, _run_blocks(task, ranking, name))


def write_qrels(task: Task, folder: Path) -> Path:
    """Write what is relevant to each query."""
    return _write(folder / "qrels.txt", int(task.relevant_counts().sum()), _qrels_blocks(task))


def _run_blocks(task: Task, ranking: Ranking, name: str) -> Iterator[str]:
    k = ranking.places.shape[1]
    ids = [picture.image_id for picture in task.gallery]
    for query, places in zip(task.queries, ranking.places.tolist(), strict=True):
        yield "".join(
            f"{query.image_id} Q0 {ids[place]} {rank} {k - rank + 1} {name}\n"
            for rank, place in enumerate(places, start=1)
            if place >= 0
        )


def _qrels_blocks(task: Task) -> Iterator[str]:
    ends = [f" 0 {picture.image_id} 1\n" for picture in task.gallery]
    for row, query in enumerate(task.queries):
        yield "".join([f"{query.image_id}{ends[place]}" for place in task.relevant(row).tolist()])


def _write(path: Path, lines: int, blocks: Iterator[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if lines <= PLAIN_LINES_MAX:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(blocks)
        return path
    path = path.with_name(f"{path.name}.gz")
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as compressed:
        compressed.writelines(blocks)
    return path
