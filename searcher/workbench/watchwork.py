"""Working with watches: what they watch for comes from seeds or a case, what they are worth from judgements."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from searcher.backend import Backend
from searcher.cursors import decode_cursor, encode_cursor
from searcher.search import Searcher
from searcher.strategies import StrategyName
from searcher.watching.precision import precision_of, suggested_radius
from searcher.workbench.casework import Casework
from searcher.workbench.records import Case, CaseSeed, Verdict
from searcher.workbench.watch_records import KeptWatch, NewWatch, WatchState
from searcher.workbench.watch_width import check_width, width_queries
from searcher.workbench.watch_wire import NewWatchRequest, WatchChange, WatchesReply, WatchReply
from searcher.workbench.workbench import Workbench
from shared.errors import QueryInvalidError
from shared.rolling_window import to_milliseconds
from shared.store import PageCursor
from shared.watch import WATCH_CODES_MAX

# What of a watch decides how much it finds, beside its codes.
_WIDTH = frozenset({"radius", "filter"})


class Watchwork:
    """What analysts do with watches."""

    def __init__(self, backend: Backend, searcher: Searcher, casework: Casework, now: Callable[[], datetime]) -> None:
        self._backend = backend
        self._searcher = searcher
        self._casework = casework
        self._now = now

    async def open_watch(self, request: NewWatchRequest, who: str) -> WatchReply:
        """A new watch; CaseMissingError, QueryInvalidError, and errors as of `Searcher.search` for its seeds."""
        encoder = self._backend.encoder_or_raise()
        if request.radius > encoder.bits:
            raise QueryInvalidError(f"the radius is {encoder.bits} bits at most")
        seeds = await self._casework.resolve(request.seeds)
        codes = await self._codes_of_request(request, seeds, encoder.encoder_id)
        new = NewWatch(
            request.case_id or "",
            request.name,
            request.note,
            encoder.encoder_id,
            codes,
            request.radius,
            dict(request.filter),
        )
        await self._refuse_if_too_wide(new)
        now = self._now()

        def open_both(bench: Workbench) -> WatchReply:
            case_id = request.case_id
            if case_id is None:
                case_id = bench.ledger.open_case(request.name, request.note, seeds, who).case_id
            elif seeds:
                bench.ledger.change_case(case_id, {}, seeds, who)
            return told_of(bench, [bench.watches.open(replace(new, case_id=case_id), who)], now)[0]

        return await self._casework.desk.ask(open_both)

    async def change_watch(self, watch_id: str, request: WatchChange, who: str) -> WatchReply:
        """The watch as it is then; WatchMissingError, QueryInvalidError."""
        encoder, now = self._backend.encoder_or_raise() if request.from_case else None, self._now()

        def look(bench: Workbench) -> tuple[KeptWatch, Sequence[bytes] | None]:
            watch = bench.watches.watch(watch_id)
            return watch, None if encoder is None else codes_of_case(bench, watch.case_id, encoder.encoder_id)

        before, codes = await self._casework.desk.ask(look)
        encoder_id = before.encoder_id if encoder is None else encoder.encoder_id
        wanted = replace(before, encoder_id=encoder_id, codes=codes or before.codes)
        wanted = replace(wanted, **{name: request.changes[name] for name in _WIDTH & request.changes.keys()})
        wider = codes is not None or (_WIDTH | {"state"}) & request.changes.keys()
        # To pause or to end one needs no look at the window: that must always be possible.
        if wider and request.changes.get("state", before.state) == WatchState.ACTIVE:
            await self._refuse_if_too_wide(wanted)

        def change(bench: Workbench) -> WatchReply:
            return told_of(bench, [bench.watches.change(watch_id, request.changes, codes, encoder_id, who)], now)[0]

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
        self, request: NewWatchRequest, seeds: Sequence[CaseSeed], encoder_id: str
    ) -> Sequence[bytes]:
        """What to watch for: the seeds, or what the case has."""
        case_id = request.case_id
        if case_id is not None and not seeds:
            return await self._casework.desk.ask(lambda bench: codes_of_case(bench, case_id, encoder_id))
        codes = [seed.code for seed in seeds if seed.weight > 0]
        if not codes:
            raise QueryInvalidError("a watch needs a seed of positive weight")
        return codes

    async def _refuse_if_too_wide(self, watch: NewWatch | KeptWatch) -> None:
        """QueryInvalidError where there would be an alert for very many images that are there already."""
        encoder = self._backend.encoder
        if encoder is None or encoder.encoder_id != watch.encoder_id:
            return  # It can't be run before there is.
        for query in width_queries(watch, self._searcher.visible_after_ms()):
            found = await self._searcher.strategies.nearest(StrategyName.AUTO, query)
            check_width(watch, found.neighbours)


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
