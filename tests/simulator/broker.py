"""Logs with partitions, and a consumer group as Kafka's coordinator leads it.

A member that was cut off believes until its next poll that it holds its partitions; meanwhile others may hold them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from shared.errors import EventLogUnavailableError
from shared.event_log import NewRecord, Poll, Record
from shared.event_log.kafka_handover import Handover
from tests.simulator.clockwork import Agenda, Machine
from tests.simulator.scenario import Rates


@dataclass
class Wire:
    """What lies between a machine and a server: delays and faults, as long as there are any."""

    rates: Rates
    agenda: Agenda
    away: bool = False

    def calm(self) -> None:
        """No faults from now on."""
        self.rates, self.away = Rates(), False

    def strikes(self, rate: float) -> bool:
        """Whether a fault of this rate strikes now."""
        return rate > 0 and self.agenda.dice.random() < rate

    def delay(self) -> float:
        """Seconds until a request or a reply arrives."""
        dice = self.agenda.dice
        if self.strikes(self.rates.slow):
            return dice.uniform(0.5, 3)
        # Mostly at once, and now and then later than what was asked afterwards.
        return dice.random() * (0.005 if dice.random() < 0.8 else 0.15)


@dataclass(eq=False)
class Member:
    """One session of a reader; cut off (fenced) once and for all when the coordinator gives it up."""

    name: str
    fenced: bool = False


@dataclass
class Broker:
    """The log and its group. `on_commit` is told each position that is committed: partition, from, to."""

    partitions: int
    agenda: Agenda
    on_commit: Callable[[int, int, int], None]
    records: list[list[Record]] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    owners: list[Member | None] = field(default_factory=list)
    targets: list[Member | None] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Every partition begins empty and unowned."""
        self.records = [[] for _ in range(self.partitions)]
        self.committed, self.epochs = [0] * self.partitions, [0] * self.partitions
        self.owners, self.targets = [None] * self.partitions, [None] * self.partitions

    def append(self, partition: int, new: NewRecord) -> Record:
        """Append a record."""
        offset = len(self.records[partition])
        record = Record(str(partition), offset, offset + 1, new.timestamp_ms, new.key, new.value, new.headers)
        self.records[partition].append(record)
        return record

    def ends(self) -> list[int]:
        """The end of each partition."""
        return [len(records) for records in self.records]

    def join(self, name: str) -> Member:
        """A new member; the partitions are distributed anew."""
        member = Member(name)
        self.members.append(member)
        self.redistribute()
        return member

    def evict(self, member: Member) -> None:
        """Give a member up: it left, or was silent for longer than its session."""
        if member.fenced:
            return
        member.fenced = True
        self.members.remove(member)
        self.owners = [None if owner is member else owner for owner in self.owners]
        self.redistribute()

    def redistribute(self) -> None:
        """Distribute the partitions evenly over the members, whoever has them now."""
        order = self.agenda.dice.sample(self.members, len(self.members))
        start = self.agenda.dice.randrange(self.partitions)
        for place in range(self.partitions):
            self.targets[(start + place) % self.partitions] = order[place % len(order)] if order else None

    def revoked(self, member: Member, held: Iterable[int]) -> list[int]:
        """Which of the partitions that a member holds it has to give back."""
        return [one for one in held if self.owners[one] is member and self.targets[one] is not member]

    def give_back(self, member: Member, partitions: Iterable[int]) -> None:
        """A member lets partitions go."""
        for one in partitions:
            if self.owners[one] is member:
                self.owners[one] = None

    def take(self, member: Member) -> list[int]:
        """What a member is assigned now."""
        taken = [one for one in range(self.partitions) if self.owners[one] is None and self.targets[one] is member]
        for one in taken:
            self.owners[one] = member
            self.epochs[one] += 1
        return taken

    def commit(self, member: Member, positions: Mapping[int, int]) -> bool:
        """Make these the committed positions; False where the member was given up."""
        if member.fenced:
            return False
        for one, position in sorted(positions.items()):
            before, self.committed[one] = self.committed[one], position
            self.on_commit(one, before, position)
        return True


class SimulatedReader:
    """A member of the group on one machine; hands partitions over as the Kafka reader does."""

    def __init__(self, broker: Broker, machine: Machine, wire: Wire) -> None:
        self._broker = broker
        self._machine = machine
        self._wire = wire
        self._handover = Handover()
        self._member: Member | None = None
        self._positions: dict[int, int] = {}
        self._commit_again = False
        self.lost_some = False
        self.epochs: dict[int, int] = {}
        """Of each record that was delivered, by identity: the epoch of its partition then."""

    @property
    def member(self) -> Member | None:
        """The session now."""
        return self._member

    def uncommitted(self) -> int:
        """How many delivered records of the partitions that are held lie behind the committed positions."""
        return sum(position - self._broker.committed[one] for one, position in self._positions.items())

    def poll(self, records_max: int, timeout_seconds: float) -> Poll:
        self._handover.note_return()
        self._machine.pause(self._wire.delay())
        self._refuse()
        if self._member is None:
            self._member = self._broker.join(self._machine.name)
        if self._commit_again:
            self._commit_staged()
        self._rebalance()
        records = self._fetch(records_max)
        if not records:
            if timeout_seconds:
                self._machine.pause(timeout_seconds)
            # What was lost meanwhile is noticed here or at the next poll.
            if self._machine.agenda.dice.random() < 0.5:
                self._rebalance()
            records = self._fetch(records_max)
        lost = self._handover.take_lost()
        self._handover.read({record.partition: record.next_offset for record in records})
        return Poll(records, lost)

    def stage(self, positions: Mapping[str, int]) -> None:
        self._handover.stage(positions)

    def commit(self, positions: Mapping[str, int]) -> None:
        self._handover.note_return()
        self.stage(positions)
        if self._member is None:
            return
        self._machine.pause(self._wire.delay())
        self._refuse()
        self._commit_staged()
        if self._wire.strikes(self._wire.rates.lost_reply):
            raise EventLogUnavailableError("the reply to a commit was lost")

    def lag(self) -> Mapping[str, int]:
        self._refuse()
        return {str(one): len(self._broker.records[one]) - at for one, at in self._positions.items()}

    def end_positions(self) -> Mapping[str, int]:
        return {str(one): len(records) for one, records in enumerate(self._broker.records)}

    def committed_positions(self) -> Mapping[str, int]:
        return {str(one): position for one, position in enumerate(self._broker.committed)}

    def close(self) -> None:
        """Leave at once."""
        if self._member is not None:
            self._broker.evict(self._member)
        self._member = None

    def _refuse(self) -> None:
        if self._wire.away or self._wire.strikes(self._wire.rates.refused):
            raise EventLogUnavailableError("the brokers are away")

    def _rebalance(self) -> None:
        assert self._member is not None
        if self._member.fenced:
            self._lose(list(self._positions))
            self._member = self._broker.join(self._machine.name)
            self._commit_again = False
        revoked = self._broker.revoked(self._member, self._positions)
        if revoked:
            self._hand_over(revoked)
        for one in self._broker.take(self._member):
            self._positions[one] = self._broker.committed[one]

    def _hand_over(self, partitions: Sequence[int]) -> None:
        """Commit what is staged of them while they are still ours; where that fails, they are read again."""
        assert self._member is not None
        # Often not at all, as where work takes longer: then much is done twice.
        names, waits = [str(one) for one in partitions], self._machine.agenda.dice.choice([0, 0, 0, 9])
        while waits and not self._handover.is_done(names):
            self._machine.pause(0.1)
            waits -= 1
        staged = self._staged(partitions)
        if not self._wire.strikes(self._wire.rates.refused):
            self._broker.commit(self._member, staged)
        self._lose(partitions)
        self._broker.give_back(self._member, partitions)

    def _lose(self, partitions: Sequence[int]) -> None:
        self.lost_some = self.lost_some or bool(partitions)
        self._handover.lose(str(one) for one in partitions)
        for one in partitions:
            del self._positions[one]

    def _commit_staged(self) -> None:
        assert self._member is not None
        self._commit_again = not self._broker.commit(self._member, self._staged(self._positions))

    def _staged(self, partitions: Iterable[int]) -> dict[int, int]:
        staged = self._handover.staged(str(one) for one in partitions)
        return {int(name): position for name, position in staged.items()}

    def _fetch(self, records_max: int) -> list[Record]:
        dice = self._machine.agenda.dice
        records: list[Record] = []
        if not records_max or all(len(self._broker.records[one]) == at for one, at in self._positions.items()):
            return records
        for one in dice.sample(list(self._positions), len(self._positions)):
            waiting = self._broker.records[one]
            count = min(len(waiting) - self._positions[one], records_max - len(records))
            if count > 0:
                count = dice.randint(1, count)
                at = self._positions[one]
                # As from a broker, every delivery is an object of its own.
                records += [_again(record) for record in waiting[at : at + count]]
                self._positions[one] += count
        self.epochs |= {id(record): self._broker.epochs[int(record.partition)] for record in records}
        return records


def _again(record: Record) -> Record:
    return Record(
        record.partition,
        record.offset,
        record.next_offset,
        record.timestamp_ms,
        record.key,
        record.value,
        record.headers,
    )


class SimulatedWriter:
    """Appends, over a wire, to what outlives every machine."""

    def __init__(self, append: Callable[[NewRecord], object], machine: Machine, wire: Wire) -> None:
        self._append = append
        self._machine = machine
        self._wire = wire

    def append(self, records: Sequence[NewRecord]) -> None:
        for record in records:
            self._machine.pause(self._wire.delay())
            if self._wire.away or self._wire.strikes(self._wire.rates.refused):
                raise EventLogUnavailableError("the log is away")
            self._append(record)
        self._machine.pause(self._wire.delay())
        if self._wire.strikes(self._wire.rates.lost_reply):
            raise EventLogUnavailableError("the reply to an append was lost")

    def close(self) -> None:
        """Nothing to free."""
