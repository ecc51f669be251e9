"""The plots of a report, as SVG that can be read on a light page and on a dark one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searcher.evaluation.curves import RECALL_LEVELS
from searcher.evaluation.measures import map_names
from searcher.evaluation.results import MethodResult
from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INK = "#7a7a7a"
_STYLE: Any = {
    "svg.hashsalt": "evaluation",
    "svg.fonttype": "none",
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_PANEL_INCHES = (4.2, 3.4)

Results = Sequence[MethodResult]


def draw_plots(results: Results, k: int, folder: Path) -> list[Path]:
    """Draw them all in place of those that are there; those of codes only where there are codes.

    ConfigurationError where the extra `evaluate` is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    codes = [result for result in results if result.bits is not None]
    paths = [
        _draw(folder / "precision-recall.svg", [lambda axes: _precision_recall(axes, results)]),
        _draw(folder / "distances.svg", [_distances(result) for result in results]),
    ]
    sizes = [lambda axes: _quality(axes, results, k, 1, "bytes an image")]
    if codes:
        sizes.append(lambda axes: _quality(axes, codes, k, 8, "bits of the code"))
        paths.append(_draw(folder / "recall-against-radius.svg", [lambda axes: _recall_against_radius(axes, codes)]))
        panels = [lambda axes: _balance(axes, codes), lambda axes: _correlation(axes, codes)]
        paths.append(_draw(folder / "bits.svg", panels))
    paths.append(_draw(folder / "quality-against-size.svg", sizes))
    return paths


def _draw(path: Path, panels: Sequence[Callable[["Axes"], None]]) -> Path:
    try:
        import matplotlib as mpl  # noqa: PLC0415 (an optional library)
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"to evaluate, the extra `evaluate` is needed: pip install 'catalogue-indexer[evaluate]' ({error})"
        ) from error
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    width, height = _PANEL_INCHES
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
        for panel, one in zip(panels, axes, strict=False):
            panel(one)
            one.grid(alpha=0.3)
        for one in axes[len(panels) :]:
            one.remove()
        figure.savefig(path, metadata={"Date": None, "Creator": None}, transparent=True)
    return path


def _precision_recall(axes: "Axes", results: Results) -> None:
    for result in results:
        axes.plot(RECALL_LEVELS, result.curves.precision, label=result.label)
    axes.set(xlabel="recall", ylabel="precision (interpolated)", ylim=(0, 1.02), title="Precision and recall")
    _legend(axes)


def _recall_against_radius(axes: "Axes", codes: Results) -> None:
    for result in codes:
        (line,) = axes.plot(result.curves.radii, result.curves.recall, label=result.label)
        axes.plot(result.curves.radii, result.curves.returned, color=line.get_color(), linestyle=":")
    axes.set(xlabel="radius, share of the bits", ylabel="share within", title="Relevant (line) and all pictures (dots)")
    _legend(axes)


def _distances(result: MethodResult) -> Callable[["Axes"], None]:
    def panel(axes: "Axes") -> None:
        curves = result.curves
        axes.fill_between(curves.radii, curves.relevant, step="mid", alpha=0.5, label="relevant pairs")
        axes.fill_between(curves.radii, curves.others, step="mid", alpha=0.5, label="other pairs")
        what = "share of the bits" if result.bits is not None else "(1 - cosine) / 2"
        axes.set(xlabel=f"distance, {what}", ylabel="share of pairs", title=result.label)
        _legend(axes)

    return panel


def _quality(axes: "Axes", results: Results, k: int, scale: int, what: str) -> None:
    """A line for each variant and kind of method, over its sizes; `scale` is the unit of `what` in a byte."""
    name = map_names(k)[1]
    for variant, kind in dict.fromkeys((result.variant, result.method.kind) for result in results):
        line = [result for result in results if (result.variant, result.method.kind) == (variant, kind)]
        line.sort(key=lambda result: result.image_bytes)
        estimates = [result.measures[name] for result in line]
        errors = [[max(0, one.mean - one.low) for one in estimates], [max(0, one.high - one.mean) for one in estimates]]
        axes.errorbar(
            [result.image_bytes * scale for result in line],
            [one.mean for one in estimates],
            yerr=errors,
            marker="o",
            label=f"{variant} {kind}".strip(),
        )
    axes.set(xlabel=what, ylabel=f"M{name}", title="Quality and size")
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    _legend(axes)


def _balance(axes: "Axes", codes: Results) -> None:
    for result in codes:
        if result.bits is not None:
            ones = sorted(result.bits.ones.tolist())
            axes.plot([(place + 0.5) / len(ones) for place in range(len(ones))], ones, label=result.label)
    axes.set(xlabel="bits, by share of ones", ylabel="share of ones", ylim=(0, 1), title="Balance of bits")
    _legend(axes)


def _correlation(axes: "Axes", codes: Results) -> None:
    for result in codes:
        if result.bits is not None:
            axes.hist(
                result.bits.correlations, bins=50, range=(0, 1), density=True, histtype="step", label=result.label
            )
    axes.set(xlabel="absolute correlation of two bits", ylabel="density", title="Correlation of bits")
    _legend(axes)


def _legend(axes: "Axes") -> None:
    axes.legend(labelcolor=_INK, framealpha=0, fontsize="x-small")
