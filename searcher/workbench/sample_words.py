"""What a sample tells, as sentences for an analyst."""

from searcher.workbench.sample_wire import EstimateReply, LeftReply


def words_of(estimate: EstimateReply, *, radius: int | None) -> list[str]:
    """Sentences, the most important first; `radius` where only images within so many bits could be drawn."""
    if estimate.left is None:
        return [
            f"{estimate.judged} of {estimate.drawn} are judged. The estimate comes once all are: looking sooner would "
            "let a lucky start decide."
        ]
    return [*_left(estimate, estimate.left), *_scope(estimate, radius), *_doubts(estimate)]


def _left(estimate: EstimateReply, left: LeftReply) -> list[str]:
    confidence = f"{estimate.confidence * 100:.5g} %"
    recall = f"You have found at least {(estimate.recall_low or 0) * 100:.0f} % of all relevant ones."
    return [
        f"About {left.estimate:,.0f} relevant pictures are left; with {confidence} confidence between {left.low:,} and "
        f"{left.high:,}. {recall}",
        f"Of {estimate.images:,} pictures that nobody had judged when the sample was drawn, {estimate.drawn} were "
        f"drawn by chance; {estimate.relevant} of these are relevant.",
    ]


def _scope(estimate: EstimateReply, radius: int | None) -> list[str]:
    if radius is not None:
        return [
            f"Pictures further than {radius} bits from what is relevant could not be drawn: it says nothing of them."
        ]
    if estimate.images > 50 * estimate.drawn:
        return [
            f"So small a sample can't see what is rarer than one in {max(1, round(estimate.drawn / 3.7)):,}: a larger "
            "one, or one of the nearest pictures alone, tells more."
        ]
    return []


def _doubts(estimate: EstimateReply) -> list[str]:
    doubts = []
    if estimate.gone:
        doubts.append(
            f"{estimate.gone} of the drawn pictures were deleted or left the window before they were judged; they "
            "count as not relevant, for there is nothing left to find."
        )
    if estimate.unsure:
        doubts.append(
            f"{estimate.unsure} of the drawn pictures are unsure: the lower number takes them for not relevant, the "
            "upper for relevant."
        )
    if estimate.drawn_before:
        doubts.append(
            f"This is sample {estimate.drawn_before + 1} of the case. Each takes half the risk of the one before, so "
            "it has wider limits: however often you draw before you stop, all are right in at least 90 % of all cases."
        )
    return doubts
