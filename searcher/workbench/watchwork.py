"""Working with watches: what they watch for comes from seeds or a case, what they are worth from judgements."""

from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np

from searcher.backend import Backend
from searcher.cursors import decode_cursor, encode_cursor
from searcher.watching.precision import precision_of, suggested_radius
from searcher.workbench.casework import Casework
from searcher.workbench.records import Case, Verdict
from searcher.workbench.watch_records import KeptWatch, NewWatch, WatchState
from searcher.workbench.watch_wire import NewWatchRequest, WatchChange, WatchesReply, WatchReply
from searcher.workbench.wire import CaseChange, NewCase
from searcher.workbench.workbench import Workbench
from shared.errors import QueryInvalidError
from shared.rolling_window import to_milliseconds
from shared.store import PageCursor
from shared.watch import WATCH_CODES_MAX


class Watchwork:
    """What analysts do with watches."""

    def __init__(self, backend: Backend, casework: Casework, now: Callable[[], datetime]) -> None:
        self._backend = backend
        self._casework = casework
        self._now = now

    async def open_watch(self, request: NewWatchRequest, who: str) -> WatchReply:
        """A new watch; CaseMissingError, QueryInvalidError, and errors as of `Searcher.search` for its seeds."""
        encoder = self._backend.encoder_or_raise()
        if request.radius > encoder.bits:
            raise QueryInvalidError(f"the radius is {encoder.bits} bits at most")
        case_id, codes = await self._codes_of_request(request, encoder.encoder_id, who)
        new = NewWatch(
            case_id, request.name, request.note, encoder.encoder_id, codes, request.radius, dict(request.filter)
        )
        now = self._now()
        return await self._casework.desk.ask(lambda bench: told_of(bench, [bench.watches.open(new, who)], now)[0])

    async def change_watch(self, watch_id: str, request: WatchChange, who: str) -> WatchReply:
        """The watch as it is then; WatchMissingError, QueryInvalidError."""
        encoder, now = self._backend.encoder_or_raise() if request.from_case else None, self._now()

        def change(bench: Workbench) -> WatchReply:
            codes, encoder_id = None, ""
            if encoder is not None:
                encoder_id = encoder.encoder_id
                codes = codes_of_case(bench, bench.watches.watch(watch_id).case_id, encoder_id)
            changed = bench.watches.change(watch_id, request.changes, codes, encoder_id, who)
            return told_of(bench, [changed], now)[0]

        return await self._casework.desk.ask(change)

    async def watch(self, watch_id: str) -> WatchReply:
        """A watch; WatchMissingError."""
        now = self._now()
        return await self._casework.desk.ask(lambda bench: told_of(bench, [bench.watches.watch(watch_id)], now)[0])

    async def watches(
        self, state: WatchState | None, case_id: str | None, cursor: str | None, count: int
    ) -> WatchesReply:
        """A page of watches, the one changed last first; QueryInvalidError where the cursor is not one of ours."""
        after, now = None if cursor is None else _read_cursor(cursor), self._now()

        def look(bench: Workbench) -> WatchesReply:
            # One more than is shown tells whether another page follows.
            found = bench.watches.watches(state, case_id, after, count + 1)
            last = found[count - 1] if len(found) > count else None
            place = None if last is None else encode_cursor(PageCursor(to_milliseconds(last.changed_at), last.watch_id))
            return WatchesReply(watches=told_of(bench, found[:count], now), cursor=place)

        return await self._casework.desk.ask(look)

    async def _codes_of_request(
        self, request: NewWatchRequest, encoder_id: str, who: str
    ) -> tuple[str, Sequence[bytes]]:
        """The case, opened where there is none, and the codes to watch for."""
        if request.case_id is None:
            case = await self._casework.open_case(
                NewCase(name=request.name, note=request.note, seeds=request.seeds), who
            )
        elif request.seeds:
            case = await self._casework.change_case(request.case_id, CaseChange(seeds=request.seeds), who)
        else:
            case_id = request.case_id
            ask = self._casework.desk.ask
            return case_id, await ask(lambda bench: codes_of_case(bench, case_id, encoder_id))
        new = case.seeds[len(case.seeds) - len(request.seeds) :]
        codes = [seed.code for seed in new if seed.weight > 0]
        if not codes:
            raise QueryInvalidError("a watch needs a seed of positive weight")
        return case.case_id, codes


def told_of(bench: Workbench, watches: Sequence[KeptWatch], now: datetime) -> list[WatchReply]:
    """Watches as they are answered, with how they have done until now."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    tallies = bench.alerts.tallies([watch.watch_id for watch in watches], midnight)
    replies = []
    for watch in watches:
        tally = tallies[watch.watch_id]
        suggested = suggested_radius(bench.alerts.judged_distances(watch))
        replies.append(WatchReply.of(watch, tally, precision_of(tally.relevant, tally.not_relevant), suggested))
    return replies


def codes_of_case(bench: Workbench, case_id: str, encoder_id: str) -> list[bytes]:
    """Codes of a case's seeds and relevant images to watch for; CaseMissingError, QueryInvalidError where it has none.

    Where there are more than a watch may have, those that lie farthest from each other, so that the others are near one
    of them (Gonzalez, Clustering to minimize the maximum intercluster distance, 1985).
    """
    case: Case = bench.ledger.case(case_id)
    relevant = [one for one in bench.ledger.verdicts(case_id) if one.verdict is Verdict.RELEVANT]
    seeds = [seed.code for seed in case.seeds if seed.weight > 0 and seed.encoder == encoder_id]
    found = [one.code for one in relevant if one.encoder == encoder_id and one.code is not None]
    codes = list(dict.fromkeys([*seeds, *found]))
    if not codes:
        raise QueryInvalidError("the case has no seed or relevant image with a code of the active encoder")
    return spread(codes, WATCH_CODES_MAX)


def spread(codes: Sequence[bytes], count: int) -> list[bytes]:
    """The first code, and always the one that is farthest from those chosen, until there are `count`."""
    rows = np.unpackbits(np.frombuffer(b"".join(codes), np.uint8).reshape(len(codes), -1), axis=1)
    chosen, nearest = [0], np.count_nonzero(rows != rows[0], axis=1)
    while len(chosen) < min(count, len(codes)):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.count_nonzero(rows != rows[chosen[-1]], axis=1))
    return [codes[place] for place in chosen]


def _read_cursor(cursor: str) -> tuple[int, str]:
    try:
        place = decode_cursor(cursor)
    except ValueError as error:
        raise QueryInvalidError("the cursor is not one that a page of watches gave") from error
    return place.event_time_ms, place.image_id
