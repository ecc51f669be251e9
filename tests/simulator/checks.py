"""What must hold after every step, and once all is done. The ids P2 to P7, and P9, are those of the promises.

The checks know what was produced and what the servers hold; they never ask the worker.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from indexer.dead_letters import from_record
from indexer.planning import Outcome
from indexer.retries import from_record as retry_of
from shared.document import Document, Kind
from shared.errors import RejectionReason
from shared.event_log import NewRecord, Record
from shared.rolling_window import is_inside
from shared.store.monthly_indices import Put
from tests.memory_indices import MemoryIndices
from tests.simulator.process import ENCODER_ID, FOREIGN_ID, code_of
from tests.simulator.scenario import SKEW_SECONDS_MAX, WINDOW_MONTHS, Happening
from tests.simulator.watching import WatchChecks

_SKEW = timedelta(seconds=SKEW_SECONDS_MAX)


class Checks:
    """Watches one world; `violations` is empty as long as every promise holds."""

    def __init__(
        self,
        indices: MemoryIndices,
        wall: Callable[[], datetime],
        searcher_skew: timedelta,
        dead_letters: list[NewRecord],
        matches: list[NewRecord],
    ) -> None:
        self._indices = indices
        self._wall = wall
        self._searcher_skew = searcher_skew
        self._dead_letters = dead_letters
        self._meant: dict[tuple[str, int], Happening] = {}
        self._of_record: dict[tuple[int, int], Happening | None] = {}
        self._open: dict[str, dict[int, tuple[str, tuple[int, int]]]] = defaultdict(dict)
        self._orphans: dict[str, set[tuple[int, int]]] = defaultdict(set)
        self._positions: dict[int, int] = defaultdict(int)
        self._letters: dict[tuple[int, int], RejectionReason] = {}
        self._letters_read = 0
        self._retried: dict[tuple[int, int], int] = {}
        self._retries_read: dict[int, int] = defaultdict(int)
        self._done: dict[str, int] = {}
        self._shown: dict[str, Document] = {}
        self._floor: dict[str, int] = {}
        self._stored: dict[str, list[Document]] = defaultdict(list)
        self.retries: Sequence[Sequence[Record]] = ()
        self.violations: list[str] = []
        self.watching = WatchChecks(wall, matches, self._say)

    # What the world tells -----------------------------------------------------------------------------------------

    def produced(self, partition: int, offset: int, happening: Happening | None) -> None:
        """A record was appended."""
        self._of_record[partition, offset] = happening
        if happening is not None:
            self._meant[happening.image_id, happening.version] = happening

    def begun(self, worker: str, record: Record) -> None:
        """A worker began with a record."""
        happening = self._of_record[_place(record)]
        if happening is not None:
            # By identity: after a rebalance the same process may have the same record twice.
            self._open[happening.image_id][id(record)] = worker, _place(record)

    def finished(self, record: Record, outcome: Outcome) -> None:
        """A worker says that a record has its outcome."""
        happening = self._of_record[_place(record)]
        if happening is None:
            return
        self._open[happening.image_id].pop(id(record))
        self._orphans[happening.image_id].discard(_place(record))
        self.watching.finished(happening, outcome)
        if outcome not in {Outcome.DEAD_LETTERED, Outcome.RETRIED}:
            self._done[happening.image_id] = max(happening.version, self._done.get(happening.image_id, -1))
        self._check_quiet(happening.image_id)

    def died(self, worker: str) -> None:
        """What this worker had begun is nobody's until it is read again."""
        for image_id, of_image in self._open.items():
            for key, (_, place) in [one for one in of_image.items() if one[1][0] == worker]:
                del of_image[key]
                self._orphans[image_id].add(place)

    def stored(self, put: Put) -> None:
        """A document was stored."""
        document = put.document
        if document.kind is not Kind.MOVED:
            self._stored[document.image_id].append(document)
            self.watching.stored(document)
        self._check_document(document)
        if put.over_equal and document.live and FOREIGN_ID not in document.codes:
            self._say(f"P1: {document} has lost a code, or went over one that had all")
        self._check_quiet(document.image_id)

    def searchable_changed(self) -> None:
        """P3: what a searcher shows now; never gone, never back to a lower version."""
        for image_id in list({image_id for image_id, _ in self._meant}):
            shown = self._view(image_id)
            before = self._shown.get(image_id)
            if shown is None:
                if before is not None and not self._may_be_gone(before):
                    self._say(f"P3: {image_id} disappeared; version {before.version} was shown")
                self._shown.pop(image_id, None)
                continue
            if shown.version < self._floor.get(image_id, -1) and not self._only_lags(shown):
                self._say(f"P3: {image_id} went back from version {self._floor[image_id]} to {shown.version}")
            self._floor[image_id] = max(shown.version, self._floor.get(image_id, -1))
            self._shown[image_id] = shown

    def committed(self, partition: int, before: int, position: int) -> None:
        """P2: no position passes a record without a durable outcome."""
        self._positions[partition] = position
        set_aside = {*self._lettered(), *self._retried_later(0)}
        for offset in range(before, position):
            happening = self._of_record[partition, offset]
            if (partition, offset) in set_aside or (happening is not None and self._is_durable(happening)):
                continue
            self._say(f"P2: the position {position} of partition {partition} passes record {offset}, {happening}")

    def retries_committed(self, partition: int, before: int, position: int) -> None:
        """P2, of the retries."""
        letters = self._lettered()
        for record in self.retries[partition][before:position]:
            retry = retry_of(record)
            assert retry is not None
            place = _place(retry.record)
            happening = self._of_record[place]
            if place in letters or place in self._retried_later(retry.number):
                continue
            if happening is None or not self._is_durable(happening):
                self._say(f"P2: the position {position} of retries {partition} passes {happening}")

    def uncommitted(self, worker: str, records: int, bound: int) -> None:
        """P6: were the worker killed now, so many records would be done again."""
        if records > bound:
            self._say(f"P6: {worker} would have {records} records done again, more than {bound}")

    def in_flight(self, worker: str, records: int, bound: int) -> None:
        """P7: a worker holds so many records in memory."""
        if records > bound:
            self._say(f"P7: {worker} has {records} records in flight, more than {bound}")

    # At the end ---------------------------------------------------------------------------------------------------

    def check_end(self) -> None:
        """The visible set is the model's; one live copy each; the dead letters are the poison."""
        now = self._wall() + self._searcher_skew
        for image_id in sorted({image_id for image_id, _ in self._meant}):
            self._check_image(image_id, now)
        letters = self._lettered()
        for place, happening in self._of_record.items():
            if happening is None and place not in letters:
                self._say(f"the junk at {place} is not in the dead letters")
            given_up = letters.get(place) == RejectionReason.IMAGE_UNAVAILABLE
            if happening is not None and not happening.poison and place in letters and not given_up:
                self._say(f"{happening} at {place} is in the dead letters")
        self.watching.check_end()
        if any(self._open.values()):
            self._say(f"records were begun and never done: {[one for one in self._open.values() if one]}")

    def _check_image(self, image_id: str, now: datetime) -> None:
        shown = self._view(image_id)
        meant = [one for (name, _), one in self._meant.items() if name == image_id]
        # Pictures that were not to be had until the retries were used up; another record of the event may have had it.
        given_up = {
            self._of_record[place]
            for place, reason in self._lettered().items()
            if reason == RejectionReason.IMAGE_UNAVAILABLE
        }
        certain = [one for one in meant if not one.poison and one not in given_up]
        best = max(certain, key=lambda one: one.version, default=None)
        if shown is not None and any(one is not None and one.version == shown.version for one in given_up):
            best = max([*certain, self._meant[image_id, shown.version]], key=lambda one: one.version)
        # Of what was outside the window when it was read no picture was asked for, so nobody knows that it is poison.
        overtaken = best is not None and any(
            one.version > best.version and not _is_inside(one, now + 2 * _SKEW) for one in meant
        )
        lacks_code = shown is not None and ENCODER_ID not in shown.codes
        live = [one for one in self._indices.held(image_id) if one.live]
        if len(live) > 1:
            self._say(f"{image_id} has {len(live)} live copies at rest: versions {[one.version for one in live]}")
        if best is None or best.kind is Kind.DELETED or not _is_inside(best, now):
            if shown is not None:
                self._say(f"{image_id} is shown in version {shown.version}, though nothing of it should be: {best}")
        # At the window's edge a worker's clock and the searcher's may disagree.
        elif shown is None and _is_inside(best, now + 2 * _SKEW) and not overtaken:
            self._say(f"{image_id} is lost: {best}")
        elif shown is not None and shown.version != best.version:
            self._say(f"{image_id} is stale: version {shown.version} is shown, {best} is the highest")
        # No code is added to what a worker's clock finds outside the window.
        elif lacks_code and best not in given_up and _is_inside(best, now + 2 * _SKEW):
            self._say(f"{image_id} has no code of the encoder: {best}")

    # The parts ----------------------------------------------------------------------------------------------------

    def _check_document(self, document: Document) -> None:
        meant = self._meant[document.image_id, document.version]
        if document.kind is Kind.MOVED:
            return
        if document.kind is Kind.EXPIRED:
            right = not _is_inside(meant, self._wall() + _SKEW) and meant.kind is Kind.IMAGE
        else:
            right = document.kind is meant.kind
        if document.live:
            codes = {name: code for name, code in document.codes.items() if name != FOREIGN_ID}
            right = right and codes == {ENCODER_ID: code_of(meant.url or "")}
        if not right or document.event_time_ms != meant.event_time_ms:
            self._say(f"{document} was stored for {meant}")

    def _check_quiet(self, image_id: str) -> None:
        """P3: an image of which nobody has a record in hand has one live copy at most, of its highest version."""
        waited_for = any(offset >= self._positions[partition] for partition, offset in self._orphans[image_id])
        if self._open[image_id] or waited_for or image_id not in self._done:
            return
        held = self._indices.held(image_id)
        highest = max((one.version for one in held), default=-1)
        done = self._done[image_id]
        if highest < done and _is_inside(self._meant[image_id, done], self._wall() - _SKEW):
            self._say(f"P2: {image_id} was done up to version {done}, but only {highest} is there")
        winners = [one for one in held if one.version == highest and one.kind is not Kind.MOVED]
        live = [one for one in held if one.live]
        if not winners and held and _is_inside(self._meant[image_id, highest], self._wall() - _SKEW):
            self._say(f"P3: {image_id} has moved at version {highest}, and is nowhere")
        if [one.version for one in live] != [highest] * any(one.live for one in winners):
            self._say(
                f"P3: nobody works on {image_id}, and it has live copies of versions {[one.version for one in live]}; "
                f"held: {[(one.version, one.kind.value) for one in held]}"
            )

    def _view(self, image_id: str) -> Document | None:
        """What a searcher shows of an image: the visible copy of the highest version, over all months."""
        now = self._wall() + self._searcher_skew
        found = [one for one in self._indices.found(image_id) if is_inside(one.event_time_ms, now, WINDOW_MONTHS)]
        return max(found, key=lambda one: one.version, default=None)

    def _may_be_gone(self, before: Document) -> bool:
        """Whether it left the window, or was ever superseded by what is not visible."""
        now = self._wall() + self._searcher_skew
        return not is_inside(before.event_time_ms, now, WINDOW_MONTHS) or any(
            (one.version > before.version and not (one.live and is_inside(one.event_time_ms, now, WINDOW_MONTHS)))
            # At the edge one worker's clock may find inside what another's finds outside.
            or (one.version == before.version and one.kind is Kind.EXPIRED)
            for one in self._stored[before.image_id]
        )

    def _only_lags(self, shown: Document) -> bool:
        """Whether what is shown is gone already but for the next refresh, because the image itself goes."""
        return self._may_be_gone(shown) and shown not in self._indices.held(shown.image_id)

    def _is_durable(self, happening: Happening) -> bool:
        if not _is_inside(happening, self._wall() - _SKEW):
            # Its month may be gone.
            return True
        highest = max((one.version for one in self._indices.held(happening.image_id)), default=-1)
        return highest >= happening.version

    def _retried_later(self, number: int) -> set[tuple[int, int]]:
        """The places of the records of which a retry with a higher number is in the log."""
        for partition, records in enumerate(self.retries):
            for record in records[self._retries_read[partition] :]:
                retry = retry_of(record)
                assert retry is not None
                place = _place(retry.record)
                self._retried[place] = max(retry.number, self._retried.get(place, 0))
            self._retries_read[partition] = len(records)
        return {place for place, highest in self._retried.items() if highest > number}

    def _lettered(self) -> Mapping[tuple[int, int], RejectionReason]:
        """The places of the records in the dead letters, and why they are there."""
        for new in self._dead_letters[self._letters_read :]:
            letter = from_record(Record("letters", 0, 1, new.timestamp_ms, new.key, new.value, new.headers))
            assert letter is not None
            self._letters[_place(letter.record)] = letter.reason
        self._letters_read = len(self._dead_letters)
        return self._letters

    def _say(self, violation: str) -> None:
        self.violations.append(violation)


def outcomes_add_up(consumed: float, outcomes: Mapping[str, float]) -> bool:
    """P4: every record consumed has exactly one outcome."""
    return consumed == sum(outcomes.values())


def _is_inside(happening: Happening, now: datetime) -> bool:
    return is_inside(happening.event_time_ms, now, WINDOW_MONTHS)


def _place(record: Record) -> tuple[int, int]:
    return int(record.partition), record.offset


def summary(violations: Sequence[str]) -> str:
    """The first violation, and how many followed from it."""
    return violations[0] + (f" (and {len(violations) - 1} more)" if len(violations) > 1 else "")
