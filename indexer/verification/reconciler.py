"""Compares a store with its event source, or with itself, and repairs what can be repaired.

What a walk finds may be a moment of somebody's write: each suspect is looked at again, in real time, before it counts.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby, islice

from indexer.verification.findings import Expected, Fault, Findings, Obstacle, Rules, findings_of
from indexer.verification.source_model import SourceModel, SourceReader
from shared.event_log import LogWriter
from shared.store import Store, StoredCopy

_LOOKS = 3
_LOOK_PAUSE_SECONDS = 2.0
"""Longer than a move takes, from the write of an image to the mark over its older copy."""
_IDS_AT_ONCE = 500
_EXAMPLES = 10
_SENT_AGAIN = frozenset({Fault.STALE, Fault.MISSING, Fault.FOREIGN_ENCODER})


@dataclass(frozen=True, slots=True)
class FaultCount:
    """One kind of fault: how many images have it (of `expired`: months), how many were repaired, and why others not.

    `examples` are image ids, or months.
    """

    fault: Fault
    found: int = 0
    repaired: int = 0
    not_repairable: Mapping[str, int] = field(default_factory=dict)
    examples: tuple[str, ...] = ()


@dataclass
class Walk:
    """What a walk over the store found; `findings` has the faults of each image, `expired` the months left over.

    `expected` says of the images with findings what must be there, `coming` of which of them an event has still to be
    indexed.
    """

    images: int = 0
    copies: int = 0
    not_in_source: int = 0
    findings: dict[str, Findings] = field(default_factory=dict)
    expected: dict[str, Expected | None] = field(default_factory=dict)
    coming: set[str] = field(default_factory=set)
    expired: list[str] = field(default_factory=list)


class Reconciler:
    """Walks a store, looks again, repairs. `pause` waits so many seconds between looks."""

    def __init__(self, store: Store, source: SourceModel | None, rules: Rules, pause: Callable[[float], None]) -> None:
        """`source` None compares the store with itself alone; what the walk has seen is taken out of it."""
        self._store = store
        self._source = source
        self._rules = rules
        self._pause = pause

    def check(self, advance: Callable[[int], None] = lambda _: None) -> Walk:
        """Walk the store; `advance` is told of each image."""
        walk = Walk()
        months: set[str] = set()
        with closing(self._store.scan()) as copies:
            for image_id, of_image in groupby(copies, key=lambda one: one.image_id):
                found = list(of_image)
                walk.images += 1
                walk.copies += len(found)
                months |= {one.month for one in found}
                self._suspect(walk, image_id, found)
                advance(1)
        if self._source is not None:
            for image_id in list(self._source.expected):
                self._suspect(walk, image_id, [])
        walk.expired = sorted(month for month in months if self._rules.is_left_over(month))
        self._look_again(walk)
        return walk

    def repair(self, walk: Walk, reader: SourceReader | None, writer: LogWriter | None) -> list[FaultCount]:
        """Settle what is doubled, drop what is expired, and send again what is missing, stale, or lacks the code.

        `reader` and `writer` of the event source may be None where the walk was against the store alone.
        """
        left = {**walk.findings}
        self._settle(walk, left)
        if walk.expired:
            self._store.drop_expired(self._rules.now, self._rules.window_months)
        if reader is not None and writer is not None:
            self._send_again(walk, left, reader, writer)
        return counted(walk, left)

    def _suspect(self, walk: Walk, image_id: str, copies: list[StoredCopy]) -> None:
        expected = None
        if self._source is not None:
            expected = self._source.expected.pop(image_id, None)
            if expected is None:
                walk.not_in_source += image_id not in self._source.on_the_way
            elif self._source.is_coming(image_id, expected.version):
                expected = None
                walk.coming.add(image_id)
        walk.expected[image_id] = expected
        if findings := self._findings(walk, image_id, copies):
            walk.findings[image_id] = findings
        else:
            del walk.expected[image_id]
            walk.coming.discard(image_id)

    def _findings(self, walk: Walk, image_id: str, copies: Iterable[StoredCopy]) -> Findings:
        counting = [one for one in copies if not self._rules.is_over(one.month)]
        found = findings_of(counting, walk.expected[image_id], self._rules)
        if image_id in walk.coming:
            # The worker that indexes the event adds the code.
            return {fault: obstacle for fault, obstacle in found.items() if fault is not Fault.FOREIGN_ENCODER}
        return found

    def _look_again(self, walk: Walk) -> None:
        for look in range(_LOOKS):
            if look:
                self._pause(_LOOK_PAUSE_SECONDS)
            walk.findings = self._look(walk, walk.findings)
            if all(None not in findings.values() for findings in walk.findings.values()):
                return

    def _look(self, walk: Walk, image_ids: Iterable[str]) -> dict[str, Findings]:
        found: dict[str, Findings] = {}
        for part in _parts(image_ids):
            copies: dict[str, list[StoredCopy]] = {image_id: [] for image_id in part}
            for copy in self._store.copies(part):
                copies[copy.image_id].append(copy)
            for image_id, of_image in copies.items():
                if findings := self._findings(walk, image_id, of_image):
                    found[image_id] = findings
        return found

    def _settle(self, walk: Walk, left: dict[str, Findings]) -> None:
        doubled = _with(walk.findings, Fault.DOUBLED)
        for part in _parts(doubled):
            self._store.settle(part)
        for image_id in _with(self._look(walk, doubled), Fault.DOUBLED):
            left[image_id] = {**left[image_id], Fault.DOUBLED: Obstacle.STILL_THERE}

    def _send_again(self, walk: Walk, left: dict[str, Findings], reader: SourceReader, writer: LogWriter) -> None:
        wanted = {}
        for image_id, findings in walk.findings.items():
            expected = walk.expected[image_id]
            if expected is not None and any(findings[fault] is None for fault in findings.keys() & _SENT_AGAIN):
                wanted[expected.partition, expected.offset] = image_id
        if not wanted:
            return
        for position in wanted.keys() - reader.send_again(wanted.keys(), writer):
            image_id = wanted[position]
            gone = dict.fromkeys(left[image_id].keys() & _SENT_AGAIN, Obstacle.NOT_IN_SOURCE)
            left[image_id] = {**left[image_id], **gone}


def counted(walk: Walk, left: Mapping[str, Findings] | None = None) -> list[FaultCount]:
    """How often each fault was found; with what a repair has `left`, how often that repaired it."""
    counts = []
    for fault in Fault:
        names = walk.expired if fault is Fault.EXPIRED else _with(walk.findings, fault)
        findings = walk.findings if left is None else left
        obstacles = Counter(
            obstacle.value for name in names if (obstacle := findings.get(name, {}).get(fault)) is not None
        )
        repaired = 0 if left is None else len(names) - obstacles.total()
        counts.append(FaultCount(fault, len(names), repaired, dict(obstacles), tuple(names[:_EXAMPLES])))
    return counts


def _with(findings: Mapping[str, Findings], fault: Fault) -> list[str]:
    return sorted(image_id for image_id, of_image in findings.items() if fault in of_image)


def _parts(image_ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(image_ids)
    while part := list(islice(rest, _IDS_AT_ONCE)):
        yield part
