"""What the event source says of each image: its highest version among the events that must be in the store.

Only records before the group's committed positions must be there; no position is moved. Memory: see `SourceModel`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from indexer.catalogue_event import CatalogueEvent, parse
from indexer.set_aside import key_to_append
from indexer.verification.findings import Expected
from shared.errors import RejectedError
from shared.event_log import LogScanner, LogWriter, NewRecord, Record

# Partition and offset of a record in the event source.
Position = tuple[str, int]

# Records that are sent again are appended in parts of about this size.
_APPEND_BYTES = 8 * 1024 * 1024


@dataclass
class SourceModel:
    """What was read of the source: about 240 bytes an image, ids of 14 characters included.

    `expected` is what must be in the store, by image id; `on_the_way` is the highest version of each image that has
    still to be indexed. The counts are records: all, those still to be indexed, those set aside (dead letters, and
    retries that are not due yet), and those that can't be read.
    """

    expected: dict[str, Expected] = field(default_factory=dict)
    on_the_way: dict[str, int] = field(default_factory=dict)
    records: int = 0
    pending: int = 0
    set_aside: int = 0
    unreadable: int = 0

    def is_coming(self, image_id: str, version: int) -> bool:
        """Whether this version, or a higher one, has still to be read."""
        return self.on_the_way.get(image_id, -1) >= version


@dataclass(frozen=True, slots=True)
class SourceReader:
    """Reads events of the source from its start; `now` and `event_bytes_max` as for `parse`."""

    scanner: LogScanner
    now: datetime
    event_bytes_max: int
    advance: Callable[[int], None] = lambda _: None

    def model(self, committed: Mapping[str, int], set_aside: Collection[Position]) -> SourceModel:
        """What the records say. Read `committed` first and then what is `set_aside`, so that nothing slips between."""
        model = SourceModel()
        for record in self.scanner.scan():
            model.records += 1
            self.advance(1)
            if (record.partition, record.offset) in set_aside:
                model.set_aside += 1
                continue
            event = self._event(record)
            if event is None:
                model.unreadable += 1
            elif record.offset >= committed.get(record.partition, 0):
                model.pending += 1
                _note_pending(model, event)
            else:
                _note_done(model, event, record)
        return model

    def send_again(self, positions: Collection[Position], writer: LogWriter) -> set[Position]:
        """Append the records at these positions to the source again, with their versions and event times.

        Key and value stay what they are, byte for byte. Gives those that the source still holds.
        """
        sent: set[Position] = set()
        part: list[NewRecord] = []
        size_bytes = 0
        for position, record, event in self._records_at(positions):
            part.append(_again(record, event))
            size_bytes += record.size_bytes
            sent.add(position)
            if size_bytes >= _APPEND_BYTES:
                writer.append(part)
                part, size_bytes = [], 0
        writer.append(part)
        return sent

    def _records_at(self, positions: Collection[Position]) -> Iterator[tuple[Position, Record, CatalogueEvent]]:
        for record in self.scanner.scan():
            position = (record.partition, record.offset)
            event = self._event(record) if position in positions else None
            if event is not None:
                yield position, record, event

    def _event(self, record: Record) -> CatalogueEvent | None:
        try:
            return parse(record, self.now, self.event_bytes_max)
        except RejectedError:
            return None


def _again(record: Record, event: CatalogueEvent) -> NewRecord:
    resolved = event.resolved.headers()
    names = {name for name, _ in resolved}
    own = [(name, value) for name, value in record.headers if name not in names]
    return NewRecord(key_to_append(record), record.value, [*own, *resolved])


def _note_pending(model: SourceModel, event: CatalogueEvent) -> None:
    known = model.on_the_way.get(event.image_id, -1)
    model.on_the_way[event.image_id] = max(known, event.resolved.version)


def _note_done(model: SourceModel, event: CatalogueEvent, record: Record) -> None:
    known = model.expected.get(event.image_id)
    # Of equal versions the first read stays.
    if known is None or event.resolved.version > known.version:
        model.expected[event.image_id] = Expected(
            event.resolved.version, event.event_time_ms, event.deleted, record.partition, record.offset
        )
