"""What goes over the wire about samples and what they tell."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from searcher.wire import Filters, shown_time
from searcher.workbench.estimating import Limits
from searcher.workbench.samples import Sample
from shared.hash_code import BITS_MAX

SAMPLE_MAX = 2000


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class SampleRequest(Filters):
    """A sample to draw of the images that nobody judged in the case and that the filters let through.

    With `radius` only of those that lie at most so many bits from a relevant code: it then says nothing of the others.
    """

    size: Annotated[int, Field(ge=10, le=SAMPLE_MAX)] = 100
    radius: Annotated[int, Field(ge=0, le=BITS_MAX)] | None = None


class SampleReply(_Wire):
    """A sample: `image_ids` in the order in which to judge them, which tells nothing, drawn from so many `images`."""

    sample_id: str
    drawn_at: str
    as_of: Annotated[str, Field(description="What the store had acknowledged by then could be drawn.")]
    encoder: str
    images: int
    image_ids: list[str]
    drawn_before: Annotated[int, Field(description="Samples of this case that were drawn before this one.")]

    @classmethod
    def of(cls, sample: Sample) -> "SampleReply":
        """The same as it is answered."""
        drawn = sample.drawn
        return cls(
            sample_id=sample.sample_id,
            drawn_at=shown_time(sample.drawn_at),
            as_of=shown_time(drawn.as_of),
            encoder=drawn.encoder,
            images=sum(stratum.images for stratum in drawn.strata),
            image_ids=list(drawn.images),
            drawn_before=sample.drawn_before,
        )


class LeftReply(_Wire):
    """How many relevant images are not found yet: the estimate, and its limits."""

    estimate: float
    low: int
    high: int

    @classmethod
    def of(cls, limits: Limits, found: int) -> "LeftReply":
        """What is left of all, where so many of these are found."""
        return cls(
            estimate=max(0.0, limits.estimate - found),
            low=max(0, limits.low - found),
            high=max(0, limits.high - found),
        )


class StratumReply(_Wire):
    """One of the parts from which the sample was drawn: `images` of which `drawn`, at most `up_to` bits away."""

    up_to: int
    images: int
    drawn: int
    relevant: int


class EstimateReply(_Wire):
    """What the last sample tells. `left`, `recall_low` and `strata` are null until all of it is judged.

    `relevant` and `unsure` are of the sample, `gone` those that were deleted or left the window before they were
    judged. `found` counts the case's relevant images. `words` say the same as sentences.
    """

    sample_id: str
    drawn_at: str
    drawn_before: int
    images: int
    drawn: int
    judged: int
    gone: int
    relevant: int
    unsure: int
    found: int
    confidence: float
    left: LeftReply | None
    recall_low: Annotated[float | None, Field(description="At least this share of all relevant images is found.")]
    strata: list[StratumReply] | None
    words: list[str]
