"""Times the stages of a query."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stopwatch:
    """Seconds of each stage since it was made, and of all together."""

    began: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times the `with` block as a stage."""
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began

    def milliseconds(self) -> dict[str, float]:
        """Every stage, and the total so far."""
        total = time.perf_counter() - self.began
        return {stage: round(seconds * 1000, 3) for stage, seconds in {**self.seconds, "total": total}.items()}
