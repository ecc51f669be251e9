"""What the simulated analyst's work comes to: medians, tables, and a plot of precision by feedback rounds."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

PAGE = 20
SHARES = (0.5, 0.8, 0.95)
SAMPLE = 100
PRECISION_AT = 50
# Grey of the middle can be read on a light page and on a dark one.
_INK = "#7a7a7a"
_COLOURS = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")

Judgements = dict[float, int]
"""By share of the relevant pictures, how many judgements it took to find it."""


@dataclass(frozen=True, slots=True)
class Start:
    """A seed of a concept, and all pictures of the concept but the seed."""

    concept: str
    seed: str
    relevant: frozenset[str]


@dataclass(frozen=True, slots=True)
class Told:
    """What a sample tells of how many are left, and how many there are."""

    estimate: float
    low: int
    high: int
    recall_low: float
    left: int


@dataclass(frozen=True, slots=True)
class Work:
    """What was measured, for each start: judgements by way, what the sample told, and precision by round."""

    judgements: Mapping[str, list[Judgements]]
    told: list[Told]
    precision: list[list[float]]


@dataclass(frozen=True, slots=True)
class Row:
    """A collection's figures; `judgements` by way and share are medians over the starts, `ratios` geometric means.

    `worse` is the share of concepts that need more judgements than the plain ranking (geometric mean over the starts),
    `worse_by_a_tenth` of those that need more than a tenth more.
    `held` is the share of samples whose limits hold, `bias` the mean of estimate less truth, `width` and `recall_low`
    are medians. `precision` and `precision_best` are means, by round.
    """

    collection: str
    pictures: int
    concepts: int
    starts: int
    judgements: Mapping[str, Mapping[float, float]]
    ratios: Mapping[float, float]
    worse: float
    worse_by_a_tenth: float
    held: float
    bias: float
    width: float
    recall_low: float
    precision: Sequence[float]
    precision_best: float


def summary(name: str, pictures: int, starts: Sequence[Start], done: Work) -> Row:
    """Medians, and the workbench against the plain ranking."""
    found = done.judgements
    sizes = [len(start.relevant) for start in starts]
    others = pictures - 1
    judgements: dict[str, dict[float, float]] = {
        way: {share: float(np.median([one[share] for one in ones])) for share in SHARES} for way, ones in found.items()
    }
    # Where r of n are relevant, the j-th of them comes at place j (n + 1) / (r + 1) of a random order on average.
    judgements["random"] = {
        share: float(np.median([math.ceil(share * size) * (others + 1) / (size + 1) for size in sizes]))
        for share in SHARES
    }
    judgements["perfect"] = {share: float(np.median([math.ceil(share * size) for size in sizes])) for share in SHARES}
    pairs = list(zip(found["workbench"], found["plain ranking"], strict=True))
    ratios = {share: math.exp(float(np.mean([math.log(a[share] / b[share]) for a, b in pairs]))) for share in SHARES}
    by_concept: defaultdict[str, list[float]] = defaultdict(list)
    for start, (ours, plain) in zip(starts, pairs, strict=True):
        by_concept[start.concept].append(math.log(ours[SHARES[-1]] / plain[SHARES[-1]]))
    means = np.array([np.mean(logarithms) for logarithms in by_concept.values()])
    return Row(
        name,
        pictures,
        len(by_concept),
        len(starts),
        judgements,
        ratios,
        worse=float(np.mean(means > 0)),
        worse_by_a_tenth=float(np.mean(means > math.log(1.1))),
        held=float(np.mean([one.low <= one.left <= one.high for one in done.told])),
        bias=float(np.mean([one.estimate - one.left for one in done.told])),
        width=float(np.median([one.high - one.low for one in done.told])),
        recall_low=float(np.median([one.recall_low for one in done.told])),
        precision=[float(mean) for mean in np.mean(done.precision, axis=0)],
        precision_best=float(np.mean([min(size, PRECISION_AT) / PRECISION_AT for size in sizes])),
    )


def table(rows: Sequence[Row]) -> str:
    """The figures as Markdown."""
    lines = [
        "| collection | judgements to find | 50 % | 80 % | 95 % |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        title = f"{row.collection}: {row.pictures:,} pictures, {row.concepts} concepts, {row.starts} starts"
        for way in ("workbench", "plain ranking", "random", "perfect"):
            cells = " | ".join(f"{row.judgements[way][share]:,.0f}" for share in SHARES)
            lines.append(f"| {title} | {way} | {cells} |")
            title = ""
        cells = " | ".join(f"{row.ratios[share]:.2f}" for share in SHARES)
        lines.append(f"| | workbench / plain ranking, geometric mean | {cells} |")
        lines.append(f"| | concepts that feedback makes worse, at 95 % | | | {row.worse:.0%} |")
        lines.append(f"| | by more than a tenth | | | {row.worse_by_a_tenth:.0%} |")
    return "\n".join(lines)


def table_of_samples(rows: Sequence[Row]) -> str:
    """What the samples told, as Markdown."""
    lines = [
        f"| collection | samples of {SAMPLE} | the limits hold | estimate less truth, mean | high less low, median | "
        "recall at least, median |",
        "| --- |" + " --- |" * 5,
    ]
    for row in rows:
        cells = (f"{row.held:.1%}", f"{row.bias:+.1f}", f"{row.width:.0f}", f"{row.recall_low:.0%}")
        lines.append(f"| {row.collection} | {row.starts} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table_of_precision(rows: Sequence[Row]) -> str:
    """Precision by rounds of feedback, as Markdown."""
    rounds = range(len(rows[0].precision))
    heading = " | ".join(str(count) for count in rounds)
    lines = [
        f"| precision at {PRECISION_AT}, rounds | {heading} | the best possible |",
        "| --- |" + " --- |" * (len(rounds) + 1),
    ]
    for row in rows:
        cells = " | ".join(f"{precision:.2f}" for precision in (*row.precision, row.precision_best))
        lines.append(f"| {row.collection} | {cells} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the precision by rounds, and the best possible. The same figures give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    style: Any = {"svg.hashsalt": "feedback", "svg.fonttype": "none", **dict.fromkeys(_COLOURS, _INK)}
    with mpl.rc_context(style):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.subplots()
        for row in rows:
            (line,) = axes.plot(range(len(row.precision)), row.precision, marker="o", label=row.collection)
            label = f"{row.collection}, the best possible"
            axes.axhline(row.precision_best, color=line.get_color(), linestyle=":", label=label)
        axes.set(xlabel=f"rounds of {PAGE} judgements", ylabel=f"precision at {PRECISION_AT}", ylim=(0, 1.03))
        axes.set_xticks(range(len(rows[0].precision)))
        axes.grid(alpha=0.3)
        axes.legend(labelcolor=_INK, framealpha=0, fontsize="small")
        figure.savefig(path, metadata={"Date": None, "Creator": None}, transparent=True)
