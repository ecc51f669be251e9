"""One live copy of each image over monthly indices: the move protocol, as plain steps over a few primitives.

Versions are conditional within one month only, and documents go to the month of the worker's clock, so an update may
land beside an older copy. The rules that make one of several copies, whoever wrote them and whenever they died:

1. A document is put where only a *lower* version lies (or none).
2. The winner among an image's copies is the one of the highest version; of equal ones one that is no MOVED marker; of
   these the one of the newest month.
3. Every other live copy is overwritten in place by a MOVED marker of the winner's version, after the winner's month was
   refreshed: a search finds the winner before it stops finding the other.
4. A marker may overwrite an *equal* version only where the copy that loses was seen with just that version.
5. An image may overwrite an *equal* version only where the winner was seen: an image of just that version, without one
   of the codes that the new document has, which has all of the winner's. It goes to the winner's own month.

Why no two workers can mark each other's winner: take the newest month that ever held a copy of the highest version that
is no MOVED marker. A marker of the same version is put there only by one who saw such a copy in a newer month (rules 2
and 4), and there is none. Deletes are markers as well; nothing is ever deleted but a whole month.

Why adding a code (rule 5) changes nothing of this: it puts images only where one of the same version has lain, so that
newest month stays what it is. In such a month only rules 4 and 5 put anything of that version, so what such a put may
overwrite unseen is

- what another one who added the same code has just put (two workers, or one whose reply was lost): the same code of
  the same event, for who looks a moment later sees it and puts nothing;
- a MOVED marker, if it was held up for long: the copy that lives again loses to the one in the newer month, and the
  look that ends each write marks it again. Should the worker die before, it is as if it had died between two puts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from shared.document import Document, Kind
from shared.errors import RejectedError, StoreUnavailableError
from shared.rolling_window import is_droppable, month_of
from shared.store import WriteOutcome

# A look is repeated where it met a moment of somebody else's move; a move is over after one or two.
LOOKS_MAX = 4


Copies = Mapping[str, Mapping[str, Document]]
"""For each image that has copies, its document in each month that has one."""


class PutOutcome(StrEnum):
    """What became of one put."""

    STORED = "stored"
    CONFLICT = "conflict"
    """An equal or higher version is there (with `over_equal`: a higher one)."""
    MONTH_MISSING = "month missing"


@dataclass(frozen=True, slots=True)
class Put:
    """A document for a month, to be stored where a lower version lies, with `over_equal` also over an equal one."""

    month: str
    document: Document
    over_equal: bool = False


class MonthlyIndices(Protocol):
    """The primitives. Each may raise StoreUnavailableError with any part of its work done."""

    def live(self) -> Sequence[str]:
        """The months there are now."""

    def prepare(self, month: str, codes: Mapping[str, int]) -> Sequence[str]:
        """Make `month`, and fit for codes of these encoders (id to bits), where it is not; gives `live()` after."""

    def fit(self, month: str, codes: Mapping[str, int]) -> None:
        """Make `month` fit for codes of these encoders; nothing where it is gone."""

    def versions(self, image_ids: Sequence[str], months: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
        """For each image that has copies, the version in each month that has one; in real time."""

    def copies(self, image_ids: Sequence[str], months: Sequence[str]) -> Mapping[str, Mapping[str, Document]]:
        """For each image that has copies, its document in each month that has one; in real time, without thumbnails."""

    def put(self, puts: Sequence[Put]) -> Sequence[PutOutcome | RejectedError]:
        """Store each in its month; one answer for each."""

    def refresh(self, months: Iterable[str]) -> None:
        """Make what these months hold visible to searches, before this returns."""

    def drop(self, month: str) -> None:
        """Remove a month with all it holds; nothing where it is gone already."""


def look_up(indices: MonthlyIndices, image_ids: Sequence[str]) -> dict[str, Document]:
    """The highest version of each image that has one, in real time, markers included; repairs nothing."""
    return _look(indices, image_ids, lambda copies: set())


def settle(indices: MonthlyIndices, image_ids: Sequence[str]) -> dict[str, Document]:
    """What `look_up` gives, after leaving each image one live copy at most."""
    return _look(indices, image_ids, lambda copies: _repair(indices, copies))


def write(indices: MonthlyIndices, documents: Sequence[Document], now: datetime) -> list[WriteOutcome | RejectedError]:
    """Put documents of distinct images into the month of `now`, then settle the images that have several copies.

    One that adds codes to an image of its version goes to the month of that.
    """
    month = month_of(now)
    months = indices.prepare(month, _bits(documents))
    image_ids = [document.image_id for document in documents]
    known = indices.versions(image_ids, months)
    answers: dict[str, WriteOutcome | RejectedError] = dict.fromkeys(image_ids, WriteOutcome.SUPERSEDED)
    highest = {image_id: max(versions.values()) for image_id, versions in known.items()}
    puts = [Put(month, one) for one in documents if one.version > highest.get(one.image_id, -1)]
    puts += _adding_codes(indices, [one for one in documents if one.version == highest.get(one.image_id)], months)
    for put, outcome in zip(puts, indices.put(puts), strict=True):
        if outcome is PutOutcome.MONTH_MISSING:
            raise StoreUnavailableError(f"the monthly index {put.month} was removed while it was written to")
        if outcome is PutOutcome.STORED:
            answers[put.document.image_id] = WriteOutcome.WRITTEN
        elif isinstance(outcome, RejectedError):
            answers[put.document.image_id] = outcome
    # Only now is every copy that a crash or another worker may have left known; most images have just the one.
    held = indices.versions(image_ids, indices.live())
    settle(indices, [image_id for image_id, versions in held.items() if len(versions) > 1])
    for document in documents:
        equal = max(held.get(document.image_id, {}).values(), default=None) == document.version
        if answers[document.image_id] is WriteOutcome.SUPERSEDED and equal:
            answers[document.image_id] = WriteOutcome.REPEATED
    return [answers[image_id] for image_id in image_ids]


def drop_expired(indices: MonthlyIndices, now: datetime, window_months: int) -> list[str]:
    """Drop the months that can hold no visible image at `now`; gives them, sorted."""
    expired = sorted(month for month in indices.live() if is_droppable(month, now, window_months))
    for month in expired:
        indices.drop(month)
    return expired


def _adding_codes(indices: MonthlyIndices, documents: Sequence[Document], months: Sequence[str]) -> list[Put]:
    """Puts of those documents of an equal version that add codes to the winner, in its month (rule 5)."""
    if not documents:
        return []
    copies = indices.copies([one.image_id for one in documents], months)
    puts = []
    for document in documents:
        of_image = copies.get(document.image_id, {})
        winning = _winning_month(of_image) if of_image else None
        if winning is not None and document.adds_codes_to(of_image[winning]):
            puts.append(Put(winning, document, over_equal=True))
    for month in {put.month for put in puts}:
        indices.fit(month, _bits([put.document for put in puts if put.month == month]))
    return puts


def _bits(documents: Sequence[Document]) -> dict[str, int]:
    """The bits of each encoder's codes."""
    return {name: len(code) * 8 for one in documents for name, code in one.codes.items()}


def _look(
    indices: MonthlyIndices, image_ids: Sequence[str], repair: Callable[[Copies], set[str]]
) -> dict[str, Document]:
    """The winner among each image's copies; looks again at those that `repair` gives, and at those in transit."""
    found: dict[str, Document] = {}
    asked = list(dict.fromkeys(image_ids))
    for _ in range(LOOKS_MAX):
        if not asked:
            break
        copies = indices.copies(asked, indices.live())
        found |= {image_id: of_image[_winning_month(of_image)] for image_id, of_image in copies.items()}
        contended = repair(copies)
        asked = [image_id for image_id in copies if image_id in contended or _in_transit(found[image_id])]
    return found


def _winning_month(of_image: Mapping[str, Document]) -> str:
    """The month of the winner among an image's copies (rule 2)."""
    return max(of_image, key=lambda month: (of_image[month].version, of_image[month].kind is not Kind.MOVED, month))


def _in_transit(winner: Document) -> bool:
    """Whether only a MOVED marker was seen of the highest version: the copy it speaks of was put after we looked there.

    Or that copy went with its month, in which case looking again changes nothing.
    """
    return winner.kind is Kind.MOVED


def _repair(indices: MonthlyIndices, copies: Copies) -> set[str]:
    """Overwrite live copies that lose by MOVED markers; gives the images where somebody else was faster."""
    marks: list[Put] = []
    refreshed: set[str] = set()
    for of_image in copies.values():
        winning = _winning_month(of_image)
        losing = [month for month, document in of_image.items() if month != winning and document.live]
        marks += [_mark(month, of_image[month], of_image[winning]) for month in losing]
        if losing and of_image[winning].live:
            refreshed.add(winning)
    if not marks:
        return set()
    if refreshed:
        indices.refresh(sorted(refreshed))
    contended = set()
    for mark, outcome in zip(marks, indices.put(marks), strict=True):
        if isinstance(outcome, RejectedError):
            raise StoreUnavailableError(f"a marker for {mark.document.image_id!r} was refused: {outcome}")
        if outcome is PutOutcome.CONFLICT:
            contended.add(mark.document.image_id)
    return contended


def _mark(month: str, loser: Document, winner: Document) -> Put:
    marker = Document(winner.image_id, Kind.MOVED, winner.version, winner.version_explicit, winner.event_time_ms)
    return Put(month, marker, over_equal=loser.version == winner.version)
