"""Why nothing of an image is indexed: the dead letters are looked through, for as long as an answer may take."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from shared.dead_letter import Refusal, refusal_of
from shared.event_log import LogScanner


@dataclass(frozen=True, slots=True)
class Refusals:
    """Looks through the dead letters, which have no index: they are few where all is well."""

    open_scanner: Callable[[], LogScanner]
    seconds: float
    clock: Callable[[], float] = time.monotonic

    def last_of(self, image_id: str) -> tuple[Refusal | None, bool]:
        """The last refusal of an event of this image, and whether all letters were looked at within the time.

        EventLogUnavailableError, ConfigurationError.
        """
        deadline, last = self.clock() + self.seconds, None
        with closing(self.open_scanner()) as scanner:
            for record in scanner.scan():
                found = refusal_of(record, image_id)
                if found is not None and (last is None or found.at_ms >= last.at_ms):
                    last = found
                if self.clock() > deadline:
                    return last, False
        return last, True
