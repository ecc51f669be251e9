"""The two logs that a worker process reads, and what of the bounds in the settings each may hold."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Duty:
    """Which log a worker reads: `log` is a label of metrics, `dependency` what is waited for while it can't be read."""

    log: str
    dependency: str
    share: float
    """How much it may hold of what the settings allow to be in flight, 0 to 1."""


EVENTS = Duty("events", "event_log", 1)
# Most of what is held there only waits until it is due; the rest of the log waits where it lies.
RETRIES = Duty("retries", "retries_log", 1 / 4)
