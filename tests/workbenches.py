"""A clock for workbenches, how long their databases may take, and a sample to keep in one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from searcher.workbench.estimating import Stratum
from searcher.workbench.samples import NewSample

SECONDS = 5.0
DRAWN = NewSample(
    rule='{"size":3}',
    encoder="encoder-1",
    as_of=datetime(2026, 11, 21, 8, tzinfo=UTC),
    after=0,
    strata=[Stratum(40, 1, 12), Stratum(10**6, 2, 256)],
    images=["b", "a", "ç"],
    of=[1, 0, 1],
)


@dataclass
class Clock:
    """Stands still until a test moves it."""

    moment: datetime = datetime(2026, 11, 21, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self) -> None:
        self.moment += timedelta(milliseconds=1)
