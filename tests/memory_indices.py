"""The primitives of the monthly indices in memory, one small step at a time, with searches that lag behind as real ones
do: a month's documents are found only once it was refreshed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.document import Document
from shared.errors import RejectedError
from shared.store.monthly_indices import Put, PutOutcome


def _at_once() -> None:
    """Take the step without waiting for anybody."""


@dataclass
class MemoryIndices:
    """What a server holds, seen by one client; several clients share `months` and `searchable`.

    `step` is called before each thing that a server does by itself: a listing, each look at one copy, each put, each
    refresh. It may wait for its turn, or raise to make this client die there. `overloaded` says of a put whether the
    server refuses it now.
    """

    months: dict[str, dict[str, Document]] = field(default_factory=dict)
    searchable: dict[str, dict[str, Document]] = field(default_factory=dict)
    step: Callable[[], None] = _at_once

    def live(self) -> Sequence[str]:
        self.step()
        return sorted(self.months)

    def prepare(self, month: str, codes: Mapping[str, int]) -> Sequence[str]:
        self.step()
        self.months.setdefault(month, {})
        self.searchable.setdefault(month, {})
        return sorted(self.months)

    def fit(self, month: str, codes: Mapping[str, int]) -> None:
        self.step()

    def versions(self, image_ids: Sequence[str], months: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
        copies = self.copies(image_ids, months)
        return {image_id: {month: one.version for month, one in found.items()} for image_id, found in copies.items()}

    def copies(self, image_ids: Sequence[str], months: Sequence[str]) -> Mapping[str, Mapping[str, Document]]:
        found: dict[str, dict[str, Document]] = {}
        for month in months:
            for image_id in image_ids:
                self.step()
                document = self.months.get(month, {}).get(image_id)
                if document is not None:
                    found.setdefault(image_id, {})[month] = document
        return found

    def put(self, puts: Sequence[Put]) -> Sequence[PutOutcome | RejectedError]:
        return [self._put_one(put) for put in puts]

    def refresh(self, months: Iterable[str]) -> None:
        for month in months:
            self.step()
            if month in self.months:
                self.searchable[month] = dict(self.months[month])

    def drop(self, month: str) -> None:
        self.step()
        self.months.pop(month, None)
        self.searchable.pop(month, None)

    def found(self, image_id: str) -> list[Document]:
        """The live copies of the image that a search meets now."""
        copies = (held.get(image_id) for held in self.searchable.values())
        return [copy for copy in copies if copy is not None and copy.live]

    def held(self, image_id: str) -> list[Document]:
        """All copies of the image, refreshed or not, markers included."""
        copies = (held.get(image_id) for held in self.months.values())
        return [copy for copy in copies if copy is not None]

    def _put_one(self, put: Put) -> PutOutcome:
        self.step()
        if put.month not in self.months:
            return PutOutcome.MONTH_MISSING
        held = self.months[put.month].get(put.document.image_id)
        lower = put.document.version + (1 if put.over_equal else 0)
        if held is not None and held.version >= lower:
            return PutOutcome.CONFLICT
        self.months[put.month][put.document.image_id] = put.document
        return PutOutcome.STORED
