"""Halts the worker before a bad release of a producer empties the event source into the dead letters."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

from indexer.event_log import Record
from indexer.planning import Outcome
from shared.errors import BadInputHaltError, RejectionReason

_SHARE_OF = 1000
# These settle nothing: the record comes again.
_UNSETTLED = frozenset({Outcome.RETRIED, Outcome.ABANDONED})


@dataclass(eq=False, slots=True)
class Attempt:
    """A record that is being processed: the how-manieth it is, and its `outcome` once it has one."""

    number: int
    outcome: Outcome | None = None


class DeadLetterLimit:
    """Counts outcomes, and refuses a dead letter where too many of them are letters.

    Records end in any order, and what is wrong with an event shows sooner than what a picture looks like. So a run of
    letters is taken for one only when no record that was begun earlier is still on its way: one that passes ends the
    run. At most `consecutive_max` letters are let through in a row, and at most twice as many where they end in an
    order other than the one in which they were begun, however many records are in flight.
    """

    def __init__(self, consecutive_max: int, share_max: float) -> None:
        """0 is no limit, nor is a share of 1."""
        self._consecutive_max = consecutive_max
        self._letters_max = share_max * _SHARE_OF if 0 < share_max < 1 else _SHARE_OF
        self._begun = 0
        self._last_passed = 0
        # Numbers of the letters that were begun after all records that have passed.
        self._run: list[int] = []
        self._recent: deque[RejectionReason | None] = deque(maxlen=_SHARE_OF)
        self._reasons: Counter[RejectionReason | None] = Counter()
        # In the order in which they were begun.
        self._under_way: dict[Attempt, None] = {}
        self._changed = asyncio.Event()

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """The time that a record is being processed; its outcome is set at the end."""
        self._begun += 1
        attempt = Attempt(self._begun)
        self._under_way[attempt] = None
        try:
            yield attempt
        finally:
            del self._under_way[attempt]
            if attempt.outcome not in {None, Outcome.DEAD_LETTERED, *_UNSETTLED}:
                self._last_passed = max(self._last_passed, attempt.number)
                self._run = [number for number in self._run if number > attempt.number]
                self._note(None)
            self._wake()

    async def admit(self, attempt: Attempt, reason: RejectionReason, record: Record, detail: str) -> None:
        """Return where a letter may be written; BadInputHaltError where it is one too many."""
        example = f"partition {record.partition}, offset {record.offset}: {detail}"
        while 0 < self._consecutive_max <= len(self._run) and attempt.number > self._last_passed:
            if next(iter(self._under_way)) is attempt:
                in_a_row = self._letters_before_the_next_under_way()
                if in_a_row >= self._consecutive_max:
                    raise self._halt(f"the last {in_a_row} records", "CONSECUTIVE", example)
                break
            await self._changed.wait()
        if attempt.number > self._last_passed:
            self._run.append(attempt.number)
        self._note(reason)
        letters = len(self._recent) - self._reasons[None]
        if len(self._recent) == _SHARE_OF and letters > self._letters_max:
            raise self._halt(f"{letters} of the last {_SHARE_OF} records", "SHARE", example)

    def _letters_before_the_next_under_way(self) -> int:
        """How many letters of the run have no record that may still pass among them, or between them and the first."""
        following = next(islice(self._under_way, 1, None), None)
        return sum(following is None or number < following.number for number in self._run)

    def _note(self, reason: RejectionReason | None) -> None:
        if len(self._recent) == _SHARE_OF:
            self._reasons[self._recent[0]] -= 1
        self._recent.append(reason)
        self._reasons[reason] += 1

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _halt(self, how_many: str, setting: str, example: str) -> BadInputHaltError:
        reason = max((reason for reason in self._reasons if reason), key=lambda reason: self._reasons[reason])
        return BadInputHaltError(
            f"{how_many} were refused, most of them as {reason}; the next one: {example}. It is not passed: mend what "
            "sends such events, or raise "
            f"CATALOGUE_DEAD_LETTERS_{setting}_MAX (0: no limit) to let them through, and start again"
        )
