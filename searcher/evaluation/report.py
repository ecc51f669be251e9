"""Writes a report down: report.md and report.json in the out folder, and the table on the terminal."""

import importlib.metadata
import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from searcher.evaluation.measures import map_names
from searcher.evaluation.results import MethodResult, Report
from searcher.evaluation.statistics import Estimate
from searcher.resident.index import usable_cores
from shared.terminal import cell

_LIBRARIES = ("numpy", "torch", "onnxruntime", "ir-measures")
_CLASSES_TOLD_MAX = 50
_NOTES = """\
- Means over the queries; in brackets the 95 % interval of 1,000 bootstrap resamples of the queries.
- `AP@k` is trec_eval's map_cut: divided by all relevant pictures. `AP@k/min(k,R)` is divided by how many of these can
  be among k hits, `AP@k/found` by how many are. RR is the reciprocal rank of the first relevant hit, Success@20 the
  share of queries with a relevant picture among 20 hits ("top-20 accuracy").
- Hits are in the searcher's order: distance, then image id. Ids begin with a digest, so that ties favour no class;
  trec_eval is given scores that fall strictly in this order. *Tied* is the share of queries whose cut at k goes through
  a tie.
- *Recall of float* is the share of the exact k nearest by cosine of the same embeddings that are among the k hits.
- *Images/s* is the whole command `indexer run`, its start included; "cached" where embeddings were not computed anew.
"""


def write_report(report: Report, figures: Sequence[Path], out: Path) -> None:
    """Write report.json and report.md."""
    plan = report.plan
    rules = asdict(plan.rules)
    content = {
        "title": plan.title,
        "dataset": plan.dataset,
        "rules": rules,
        "k": plan.k,
        "variants": {name: asdict(size) for name, size in report.sizes.items()},
        "settings": {variant.name: dict(variant.settings) for variant in plan.variants},
        "commands": list(report.commands),
        "machine": dict(report.machine),
        "methods": [result.as_json() for result in report.results],
    }
    (out / "report.json").write_text(json.dumps(content, indent=1, sort_keys=False) + "\n")
    (out / "report.md").write_text("\n".join(_markdown(report, figures, out)) + "\n", encoding="utf-8")


def print_report(report: Report, console: Console) -> None:
    """The most telling columns as a table."""
    k = report.plan.k
    names = [map_names(k)[1], "P@10", "RR", "Success@20"]
    table = Table(box=None, header_style="bold", pad_edge=False, title=report.plan.title)
    table.add_column("method", no_wrap=True)
    for heading in ("bytes", *names, "recall of float", "images/s"):
        table.add_column(heading, justify="right")
    for result in report.results:
        measures = [f"{result.measures[name].mean:.3f}" for name in names]
        row = [
            result.label,
            str(result.image_bytes),
            *measures,
            f"{result.recall_of_float.mean:.3f}",
            _rate(result).removesuffix(" cached"),
        ]
        table.add_row(*map(cell, row))
    console.print(table)


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    versions = []
    for name in _LIBRARIES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    found = {"processor": _processor(), "cores": str(usable_cores()), "python": platform.python_version()}
    if hasattr(os, "sysconf"):
        found["memory"] = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    return found | {"libraries": ", ".join(versions)}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


# Markdown -------------------------------------------------------------------------------------------------------------


def _markdown(report: Report, figures: Sequence[Path], out: Path) -> Iterator[str]:
    yield f"# {report.plan.title}\n"
    yield from _what(report)
    yield "\n## Quality\n"
    yield from _table(report.results, list(report.results[0].measures))
    yield "\n" + _NOTES
    yield "## Size, speed and codes\n"
    yield from _cost_table(report)
    if any(result.vote for result in report.results):
        yield f"\n## Classes by {report.plan.knn} nearest neighbours\n"
        yield from _votes(report.results)
    yield "\n## Plots and pictures\n"
    yield from (f"![{path.stem}]({path.relative_to(out).as_posix()})" for path in figures)
    yield "\nThe best and the worst queries of each method, with their hits, are in `grids/`; `trec/` has a run of each"
    yield "method and the qrels, for any other tool.\n"
    yield "## Made by\n\n```"
    yield from report.commands
    yield "```\n"
    yield ", ".join(f"{name}: {value}" for name, value in report.machine.items()) + "."


def _what(report: Report) -> Iterator[str]:
    rules = report.plan.rules
    relevance = ", ".join(rules.relevance)
    yield f"Collection: `{report.plan.dataset}`. Queries: `{rules.queries}`. Relevant: same {relevance}."
    yield f"k = {report.plan.k}, seed {rules.seed}" + (f", limit {rules.limit}." if rules.limit else ".")
    yield ""
    if (rules.queries == "all" or rules.queries.isdecimal()) and _is_trained(report):
        yield "**The queries are indexed, so codes were learned from them: `--queries held-out:N` asks fairly.**\n"
    for name, size in report.sizes.items():
        refused = f"; {size.refused} pictures were refused" if size.refused else ""
        yield (
            f"- {name or 'All methods'}: {size.gallery} images indexed, {size.queries} queries with at least one "
            f"relevant image, {size.relevant_mean:.1f} on average{refused}."
        )


def _is_trained(report: Report) -> bool:
    return any(result.method.is_trained for result in report.results)


def _table(results: Sequence[MethodResult], names: Sequence[str]) -> Iterator[str]:
    yield "| method | " + " | ".join(f"{name}" for name in names) + " | recall of float |"
    yield "| --- |" + " --- |" * (len(names) + 1)
    for result in results:
        cells = [_interval(result.measures[name]) for name in names]
        yield f"| {_plain(result.label)} | " + " | ".join([*cells, _interval(result.recall_of_float)]) + " |"


def _cost_table(report: Report) -> Iterator[str]:
    columns = "method", "embedder", "bytes an image", "images/s", "tied", "entropy of a bit", "correlation of two"
    yield "| " + " | ".join((*columns, "distinct codes")) + " |"
    yield "| --- |" + " --- |" * len(columns)
    for result in report.results:
        bits = result.bits
        told = (
            ["", "", ""]
            if bits is None
            else [f"{bits.entropy:.3f}", f"{bits.correlations.mean():.3f}", str(bits.distinct)]
        )
        tied = f"{result.tied / report.sizes[result.variant].queries:.0%}"
        cells = [_plain(result.label), f"`{result.embedder}`", str(result.image_bytes), _rate(result), tied, *told]
        yield "| " + " | ".join(cells) + " |"


def _votes(results: Sequence[MethodResult]) -> Iterator[str]:
    voted = [(result, result.vote) for result in results if result.vote is not None]
    classes = list(voted[0][1].by_class)
    yield "| class | queries | " + " | ".join(_plain(result.label) for result, _ in voted) + " |"
    yield "| --- |" + " --- |" * (len(voted) + 1)
    queries = sum(count for _, count in voted[0][1].by_class.values())
    yield f"| all | {queries} | " + " | ".join(f"{vote.accuracy:.3f}" for _, vote in voted) + " |"
    for name in classes[:_CLASSES_TOLD_MAX]:
        shares = [f"{vote.by_class[name][0]:.3f}" if name in vote.by_class else "" for _, vote in voted]
        yield f"| {_plain(name)} | {voted[0][1].by_class[name][1]} | " + " | ".join(shares) + " |"
    if len(classes) > _CLASSES_TOLD_MAX:
        yield f"\n{len(classes) - _CLASSES_TOLD_MAX} more classes are in report.json."


def _interval(estimate: Estimate) -> str:
    return f"{_figure(estimate.mean)} [{_figure(estimate.low)}, {_figure(estimate.high)}]"


def _figure(value: float) -> str:
    # Divided by thousands of relevant pictures, a MAP needs more digits.
    return f"{value:.4f}" if abs(value) < 0.05 else f"{value:.3f}"


def _rate(result: MethodResult) -> str:
    if result.rate is None:
        return ""
    return f"{result.rate.pictures / result.rate.seconds:.0f}" + ("" if result.rate.cold else " cached")


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
