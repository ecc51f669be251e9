"""A clock for workbenches, and how long their databases may take."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SECONDS = 5.0


@dataclass
class Clock:
    """Stands still until a test moves it."""

    moment: datetime = datetime(2026, 11, 21, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment

    def advance(self) -> None:
        self.moment += timedelta(milliseconds=1)
