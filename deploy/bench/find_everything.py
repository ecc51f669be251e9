"""How many judgements it takes to find everything: a simulated analyst works on cases of the workbench.

Each case starts from one picture of a concept. The analyst judges what is shown by the ground truth, twenty pictures at
a time, until 95 % of the concept's pictures are found. `workbench` shows what a case says is next; `plain ranking`
pages down the nearest of the seed, which is all that a nearest-neighbour query gives; `random` is chance; `perfect`
shows nothing but relevant pictures. Nothing is trained on the concepts.
"""

import asyncio
import json
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import rig

from searcher.evaluation.asking import searcher_in_memory
from searcher.evaluation.collection import Picture, read_collection
from searcher.evaluation.indexing import write_gallery
from searcher.search import Searcher
from searcher.wire import SearchRequest, Seed
from searcher.workbench.casework import Casework
from searcher.workbench.desk import Desk
from searcher.workbench.records import Verdict
from searcher.workbench.wire import JudgedImage, JudgeRequest, NewCase, NextRequest
from searcher.workbench.workbench import Workbench
from shared.settings import Settings
from shared.terminal import progress
from tests.figures import write_block

_PAGE = 20
_SHARES = (0.5, 0.8, 0.95)
_RELEVANT_MIN = 4
_CONCEPTS = {"magento": "style", "clothing": "category"}

Judgements = dict[float, int]
"""By share of the relevant pictures, how many judgements it took to find it."""


@dataclass(frozen=True, slots=True)
class Start:
    """A seed of a concept, and all pictures of the concept but the seed."""

    concept: str
    seed: str
    relevant: frozenset[str]


@dataclass(frozen=True, slots=True)
class Row:
    """A collection's figures; `judgements` by way and share are medians over the starts, `ratios` geometric means."""

    collection: str
    pictures: int
    concepts: int
    starts: int
    judgements: Mapping[str, Mapping[float, float]]
    ratios: Mapping[float, float]
    worse: float


def main() -> None:
    """Run and report."""
    parser = rig.parser(__doc__ or "")
    parser.add_argument("--collection", help="magento, clothing, or a CSV file (default: the first two)")
    parser.add_argument("--concept", help="the column that names the concept")
    parser.add_argument("--concepts", type=int, default=150, help="concepts, at most (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=2, help="starts for each concept (default: %(default)s)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document")
    arguments = parser.parse_args()
    names = [arguments.collection] if arguments.collection else list(_CONCEPTS)
    rows = [
        measure(name, arguments.concept or _CONCEPTS.get(name, "category"), arguments.concepts, arguments.seeds)
        for name in names
    ]
    print(json.dumps([asdict(row) for row in rows], indent=2) if arguments.json else table(rows))
    if arguments.write:
        write_block(arguments.write, "find-everything", table(rows))


def measure(name: str, concept: str, concepts: int, seeds: int) -> Row:
    """Index a collection with the project's commands, and work on it."""
    data = rig.data_dir()
    pictures = read_collection(name, data / "data", Path())
    starts = choose_starts(pictures, concept, concepts, seeds)
    network = f"onnx:{data}/models/mobilenet_v1_075_224.onnx#embedding"
    with rig.bench({"embedder": network, "log_level": "warning"}, servers=False) as bench:
        gallery = bench.folder / "gallery.csv"
        write_gallery(pictures, gallery)
        bench.call("indexer", "produce", "--csv", str(gallery), "--inline")
        bench.call("indexer", "fit")
        bench.call("indexer", "run", "--until-caught-up")
        settings = Settings(_env_file=None, **bench.settings, workbench_url=f"sqlite://{bench.folder}/workbench.db")  # type: ignore[arg-type]
        found = asyncio.run(work(settings, starts))
    return summary(name, len(pictures), starts, found)


def choose_starts(pictures: Sequence[Picture], concept: str, concepts: int, seeds: int) -> list[Start]:
    """Some pictures of some concepts with at least four pictures, drawn with a fixed seed."""
    members: defaultdict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        if concept in picture.attributes:
            members[picture.attributes[concept]].append(picture.image_id)
    large = sorted(name for name, ids in members.items() if len(ids) > _RELEVANT_MIN)
    generator = np.random.default_rng(0)
    chosen = generator.permutation(large)[:concepts].tolist()
    return [
        Start(name, seed, frozenset(members[name]) - {seed})
        for name in chosen
        for seed in generator.choice(sorted(members[name]), min(seeds, len(members[name])), replace=False).tolist()
    ]


async def work(settings: Settings, starts: Sequence[Start]) -> dict[str, list[Judgements]]:
    """The judgements of each way for each start."""
    found: dict[str, list[Judgements]] = {"workbench": [], "plain ranking": []}
    async with searcher_in_memory(settings, lambda: datetime.now(UTC)) as (parts, index):
        searcher = Searcher(parts, settings)
        with closing(Desk(lambda: Workbench.of(settings, parts.now), 60.0)) as desk:
            casework = Casework(parts, searcher, desk)
            with progress("working on cases", len(starts)) as advance:
                for start in starts:
                    found["plain ranking"].append(await judge(start, await plain_ranking(searcher, start, len(index))))
                    found["workbench"].append(await judge(start, await a_case(casework, start)))
                    advance(1)
    return found


async def judge(start: Start, show: Callable[[Sequence[tuple[str, bool]]], Awaitable[Sequence[str]]]) -> Judgements:
    """Judge page by page; `show` is told the last page's judgements and gives the next page."""
    judgements: Judgements = {}
    judged: list[tuple[str, bool]] = []
    count = found = 0
    while page := await show(judged):
        judged = [(image_id, image_id in start.relevant) for image_id in page]
        for _, relevant in judged:
            count, found = count + 1, found + relevant
            for share in _SHARES:
                if found >= share * len(start.relevant):
                    judgements.setdefault(share, count)
        if len(judgements) == len(_SHARES):
            return judgements
    raise SystemExit(f"{start.concept}: no further pictures, and {len(start.relevant) - found} not found")


async def plain_ranking(
    searcher: Searcher, start: Start, images: int
) -> Callable[[Sequence[tuple[str, bool]]], Awaitable[Sequence[str]]]:
    """The nearest of the seed, page after page."""
    reply = await searcher.search(SearchRequest(seeds=[Seed(image_id=start.seed)], k=min(images, 1000)))
    hits = [hit.image_id for hit in reply.hits]
    while reply.cursor:
        request = SearchRequest(seeds=[Seed(image_id=start.seed)], k=min(images, 1000), cursor=reply.cursor)
        reply = await searcher.search(request)
        hits += [hit.image_id for hit in reply.hits]
    pages = iter([image_id for image_id in hits if image_id != start.seed])

    async def show(_: Sequence[tuple[str, bool]]) -> Sequence[str]:
        return list(islice(pages, _PAGE))

    return show


async def a_case(casework: Casework, start: Start) -> Callable[[Sequence[tuple[str, bool]]], Awaitable[Sequence[str]]]:
    """What a case of the workbench says is next; the seed itself is judged already."""
    opened = await casework.open_case(NewCase(name=start.concept, seeds=[Seed(image_id=start.seed)]), "analyst")

    async def show(judged: Sequence[tuple[str, bool]]) -> Sequence[str]:
        said = [
            JudgedImage(image_id=image_id, verdict=Verdict.RELEVANT if relevant else Verdict.NOT_RELEVANT)
            for image_id, relevant in judged or [(start.seed, True)]
        ]
        await casework.judge(opened.case_id, JudgeRequest(judgements=said), "analyst")
        reply = await casework.next_images(opened.case_id, NextRequest(k=_PAGE))
        return [hit.image_id for hit in reply.hits]

    return show


def summary(name: str, pictures: int, starts: Sequence[Start], found: Mapping[str, Sequence[Judgements]]) -> Row:
    """Medians, and the workbench against the plain ranking."""
    sizes = [len(start.relevant) for start in starts]
    others = pictures - 1
    judgements: dict[str, dict[float, float]] = {
        way: {share: float(np.median([one[share] for one in ones])) for share in _SHARES} for way, ones in found.items()
    }
    # Where r of n are relevant, the j-th of them comes at place j (n + 1) / (r + 1) of a random order on average.
    judgements["random"] = {
        share: float(np.median([math.ceil(share * size) * (others + 1) / (size + 1) for size in sizes]))
        for share in _SHARES
    }
    judgements["perfect"] = {share: float(np.median([math.ceil(share * size) for size in sizes])) for share in _SHARES}
    pairs = list(zip(found["workbench"], found["plain ranking"], strict=True))
    ratios = {share: math.exp(float(np.mean([math.log(a[share] / b[share]) for a, b in pairs]))) for share in _SHARES}
    by_concept: defaultdict[str, float] = defaultdict(float)
    for start, (ours, plain) in zip(starts, pairs, strict=True):
        by_concept[start.concept] += math.log(ours[_SHARES[-1]] / plain[_SHARES[-1]])
    worse = float(np.mean([logarithm > 0 for logarithm in by_concept.values()]))
    return Row(name, pictures, len(by_concept), len(starts), judgements, ratios, worse)


def table(rows: Sequence[Row]) -> str:
    """The figures as Markdown."""
    lines = [
        "| collection | judgements to find | 50 % | 80 % | 95 % |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        title = f"{row.collection}: {row.pictures:,} pictures, {row.concepts} concepts, {row.starts} starts"
        for way in ("workbench", "plain ranking", "random", "perfect"):
            cells = " | ".join(f"{row.judgements[way][share]:,.0f}" for share in _SHARES)
            lines.append(f"| {title} | {way} | {cells} |")
            title = ""
        cells = " | ".join(f"{row.ratios[share]:.2f}" for share in _SHARES)
        lines.append(f"| | workbench / plain ranking, geometric mean | {cells} |")
        lines.append(f"| | concepts that feedback makes worse, at 95 % | | | {row.worse:.0%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
