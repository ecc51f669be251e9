"""What an answer is worth, in plain words: who answered, how exactly, over how many images, as of when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from searcher.strategies import StrategyName
from searcher.wire import SearchReply

_WAYS = {
    StrategyName.RESIDENT: "in memory",
    StrategyName.FLAT: "in the store",
    StrategyName.SUBCODE: "in the store, by subcodes",
    StrategyName.HNSW: "in the store, by a graph",
}
# An answer that is older than this is worth a notice: changes normally show within a second or two.
_OLD_SECONDS = 60.0
_NOW_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Guarantee:
    """The small print of a reply, and the notices of what it can't promise."""

    strategy: str
    way: str
    worth: str
    compared: str
    age: str
    as_of: str
    notices: Sequence[str]
    approximate: bool


def guarantee_of(reply: SearchReply, now: datetime) -> Guarantee:
    """What `reply` is worth, read at `now`."""
    seconds = max(0.0, (now - datetime.fromisoformat(reply.as_of)).total_seconds())
    approximate = reply.complete and not reply.exact
    notices = []
    if not reply.complete:
        notices.append(f"These hits are not complete: {reply.reason or 'the store could not look everywhere'}.")
    if approximate:
        notices.append("These hits are approximate: images that are as near may be missing.")
    if seconds > _OLD_SECONDS:
        notices.append(f"These hits are as of {_spoken(seconds)} ago: what was written since is not among them.")
    return Guarantee(
        strategy=reply.strategy.value,
        way=_WAYS.get(reply.strategy, reply.strategy.value),
        worth=_worth(reply),
        compared=f"{reply.candidates:,} {'code' if reply.candidates == 1 else 'codes'} compared",
        age="now" if seconds < _NOW_SECONDS else f"{_spoken(seconds)} ago",
        as_of=reply.as_of,
        notices=notices,
        approximate=approximate,
    )


def _spoken(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.0f} h"


def _worth(reply: SearchReply) -> str:
    if not reply.complete:
        return "not complete"
    if not reply.exact:
        return "approximate"
    if reply.exact_up_to is None or reply.exact_up_to >= reply.bits:
        return "exact at any distance"
    return f"exact, complete up to {reply.exact_up_to} bits"
