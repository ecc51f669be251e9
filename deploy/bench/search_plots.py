"""The strategies' latencies against the radius as SVG, a file for each number of images, a panel for each bits."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from search_strategies import RADII_PERCENT, STRATEGIES, Cell

_PANEL_INCHES = (3.4, 3.2)
_MARKERS = dict(zip(STRATEGIES, "os^D", strict=True))
# Grey of the middle can be read on a light page and on a dark one.
_INK = "#7a7a7a"


def write_plots(cells: Sequence[Cell], folder: Path) -> list[Path]:
    """Write the plots in place of those that are there; the same cells give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("search-*.svg"):
        old.unlink()
    paths = []
    with mpl.rc_context(
        {
            "svg.hashsalt": "search",
            "svg.fonttype": "none",
            "text.color": _INK,
            "axes.labelcolor": _INK,
            "axes.edgecolor": _INK,
            "xtick.color": _INK,
            "ytick.color": _INK,
        }
    ):
        for images in sorted({cell.images for cell in cells}):
            path = folder / f"search-{images}.svg"
            _plot([cell for cell in cells if cell.images == images]).savefig(
                path, metadata={"Date": None, "Creator": None}, transparent=True
            )
            paths.append(path)
    return paths


def _plot(cells: Sequence[Cell]) -> Figure:
    all_bits = sorted({cell.bits for cell in cells})
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width * len(all_bits) + 0.4, height), layout="constrained")
    panels = figure.subplots(1, len(all_bits), sharey=True, squeeze=False)[0]
    for panel, bits in zip(panels, all_bits, strict=True):
        for strategy in STRATEGIES:
            line = [cell for cell in cells if cell.bits == bits and cell.strategy == strategy]
            if not line:
                continue
            percents = [cell.percent for cell in line]
            panel.plot(percents, [cell.timing.p50 for cell in line], marker=_MARKERS[strategy], label=strategy)
        panel.set_title(f"{cells[0].images:,} × {bits} bits")
        panel.set_xlabel("radius, % of the bits")
        panel.set_xticks(RADII_PERCENT)
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter(NullFormatter())
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("p50, ms")
    panels[-1].legend(labelcolor=_INK, framealpha=0)
    return figure
