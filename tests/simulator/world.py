"""One seed from its start to its end: machines, servers, strikes of fate, checks after every step, and convergence."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from indexer.duty import EVENTS, RETRIES
from indexer.planning import Outcome
from shared.event_log import NewRecord, Record
from shared.store.monthly_indices import Put
from shared.watch import WatchList
from tests.simulator.broker import Broker, Wire
from tests.simulator.checks import Checks, outcomes_add_up, summary
from tests.simulator.clockwork import Agenda
from tests.simulator.process import FOREIGN_ID, Surroundings, WorkerProcess
from tests.simulator.scenario import (
    FAULTY_SECONDS,
    SESSION_SECONDS,
    SKEW_SECONDS_MAX,
    Production,
    Scenario,
    Strike,
)
from tests.simulator.server import REFRESH_SECONDS, Server
from tests.simulator.watching import draw_publications

# Once the faults have stopped, all must be done within so many virtual seconds.
CONVERGENCE_SECONDS = 60.0
_STEPS_MAX = 200_000


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a seed; `violation` None where every promise held."""

    seed: int
    violation: str | None
    records: int
    steps: int
    strikes: int
    matches: int
    """How many had to be in the log of matches."""


class World:
    """Runs a scenario."""

    def __init__(self, scenario: Scenario, trace: Callable[[str], None] | None = None) -> None:
        self._scenario = scenario
        self._trace = trace
        self._dice = scenario.dice
        self._agenda = Agenda(scenario.dice)
        self._dead_letters: list[NewRecord] = []
        self._matches: list[NewRecord] = []
        self._store_wires = [Wire(scenario.store, self._agenda) for _ in range(scenario.workers)]
        self._log_wires = [Wire(scenario.log, self._agenda) for _ in range(scenario.workers)]
        self._skews = list(scenario.skews[:-1])
        self._server = Server(self._stored, self._searchable_changed)
        self._checks = Checks(self._server.indices, self._wall, scenario.skews[-1], self._dead_letters, self._matches)
        self._broker = Broker(scenario.partitions, self._agenda, self._committed)
        self._retries = Broker(2, self._agenda, self._retries_committed)
        self._checks.retries = self._retries.records
        self._failing: set[str] = set()
        self._around = Surroundings(
            self._agenda,
            self._broker,
            self._retries,
            self._server,
            self._dead_letters,
            self._matches,
            scenario.settings,
            self._wall,
            self._fails,
            self._begun,
            self._finished,
            self._staged,
            self._ended,
        )
        self._slots: list[WorkerProcess | None] = [None] * scenario.workers
        self._processes: list[WorkerProcess] = []
        self._struck = 0
        self._healed = False

    def run(self) -> Report:
        """Let it happen; never raises for what the worker does."""
        try:
            self._prepare()
            violation = self._live_through()
        finally:
            for process in self._processes:
                process.bury()
        demanded = self._checks.watching.demanded
        records = len(self._scenario.productions)
        return Report(self._scenario.seed, violation, records, self._agenda.steps, self._struck, demanded)

    def _prepare(self) -> None:
        for production in self._scenario.productions:
            self._agenda.at(production.seconds, partial(self._produce, production))
        for seconds, watches in draw_publications(self._scenario.seed):
            self._agenda.at(seconds, partial(self._publish, watches))
        for seconds in self._scenario.foreign:
            self._agenda.at(seconds, self._make_foreign)
        for strike in self._scenario.strikes:
            self._agenda.at(strike.seconds, partial(self._strike, strike))
        for slot in range(self._scenario.workers):
            self._agenda.at(self._dice.random(), partial(self._boot, slot))
        for seconds, by in self._scenario.calendar:
            self._agenda.at(seconds, partial(self._say, f"all clocks go forward by {by}"))
        self._agenda.at(FAULTY_SECONDS + 0.5, self._heal)
        self._refresh_now_and_then()

    def _live_through(self) -> str | None:
        violations = self._checks.violations
        while not self._over():
            if self._agenda.seconds > FAULTY_SECONDS + CONVERGENCE_SECONDS or self._agenda.steps > _STEPS_MAX:
                positions = [(broker.committed, broker.ends()) for broker in (self._broker, self._retries)]
                return f"it did not converge: positions and ends of events and retries {positions}"
            self._agenda.advance()
            if violations:
                return summary(violations)
        for month in self._server.indices.live():
            self._server.refresh(month)
        self._checks.check_end()
        self._check_counts()
        return summary(violations) if violations else None

    def _over(self) -> bool:
        # Whether all is done is worth asking now and then only.
        return (
            self._healed
            and self._agenda.steps % 16 == 0
            and all(broker.committed == broker.ends() for broker in (self._broker, self._retries))
            and all(process is not None and not process.in_flight for process in self._slots)
        )

    def _fails(self, url: str) -> bool:
        return url in self._failing or (not self._healed and self._dice.random() < self._scenario.fetch_failures)

    def _wall(self) -> datetime:
        return self._scenario.wall(self._agenda.seconds)

    def _check_counts(self) -> None:
        """P4, for every process that could tell to the end."""
        for process in self._processes:
            if not process.machine.alive:
                continue
            counts = {outcome.value: process.metrics.records.labels(outcome)._value.get() for outcome in Outcome}
            consumed = process.metrics.records_consumed._value.get()
            counts["in flight"] = sum(
                process.metrics.in_flight_records.labels(duty.log)._value.get() for duty in (EVENTS, RETRIES)
            )
            if not outcomes_add_up(consumed, counts):
                self._checks.violations.append(f"P4: {process.name} consumed {consumed} records, outcomes are {counts}")

    # What processes and servers tell ------------------------------------------------------------------------------

    def _stored(self, put: Put) -> None:
        one = put.document
        self._say(f"  stored in {put.month}: {one.image_id} version {one.version} {one.kind.value}")
        self._checks.stored(put)

    def _searchable_changed(self) -> None:
        self._checks.searchable_changed()

    def _committed(self, partition: int, before: int, position: int) -> None:
        if position != before:
            self._say(f"  committed: partition {partition} from {before} to {position}")
        self._checks.committed(partition, before, position)

    def _retries_committed(self, partition: int, before: int, position: int) -> None:
        if position != before:
            self._say(f"  committed: retries {partition} from {before} to {position}")
        self._checks.retries_committed(partition, before, position)

    def _begun(self, process: WorkerProcess, record: Record) -> None:
        self._say(f"{process.name} begins {record.partition}@{record.offset}")
        self._checks.begun(process.name, record)
        bound = self._scenario.settings.in_flight_records_max
        self._checks.in_flight(process.name, len(process.in_flight), bound + _quarter(bound))

    def _finished(self, process: WorkerProcess, record: Record, outcome: Outcome) -> None:
        self._say(f"{process.name} has done {record.partition}@{record.offset}: {outcome.value}")
        self._checks.finished(record, outcome)

    def _staged(self, process: WorkerProcess) -> None:
        bound = self._scenario.settings.redone_records_max
        for reader, most in ((process.reader, bound), (process.retry_reader, _quarter(bound))):
            if reader.member is not None and not reader.member.fenced:
                self._checks.uncommitted(process.name, reader.uncommitted(), most)

    def _ended(self, process: WorkerProcess, error: BaseException | None) -> None:
        self._say(f"{process.name} has ended: {error!r}")
        self._checks.died(process.name)
        process.in_flight.clear()
        if error is not None:
            self._checks.violations.append(f"{process.name} ended with {error!r}")
        slot = self._slots.index(process)
        self._slots[slot] = None
        self._agenda.after(self._dice.uniform(0, 1), lambda: self._boot(slot))

    # What happens to them -----------------------------------------------------------------------------------------

    def _produce(self, production: Production) -> None:
        record = self._broker.append(production.partition, production.record)
        happening = production.happening
        self._say(f"produced {record.partition}@{record.offset}: {happening or record.value!r}")
        self._checks.produced(production.partition, record.offset, happening)

    def _publish(self, watches: WatchList) -> None:
        self._say(f"published: {watches}")
        self._server.watches = watches
        self._checks.watching.published(watches)

    def _make_foreign(self) -> None:
        """What `indexer verify --repair` meets and does: an image without the encoder's code; its event once more."""
        produced = [one for one in self._scenario.productions if one.seconds < self._agenda.seconds and one.happening]
        self._dice.shuffle(produced)
        for one in produced:
            happening = one.happening
            assert happening is not None
            live = [held for held in self._server.indices.held(happening.image_id) if held.live]
            if [held.version for held in live] == [happening.version]:
                self._say(f"{happening.image_id} version {happening.version} becomes foreign")
                self._checks.watching.lost_its_code(live[0])
                self._server.replace(live[0], replace(live[0], codes={FOREIGN_ID: b"foreign."}))
                self._struck += 1
                self._produce(one)
                return

    def _boot(self, slot: int) -> None:
        if self._slots[slot] is None:
            name = f"worker {slot}.{len(self._processes)}"
            self._say(f"{name} starts")
            process = WorkerProcess(
                name, self._around, self._store_wires[slot], self._log_wires[slot], self._skews[slot]
            )
            self._slots[slot] = process
            self._processes.append(process)

    def _strike(self, strike: Strike) -> None:
        process = self._slots[strike.worker]
        self._say(f"strike: {strike.what} {process.name if process else '(nobody)'} for {strike.duration:.1f} s")
        self._struck += 1
        if strike.what == "host away":
            url = f"sim:picture-{self._dice.randrange(4)}"
            self._failing.add(url)
            self._agenda.after(strike.duration, lambda: self._failing.discard(url))
        elif strike.what in {"store away", "log away"}:
            self._cut_off(self._store_wires if strike.what == "store away" else self._log_wires, strike.duration)
        elif process is None:
            return
        elif strike.what == "kill":
            self._kill(process, strike.duration)
        elif strike.what == "kill at a put":
            process.indices.doom = lambda: self._kill(process, strike.duration)
        elif strike.what == "stop":
            self._stop(process, strike.duration)
        elif strike.what == "evict":
            self._evict(process)
        elif strike.what == "rebalance":
            self._broker.redistribute()
            self._retries.redistribute()
        elif strike.what == "terminate":
            process.terminate()
        elif strike.what == "clock":
            slot = self._slots.index(process)
            skew = timedelta(seconds=self._dice.uniform(-SKEW_SECONDS_MAX, SKEW_SECONDS_MAX))
            process.skew = self._skews[slot] = skew

    def _kill(self, process: WorkerProcess, duration: float) -> bool:
        """SIGKILL, where that is allowed; the process starts again after `duration`."""
        if self._healed or process not in self._slots or self._has_zombie_work(process):
            # What a dead zombie leaves behind nobody reads again: see `RELIABILITY.md` and `indexer verify`.
            return False
        self._say(f"{process.name} is killed")
        process.machine.alive = False
        slot = self._slots.index(process)
        self._slots[slot] = None
        self._checks.died(process.name)
        for put in [put for request in process.indices.sent if self._dice.random() < 0.5 for put in request]:
            # It was sent already: the server goes on with it.
            self._agenda.after(self._dice.uniform(0, SESSION_SECONDS - 0.5), partial(self._server.put, put))
        self._agenda.after(SESSION_SECONDS, lambda: self._evict(process))
        self._agenda.after(duration, lambda: self._boot(slot))
        return True

    def _has_zombie_work(self, process: WorkerProcess) -> bool:
        """Whether it works on a record that another one may have been given meanwhile."""
        member = process.reader.member
        if process.retried and (
            process.retry_reader.lost_some or process.retry_reader.member not in self._retries.members
        ):
            return True
        return any(
            self._broker.owners[int(record.partition)] is not member
            or process.reader.epochs[id(record)] != self._broker.epochs[int(record.partition)]
            for key, record in process.in_flight.items()
            if key not in process.retried
        )

    def _stop(self, process: WorkerProcess, duration: float) -> None:
        process.machine.stop()
        self._agenda.after(SESSION_SECONDS, lambda: self._evict(process) if process.machine.stopped else None)
        self._agenda.after(duration, process.machine.resume)

    def _evict(self, process: WorkerProcess) -> None:
        for broker, reader in ((self._broker, process.reader), (self._retries, process.retry_reader)):
            if reader.member is not None:
                broker.evict(reader.member)

    def _cut_off(self, wires: list[Wire], duration: float) -> None:
        for wire in wires:
            wire.away = True
            self._agenda.after(duration, partial(setattr, wire, "away", False))

    def _heal(self) -> None:
        self._say("the faults stop")
        self._healed = True
        self._failing.clear()
        for wire in [*self._store_wires, *self._log_wires]:
            wire.calm()
        for process in self._processes:
            if process.machine.stopped:
                process.machine.resume()
        for slot in range(self._scenario.workers):
            self._boot(slot)

    def _refresh_now_and_then(self) -> None:
        """A server refreshes by itself."""
        for month in self._server.indices.live():
            if self._dice.random() < 0.7:
                self._server.refresh(month)
        self._agenda.after(self._dice.uniform(0.1, REFRESH_SECONDS), self._refresh_now_and_then)

    def _say(self, what: str) -> None:
        if self._trace is not None:
            self._trace(f"{self._agenda.seconds:9.4f} {what}")


def _quarter(bound: int) -> int:
    """What of a bound the retries have."""
    return max(1, bound // 4)
