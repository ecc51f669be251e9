"""What the search benchmark finds, as rows of a table: a figure, its peer, and the goal that it is held against."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import rig

K = 100


class Timing(NamedTuple):
    """Percentiles of single queries, in milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Timing":
        """Of the seconds of each query."""
        return cls(rig.percentile(seconds, 0.5) * 1000, rig.percentile(seconds, 0.99) * 1000)

    def __str__(self) -> str:
        return f"{shown(self.p50)} / {shown(self.p99)} ms"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: the goal is reached where `value` is no more than `goal`; without a goal it is only told.

    `measured` and `beside` are for people; `beside` is the peer, or what else happened meanwhile.
    """

    what: str
    measured: str
    beside: str
    value: float
    goal: float | None

    @property
    def verdict(self) -> str:
        """Whether the goal is reached."""
        if self.goal is None:
            return ""
        return "reached" if self.value <= self.goal else "not reached"

    def text(self) -> str:
        """On one line."""
        goal = "" if self.goal is None else f" (goal {self.goal:g}: {self.verdict})"
        return "; ".join(part for part in (self.measured, self.beside, f"{shown(self.value)}{goal}") if part)

    def figures(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self) | {"verdict": self.verdict}


def ratio_row(what: str, measured: Timing, peer_name: str, peer: Timing, goal: float | None) -> Row:
    """A row whose value is the ratio of the medians."""
    return Row(what, str(measured), f"{peer_name}: {peer}", measured.p50 / peer.p50, goal)


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| what | p50 / p99 | beside | ratio or value | goal | |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        goal = "" if row.goal is None else f"≤ {row.goal:g}"
        lines.append(f"| {row.what} | {row.measured} | {row.beside} | {shown(row.value)} | {goal} | {row.verdict} |")
    return "\n".join(lines)


def shown(value: float) -> str:
    """Three digits that count, without an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"
