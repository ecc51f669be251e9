"""What an evaluation found, as values; `report` writes it down and `plots` draws it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from searcher.evaluation.curves import Curves
from searcher.evaluation.indexing import IndexingRate
from searcher.evaluation.plan import Method, Plan
from searcher.evaluation.statistics import BitStatistics, ClassVote, Estimate


@dataclass(frozen=True, slots=True, eq=False)
class MethodResult:
    """One method of one variant.

    `image_bytes`: bytes that an image takes. `recall_of_float`: share of the exact float hits that it found. `tied`:
    queries whose cut goes through a tie. What only codes have is None for the others.
    """

    variant: str
    method: Method
    embedder: str
    image_bytes: int
    measures: Mapping[str, Estimate]
    recall_of_float: Estimate
    tied: int
    curves: Curves
    vote: ClassVote | None = None
    encoder: str | None = None
    bits: BitStatistics | None = None
    rate: IndexingRate | None = None

    @property
    def label(self) -> str:
        """Its name, with the variant's in front."""
        return f"{self.variant} {self.method.name}".strip()

    def as_json(self) -> dict[str, Any]:
        """For report.json."""
        return {
            "variant": self.variant,
            "method": self.method.name,
            "embedder": self.embedder,
            "encoder": self.encoder,
            "bytes": self.image_bytes,
            "measures": {name: asdict(estimate) for name, estimate in self.measures.items()},
            "recall_of_float": asdict(self.recall_of_float),
            "queries_tied_at_the_cut": self.tied,
            "knn": None if self.vote is None else asdict(self.vote),
            "bits": None if self.bits is None else _bits(self.bits),
            "indexing": None if self.rate is None else asdict(self.rate),
        }


@dataclass(frozen=True, slots=True)
class VariantSize:
    """How many pictures a variant had on each side; `refused` could not be decoded, or had no finite embedding."""

    gallery: int
    queries: int
    relevant_mean: float
    refused: int


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `commands` made it, `machine` is what it ran on."""

    plan: Plan
    sizes: Mapping[str, VariantSize]
    results: Sequence[MethodResult]
    commands: Sequence[str]
    machine: Mapping[str, str]


def _bits(bits: BitStatistics) -> dict[str, Any]:
    return {
        "entropy": bits.entropy,
        "share_of_ones": {"least": float(bits.ones.min()), "most": float(bits.ones.max())},
        "correlation": {"mean": float(bits.correlations.mean()), "most": float(bits.correlations.max())},
        "distinct_codes": bits.distinct,
    }
