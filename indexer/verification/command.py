"""`indexer verify`: what is opened, in which order it is read, and what is told of it."""

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, write_to_textfile
from rich.table import Table

from indexer import dead_letters, retries
from indexer.verification.findings import Rules
from indexer.verification.reconciler import FaultCount, Reconciler, counted
from indexer.verification.source_model import Position, SourceModel, SourceReader
from shared.errors import ConfigurationError
from shared.event_log import opening as event_logs
from shared.metrics import VerifyMetrics
from shared.rolling_window import to_milliseconds
from shared.settings import Settings
from shared.store.opening import open_store
from shared.terminal import cell

_EXAMPLES_SHOWN = 3

# Makes a progress bar of a stage; gives the function that advances it.
Stages = Callable[[str], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a run found.

    `images` and `copies` are the store's; `not_in_source` counts images of which the source holds no event, the rest
    records of the source: 0 where the store was compared with itself.
    """

    against: str
    faults: list[FaultCount]
    images: int
    copies: int
    not_in_source: int
    records: int
    pending: int
    set_aside: int
    unreadable: int
    seconds: float

    @property
    def found(self) -> int:
        """How many faults there were."""
        return sum(one.found for one in self.faults)

    @property
    def left(self) -> int:
        """How many faults were not repaired."""
        return self.found - sum(one.repaired for one in self.faults)

    def to_json(self) -> str:
        """The report as one JSON object."""
        return json.dumps(asdict(self) | {"found": self.found, "left": self.left})

    def table(self) -> Table:
        """A row for each kind of fault."""
        table = Table("fault", "found", "repaired", "for example", "not repairable")
        for one in self.faults:
            reasons = "; ".join(f"{count}: {reason}" for reason, count in one.not_repairable.items())
            examples = ", ".join(one.examples[:_EXAMPLES_SHOWN])
            table.add_row(one.fault, str(one.found), str(one.repaired), cell(examples), reasons)
        return table

    def summary(self) -> str:
        """What was looked at, in words."""
        looked = f"{self.images} images ({self.copies} copies) compared with "
        if self.against == "store":
            return f"{looked}the store itself in {self.seconds:.1f} s."
        return (
            f"{looked}{self.records} records in {self.seconds:.1f} s; records: {self.pending} still to be indexed, "
            f"{self.set_aside} set aside, {self.unreadable} unreadable; images not in the source: {self.not_in_source}."
        )

    def write_metrics(self, path: Path, now: datetime) -> None:
        """Replace the file by the metrics of this run; ConfigurationError where it can't be written."""
        registry = CollectorRegistry()
        metrics = VerifyMetrics(registry)
        for one in self.faults:
            metrics.faults.labels(one.fault).set(one.found)
            metrics.repaired.labels(one.fault).set(one.repaired)
        metrics.images.set(self.images)
        metrics.ended.set(to_milliseconds(now) / 1000)
        try:
            write_to_textfile(str(path), registry)
        except OSError as error:
            raise ConfigurationError(f"--metrics-file: {error.strerror}: {path}") from error


def verify(
    settings: Settings,
    *,
    against_source: bool,
    repair: bool,
    now: Callable[[], datetime],
    stages: Stages,
    pause: Callable[[float], None] = time.sleep,
) -> VerifyReport:
    """Compare the store with the event source, or with itself, and repair what can be. `pause` waits between looks."""
    started = time.monotonic()
    with ExitStack() as stack:
        store = stack.enter_context(closing(open_store(settings)))
        active = store.active_encoder()
        reader, model = None, None
        if against_source:
            scanner = stack.enter_context(closing(event_logs.open_scanner(settings)))
            advance = stack.enter_context(stages("reading the event source"))
            reader = SourceReader(scanner, now(), settings.event_bytes_max, advance)
            model = _model(settings, reader)
        rules = Rules(None if active is None else active.encoder_id, now(), settings.window_months)
        reconciler = Reconciler(store, model, rules, pause)
        with stages("walking the store") as advance:
            walk = reconciler.check(advance)
        faults = counted(walk)
        if repair:
            writer = stack.enter_context(closing(event_logs.open_writer(settings))) if against_source else None
            faults = reconciler.repair(walk, reader, writer)
    told = model or SourceModel()
    return VerifyReport(
        against="store" if model is None else "source",
        faults=faults,
        images=walk.images,
        copies=walk.copies,
        not_in_source=walk.not_in_source,
        records=told.records,
        pending=told.pending,
        set_aside=told.set_aside,
        unreadable=told.unreadable,
        seconds=round(time.monotonic() - started, 3),
    )


def _model(settings: Settings, reader: SourceReader) -> SourceModel:
    # In the order in which a record travels: once committed it is in the retries, later in the dead letters or in the
    # store, which is walked last. So none is missed that a worker moves meanwhile.
    with closing(event_logs.open_reader(settings)) as group:
        committed = group.committed_positions()
    return reader.model(committed, _waiting_retries(settings) | _dead_letters(settings))


def _waiting_retries(settings: Settings) -> set[Position]:
    """The positions of the originals of the retries that are not done."""
    with (
        closing(event_logs.open_retry_reader(settings)) as group,
        closing(event_logs.open_retry_scanner(settings)) as scanner,
    ):
        done_to = group.committed_positions()
        waiting = (record for record in scanner.scan() if record.offset >= done_to.get(record.partition, 0))
        originals = [retry.record for retry in map(retries.from_record, waiting) if retry is not None]
    return {(original.partition, original.offset) for original in originals}


def _dead_letters(settings: Settings) -> set[Position]:
    """The positions of the originals of all dead letters."""
    with closing(event_logs.open_dead_letter_scanner(settings)) as scanner:
        letters = map(dead_letters.from_record, scanner.scan())
        return {letter.source for letter in letters if letter is not None}
