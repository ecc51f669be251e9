"""The store: monthly indices on a server that several machines ask, over wires with delays and faults."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.document import Document
from shared.errors import RejectedError, StoreUnavailableError
from shared.store import WriteOutcome, monthly_indices
from shared.store.monthly_indices import Put, PutOutcome
from shared.watch import NO_WATCHES, WatchList
from tests.memory_indices import MemoryIndices
from tests.simulator.broker import Wire
from tests.simulator.clockwork import Machine

REFRESH_SECONDS = 1.0


@dataclass
class Server:
    """What the servers hold, and the watches that were published last. `on_put` is told each document that was stored,
    `on_change` each change for searches."""

    on_put: Callable[[Put], None]
    on_change: Callable[[], None]
    indices: MemoryIndices = field(default_factory=MemoryIndices)
    watches: WatchList = NO_WATCHES

    def put(self, put: Put) -> PutOutcome:
        """Store one document at once."""
        outcome = self.indices.put([put])[0]
        assert isinstance(outcome, PutOutcome)
        if outcome is PutOutcome.STORED:
            self.on_put(put)
        return outcome

    def refresh(self, month: str) -> None:
        """Make what a month holds searchable at once."""
        if self.indices.searchable.get(month) != self.indices.months.get(month):
            self.indices.refresh([month])
            self.on_change()

    def replace(self, old: Document, new: Document) -> None:
        """Have another document where this one lies, for searches too."""
        for held in [*self.indices.months.values(), *self.indices.searchable.values()]:
            if held.get(old.image_id) == old:
                held[old.image_id] = new

    def drop(self, month: str) -> None:
        """Remove a month at once."""
        self.indices.drop(month)
        self.on_change()


class SimulatedIndices:
    """The primitives, as one machine meets them: it may be interrupted between any two things that a server does."""

    def __init__(self, server: Server, machine: Machine, wire: Wire) -> None:
        self._server = server
        self._machine = machine
        self._wire = wire
        self.sent: list[deque[Put]] = []
        """What bulk requests under way still have to store; it may be stored though the machine dies."""
        self.doom: Callable[[], bool] | None = None
        """Called right after something was stored beside another live copy: whether the machine dies there."""

    def live(self) -> Sequence[str]:
        self._ask()
        months = self._server.indices.live()
        self._reply()
        return months

    def prepare(self, month: str, codes: Mapping[str, int]) -> Sequence[str]:
        self._ask()
        if month not in self._server.indices.live():
            self._interrupt()
            self._server.indices.prepare(month, codes)
            self._interrupt()
        months = self._server.indices.live()
        self._reply()
        return months

    def fit(self, month: str, codes: Mapping[str, int]) -> None:
        self._ask()
        self._reply()

    def versions(self, image_ids: Sequence[str], months: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
        copies = self.copies(image_ids, months)
        return {image_id: {month: one.version for month, one in found.items()} for image_id, found in copies.items()}

    def copies(self, image_ids: Sequence[str], months: Sequence[str]) -> Mapping[str, Mapping[str, Document]]:
        self._ask()
        found: dict[str, dict[str, Document]] = {}
        # Each month answers by itself, in no order.
        for month in self._machine.agenda.dice.sample(list(months), len(months)):
            for image_id in image_ids:
                self._interrupt()
                for one in self._server.indices.copies([image_id], [month]).values():
                    found.setdefault(image_id, {}).update(one)
        self._reply()
        return found

    def put(self, puts: Sequence[Put]) -> Sequence[PutOutcome | RejectedError]:
        self._ask()
        outcomes: dict[int, PutOutcome] = {}
        places = {id(put): place for place, put in enumerate(puts)}
        waiting = list(puts)
        for _ in range(2):
            waiting = self._bulk(waiting, places, outcomes)
            if not waiting:
                break
            self._machine.pause(0.1)
        self._reply()
        if waiting:
            raise StoreUnavailableError("an item of a bulk request met an overload (429) again and again")
        return [outcomes[place] for place in range(len(puts))]

    def refresh(self, months: Iterable[str]) -> None:
        self._ask()
        for month in months:
            self._interrupt()
            self._server.refresh(month)
        self._reply()

    def drop(self, month: str) -> None:
        self._ask()
        self._server.drop(month)
        self._reply()

    def watches_revision(self) -> int:
        return self.watches().revision

    def watches(self) -> WatchList:
        self._ask()
        watches = self._server.watches
        self._reply()
        return watches

    def _bulk(self, puts: Sequence[Put], places: Mapping[int, int], outcomes: dict[int, PutOutcome]) -> list[Put]:
        """Store each; gives those that were refused for an overload."""
        dice = self._machine.agenda.dice
        request = deque(dice.sample(list(puts), len(puts)))
        refused = []
        self.sent.append(request)
        while request:
            self._interrupt()
            put = request.popleft()
            if self._wire.strikes(self._wire.rates.overloaded):
                refused.append(put)
            else:
                outcomes[places[id(put)]] = self._server.put(put)
                self._meet_doom(put)
        # By identity, as two empty requests are equal.
        self.sent = [one for one in self.sent if one is not request]
        return refused

    def _meet_doom(self, put: Put) -> None:
        # The moment that matters most: an image has come to a month, and its older copy is still there.
        others = [one for one in self._server.indices.held(put.document.image_id) if one.live and one != put.document]
        if self.doom is not None and others and self.doom():
            self.doom = None
            # It does not return: the machine is dead.
            self._machine.pause(0)

    def _ask(self) -> None:
        self._machine.pause(self._wire.delay())
        if self._wire.away or self._wire.strikes(self._wire.rates.refused):
            raise StoreUnavailableError("the server is away")

    def _reply(self) -> None:
        self._machine.pause(self._wire.delay())
        if self._wire.strikes(self._wire.rates.lost_reply):
            raise StoreUnavailableError("the reply was lost")

    def _interrupt(self) -> None:
        # Often nothing comes between two steps of a server; always to ask would only take longer.
        if self._machine.agenda.dice.random() < 0.3:
            self._machine.pause(self._wire.delay())


class SimulatedStore:
    """The part of the store's contract that a worker uses, over the primitives of one machine."""

    def __init__(self, indices: SimulatedIndices) -> None:
        self.indices = indices

    def watches_revision(self) -> int:
        return self.indices.watches_revision()

    def watches(self) -> WatchList:
        return self.indices.watches()

    def settle(self, image_ids: Sequence[str]) -> Mapping[str, Document]:
        return monthly_indices.settle(self.indices, image_ids)

    def write(self, documents: Sequence[Document], now: datetime) -> Sequence[WriteOutcome | RejectedError]:
        return monthly_indices.write(self.indices, documents, now)

    def drop_expired(self, now: datetime, window_months: int) -> Sequence[str]:
        return monthly_indices.drop_expired(self.indices, now, window_months)

    def documents(self, image_ids: Sequence[str]) -> Mapping[str, Document]:
        return monthly_indices.look_up(self.indices, image_ids)

    def documents_at(self, versions: Mapping[str, int]) -> Mapping[str, Document]:
        found = self.documents(list(versions))
        return {image_id: one for image_id, one in found.items() if one.live and one.version == versions[image_id]}

    def thumbnail(self, image_id: str) -> bytes | None:
        found = monthly_indices.look_up(self.indices, [image_id]).get(image_id)
        return None if found is None or not found.live else found.thumbnail
