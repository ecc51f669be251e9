"""How many judgements it takes to find everything: a simulated analyst works on cases of the workbench.

Each case starts from one picture of a concept. The analyst judges what is shown by the ground truth, twenty pictures at
a time, until 95 % of the concept's pictures are found. `workbench` shows what a case says is next; `plain ranking`
pages down the nearest of the seed, which is all that a nearest-neighbour query gives; `random` is chance; `perfect`
shows nothing but relevant pictures. Nothing is trained on the concepts.

When 95 % are found, a sample is drawn and judged, and what it tells is held to the truth. Beside that, feedback is
looked at round by round: how many of the 50 pictures that a case would give are relevant (those that it knows to be
relevant, then what it shows next), after so many rounds of twenty judgements.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import rig
from find_everything_report import (
    PAGE,
    PRECISION_AT,
    SAMPLE,
    SHARES,
    Judgements,
    Row,
    Start,
    Told,
    Work,
    draw,
    summary,
    table,
    table_of_precision,
    table_of_samples,
)

from searcher.evaluation.asking import searcher_in_memory
from searcher.evaluation.collection import Picture, read_collection
from searcher.evaluation.indexing import write_gallery
from searcher.search import Searcher
from searcher.wire import SearchRequest, Seed
from searcher.workbench.casework import Casework
from searcher.workbench.desk import Desk
from searcher.workbench.records import Verdict
from searcher.workbench.sample_wire import SampleRequest
from searcher.workbench.sampling import Sampling
from searcher.workbench.wire import JudgedImage, JudgeRequest, NewCase, NextRequest
from searcher.workbench.workbench import Workbench
from shared.settings import Settings
from shared.terminal import progress
from tests.figures import write_block

_ROOT = Path(__file__).parents[2]
_RELEVANT_MIN = 4
_CONCEPTS = {"magento": "style", "clothing": "category"}
_ROUNDS = 3


def main() -> None:
    """Run and report."""
    parser = rig.parser(__doc__ or "")
    parser.add_argument("--collection", help="magento, clothing, or a CSV file (default: the first two)")
    parser.add_argument("--concept", help="the column that names the concept")
    parser.add_argument("--concepts", type=int, default=150, help="concepts, at most (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="starts for each concept (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="put the tables into README.md and WORKBENCH.md")
    arguments = parser.parse_args()
    names = [arguments.collection] if arguments.collection else list(_CONCEPTS)
    rows = [
        measure(name, arguments.concept or _CONCEPTS.get(name, "category"), arguments.concepts, arguments.seeds)
        for name in names
    ]
    shown = f"{table(rows)}\n\n{table_of_samples(rows)}\n\n{table_of_precision(rows)}"
    print(json.dumps([asdict(row) for row in rows], indent=2) if arguments.json else shown)
    if arguments.write:
        write_block(_ROOT / "README.md", "find-everything", table(rows))
        write_block(_ROOT / "WORKBENCH.md", "how-much-is-left", table_of_samples(rows))
        write_block(_ROOT / "WORKBENCH.md", "feedback", table_of_precision(rows))
        draw(rows, Path(__file__).with_name("plots") / "feedback.svg")


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
        settings = Settings(_env_file=None, **bench.settings)  # type: ignore[arg-type]
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


async def work(settings: Settings, starts: Sequence[Start]) -> Work:
    """Judge from each start, by each way."""
    found: dict[str, list[Judgements]] = {"workbench": [], "plain ranking": []}
    done = Work(found, [], [])
    async with searcher_in_memory(settings, lambda: datetime.now(UTC)) as (parts, index):
        searcher = Searcher(parts, settings)
        with closing(Desk(lambda: Workbench.of(settings, parts.now), 60.0)) as desk:
            casework = Casework(parts, searcher, desk)
            sampling = Sampling(parts.backend, searcher, desk, np.random.default_rng(0))
            with progress("working on cases", len(starts)) as advance:
                for start in starts:
                    found["plain ranking"].append(await judge(start, await plain_ranking(searcher, start, len(index))))
                    case_id, show = await a_case(casework, start)
                    found["workbench"].append(await judge(start, show))
                    done.told.append(await how_much_is_left(casework, sampling, case_id, start))
                    done.precision.append(await precision_by_round(casework, start))
                    advance(1)
    return done


async def judge(start: Start, show: Callable[[Sequence[tuple[str, bool]]], Awaitable[Sequence[str]]]) -> Judgements:
    """Judge page by page; `show` is told the last page's judgements and gives the next page."""
    judgements: Judgements = {}
    judged: list[tuple[str, bool]] = []
    count = found = 0
    while page := await show(judged):
        judged = [(image_id, image_id in start.relevant) for image_id in page]
        for _, relevant in judged:
            count, found = count + 1, found + relevant
            for share in SHARES:
                if found >= share * len(start.relevant):
                    judgements.setdefault(share, count)
        if len(judgements) == len(SHARES):
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
        return list(islice(pages, PAGE))

    return show


async def a_case(
    casework: Casework, start: Start
) -> tuple[str, Callable[[Sequence[tuple[str, bool]]], Awaitable[Sequence[str]]]]:
    """A case of the workbench, and what it says is next; the seed itself is judged already."""
    opened = await casework.open_case(NewCase(name=start.concept, seeds=[Seed(image_id=start.seed)]), "analyst")
    await say(casework, opened.case_id, [(start.seed, True)])

    async def show(judged: Sequence[tuple[str, bool]]) -> Sequence[str]:
        await say(casework, opened.case_id, judged)
        reply = await casework.next_images(opened.case_id, NextRequest(k=PAGE))
        return [hit.image_id for hit in reply.hits]

    return opened.case_id, show


async def say(casework: Casework, case_id: str, judged: Sequence[tuple[str, bool]]) -> None:
    """Judge these images."""
    said = [
        JudgedImage(image_id=image_id, verdict=Verdict.RELEVANT if relevant else Verdict.NOT_RELEVANT)
        for image_id, relevant in judged
    ]
    if said:
        await casework.judge(case_id, JudgeRequest(judgements=said), "analyst")


async def how_much_is_left(casework: Casework, sampling: Sampling, case_id: str, start: Start) -> Told:
    """Draw a sample, judge it, and ask."""
    sample = await sampling.draw(case_id, SampleRequest(size=SAMPLE), "analyst")
    await say(casework, case_id, [(image_id, image_id in start.relevant) for image_id in sample.image_ids])
    told = await sampling.estimate(case_id)
    assert told.left is not None
    assert told.recall_low is not None
    # The seed is found, too, and is no part of what there is to find.
    left = len(start.relevant) - (told.found - 1)
    return Told(told.left.estimate, told.left.low, told.left.high, told.recall_low, left)


async def precision_by_round(casework: Casework, start: Start) -> list[float]:
    """The share of relevant ones among the best pictures after each number of rounds, from none."""
    case_id, _ = await a_case(casework, start)
    precision: list[float] = []
    known = 0
    for _ in range(_ROUNDS + 1):
        reply = await casework.next_images(case_id, NextRequest(k=PRECISION_AT))
        shown = [(hit.image_id, hit.image_id in start.relevant) for hit in reply.hits]
        best = known + sum(relevant for _, relevant in shown[: max(0, PRECISION_AT - known)])
        precision.append(min(best, PRECISION_AT) / PRECISION_AT)
        await say(casework, case_id, shown[:PAGE])
        known += sum(relevant for _, relevant in shown[:PAGE])
    return precision


if __name__ == "__main__":
    main()
