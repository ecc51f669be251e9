"""Halts the worker before a bad release of a producer empties the event source into the dead letters."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from indexer.planning import Outcome
from shared.errors import BadInputHaltError, RejectionReason
from shared.event_log import Record

_SHARE_OF = 1000
# The others settle nothing, the record comes again; or are letters.
_PASSED = frozenset(Outcome) - {Outcome.RETRIED, Outcome.ABANDONED, Outcome.DEAD_LETTERED}


@dataclass(eq=False, slots=True)
class Attempt:
    """A record that is being processed, and its `outcome` once it has one."""

    outcome: Outcome | None = None
    is_next: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once every record that was begun earlier has an outcome."""
    is_over: bool = False


class DeadLetterLimit:
    """Counts outcomes, and refuses a dead letter where too many of them are letters.

    Records end in any order, and what is wrong with an event shows sooner than what a picture looks like. So a letter
    waits for what was begun earlier, and letters in a row are counted in the order in which the records were begun:
    exactly `consecutive_max` are let through, however many records are in flight.
    """

    def __init__(self, consecutive_max: int, share_max: float) -> None:
        """0 is no limit, nor is a share of 1."""
        self._consecutive_max = consecutive_max
        self._letters_max = share_max * _SHARE_OF if 0 < share_max < 1 else _SHARE_OF
        self._in_a_row = 0
        # From the first that is not over, in the order in which they were begun.
        self._attempts: deque[Attempt] = deque()
        self._recent: deque[RejectionReason | None] = deque(maxlen=_SHARE_OF)
        self._reasons: Counter[RejectionReason | None] = Counter()

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """The time that a record is being processed; its outcome is set at the end."""
        attempt = Attempt()
        self._attempts.append(attempt)
        self._go_on()
        try:
            yield attempt
        finally:
            self._end(attempt)

    async def admit(self, attempt: Attempt, reason: RejectionReason, record: Record, detail: str) -> None:
        """Return where a letter may be written; BadInputHaltError where it is one too many."""
        if self._consecutive_max:
            await attempt.is_next.wait()
        example = f"partition {record.partition}, offset {record.offset}: {detail}"
        if 0 < self._consecutive_max <= self._in_a_row:
            raise self._halt(f"the last {self._in_a_row} records", "CONSECUTIVE", example)
        self._note(reason)
        letters = len(self._recent) - self._reasons[None]
        if len(self._recent) == _SHARE_OF and letters > self._letters_max:
            raise self._halt(f"{letters} of the last {_SHARE_OF} records", "SHARE", example)
        self._in_a_row += 1
        # The next letter need not wait until this one is written.
        attempt.outcome = Outcome.DEAD_LETTERED
        self._end(attempt)

    def _end(self, attempt: Attempt) -> None:
        if not attempt.is_over:
            attempt.is_over = True
            self._go_on()

    def _go_on(self) -> None:
        """Count what is over, up to the first record that is still on its way."""
        while self._attempts and self._attempts[0].is_over:
            if self._attempts.popleft().outcome in _PASSED:
                self._in_a_row = 0
                self._note(None)
        if self._attempts:
            self._attempts[0].is_next.set()

    def _note(self, reason: RejectionReason | None) -> None:
        if len(self._recent) == _SHARE_OF:
            self._reasons[self._recent[0]] -= 1
        self._recent.append(reason)
        self._reasons[reason] += 1

    def _halt(self, how_many: str, setting: str, example: str) -> BadInputHaltError:
        reason = max((reason for reason in self._reasons if reason), key=lambda reason: self._reasons[reason])
        return BadInputHaltError(
            f"{how_many} were refused, most of them as {reason}; the next one: {example}. It is not passed: mend what "
            "sends such events, or raise "
            f"CATALOGUE_DEAD_LETTERS_{setting}_MAX (0: no limit) to let them through, and start again"
        )
