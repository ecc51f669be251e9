"""What `indexer verify` finds in copies and events, and what its repair does, on monthly indices in memory."""

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import pytest
from prometheus_client.parser import text_string_to_metric_families

from indexer import dead_letters, retries
from indexer.dead_letters import DeadLetter
from indexer.verification.command import VerifyReport, verify
from indexer.verification.findings import Expected, Fault, Findings, Obstacle, Rules, findings_of
from indexer.verification.reconciler import FaultCount, Reconciler, counted
from indexer.verification.source_model import SourceModel, SourceReader
from shared.document import Document, Kind
from shared.errors import ConfigurationError, RejectionReason
from shared.event_log import LogReader, NewRecord, Record, opening
from shared.rolling_window import to_milliseconds
from shared.settings import Settings
from shared.store import StoredCopy, monthly_indices
from tests.fake_store import FakeStore
from tests.memory_indices import MemoryIndices

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW_MS = to_milliseconds(NOW)
LONG_AGO_MS = to_milliseconds(datetime(2026, 7, 1, tzinfo=UTC))
OURS = "classic-itq16@0a1b2c"
RULES = Rules(OURS, NOW, 3)


def copy(
    month: str = "2026.11", version: int = 5, kind: Kind = Kind.IMAGE, time_ms: int = NOW_MS, codes: str = OURS
) -> StoredCopy:
    return StoredCopy(month, "a", kind, version, time_ms, frozenset([codes] if kind is Kind.IMAGE else []))


def expected(version: int = 5, time_ms: int = NOW_MS, deleted: bool = False) -> Expected:
    return Expected(version, time_ms, deleted, "0", 7)


# One image ------------------------------------------------------------------------------------------------------------

MOVED = copy("2026.10", 5, Kind.MOVED)
EDGE_MS = to_milliseconds(datetime(2026, 8, 20, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("copies", "event", "found"),
    [
        pytest.param([copy()], expected(), {}, id="as it should be"),
        pytest.param([copy(), MOVED], expected(), {}, id="moved"),
        pytest.param([copy(version=6)], expected(), {}, id="further than the source"),
        pytest.param([copy()], None, {}, id="not in the source"),
        pytest.param([copy(), copy("2026.10", 4)], expected(), {Fault.DOUBLED: None}, id="an older live copy"),
        pytest.param([copy(), copy("2026.10")], expected(), {Fault.DOUBLED: None}, id="two of one version"),
        pytest.param(
            [copy(kind=Kind.DELETED), copy("2026.10", 4)],
            expected(deleted=True),
            {Fault.DOUBLED: None},
            id="a live copy beside a delete",
        ),
        pytest.param(
            [copy("2026.11", 3), copy("2026.10", 4)],
            expected(),
            {Fault.DOUBLED: None, Fault.STALE: None},
            id="doubled, and both stale",
        ),
        pytest.param([copy(version=4)], expected(), {Fault.STALE: None}, id="stale"),
        pytest.param([copy(version=4)], expected(deleted=True), {Fault.STALE: None}, id="a delete that was lost"),
        pytest.param([copy(version=4)], expected(time_ms=LONG_AGO_MS), {Fault.STALE: None}, id="an expiry was lost"),
        pytest.param([], expected(), {Fault.MISSING: None}, id="missing"),
        pytest.param([], expected(deleted=True), {}, id="a delete that went with its month"),
        pytest.param([], expected(time_ms=LONG_AGO_MS), {}, id="an old image that went with its month"),
        pytest.param([], expected(time_ms=EDGE_MS + 3_600_000), {}, id="at the edge for a clock an hour ahead"),
        pytest.param([], expected(time_ms=EDGE_MS + 3_600_001), {Fault.MISSING: None}, id="just inside that edge"),
        pytest.param([MOVED], expected(), {Fault.MISSING: Obstacle.SAME_VERSION}, id="a mark without its copy"),
        pytest.param(
            [copy(kind=Kind.EXPIRED)], expected(), {Fault.MISSING: Obstacle.SAME_VERSION}, id="expired too early"
        ),
        pytest.param([copy(kind=Kind.DELETED)], expected(), {}, id="of equal versions the first read stays"),
        pytest.param([copy(codes="other")], expected(), {Fault.FOREIGN_ENCODER: None}, id="foreign encoder"),
        pytest.param(
            [copy(codes="other")], expected(4), {Fault.FOREIGN_ENCODER: Obstacle.NOT_IN_SOURCE}, id="an older event"
        ),
        pytest.param(
            [copy(codes="other")], None, {Fault.FOREIGN_ENCODER: Obstacle.NOT_IN_SOURCE}, id="foreign, and no event"
        ),
        pytest.param(
            [copy(codes="other")],
            expected(deleted=True),
            {Fault.FOREIGN_ENCODER: Obstacle.SAME_VERSION},
            id="foreign, and the event of this version is a delete",
        ),
        pytest.param(
            [copy(codes="other")],
            expected(6),
            {Fault.FOREIGN_ENCODER: None, Fault.STALE: None},
            id="foreign and stale",
        ),
        pytest.param([copy(codes="other", time_ms=LONG_AGO_MS)], None, {}, id="foreign, and not visible"),
    ],
)
def test_faults_of_one_image(copies: Sequence[StoredCopy], event: Expected | None, found: Findings) -> None:
    assert findings_of(copies, event, RULES) == found
    assert findings_of(list(reversed(copies)), event, RULES) == found


def test_without_an_active_encoder_no_code_is_foreign() -> None:
    assert findings_of([copy(codes="other")], None, replace(RULES, encoder_id=None)) == {}


def test_a_month_is_over_for_an_hour_before_it_counts_as_left_over() -> None:
    # July may hold event times up to a day and an hour into August, so it is over when the window starts there.
    over = datetime(2026, 11, 2, 1, tzinfo=UTC)
    for minutes, is_over, is_left_over in ((-1, False, False), (0, True, False), (59, True, False), (60, True, True)):
        rules = replace(RULES, now=over + timedelta(minutes=minutes))
        assert (rules.is_over("2026.07"), rules.is_left_over("2026.07")) == (is_over, is_left_over)


# The source -----------------------------------------------------------------------------------------------------------


@dataclass
class MemorySource:
    """An event source in memory, of one partition; offsets count from 0."""

    records: list[Record] = field(default_factory=list)

    def add(
        self, value: Mapping[str, object] | None, image_id: str = "a", headers: Sequence[tuple[str, bytes]] = ()
    ) -> int:
        content = None if value is None else json.dumps(value).encode()
        self.append([NewRecord(image_id.encode(), content, headers)])
        return len(self.records) - 1

    def append(self, records: Sequence[NewRecord]) -> None:
        for one in records:
            at = len(self.records)
            self.records.append(Record("0", at, at + 1, NOW_MS, one.key, one.value, one.headers))

    def scan(self, since: Mapping[str, int] = MappingProxyType({})) -> Iterator[Record]:
        yield from self.records[since.get("0", 0) :]

    def end_positions(self) -> Mapping[str, int]:
        return {"0": len(self.records)}

    def close(self) -> None:
        """Nothing to free."""

    def model(self, committed: int | None = None, set_aside: Sequence[int] = ()) -> SourceModel:
        positions = {"0": len(self.records) if committed is None else committed}
        return self.reader().model(positions, {("0", offset) for offset in set_aside})

    def reader(self) -> SourceReader:
        return SourceReader(self, NOW, 1_000_000)


def event(version: int | None = 1, **fields: object) -> dict[str, object]:
    found = {"image": {"url": "https://pictures.example/1.jpg"}, "event_time": NOW.isoformat(), **fields}
    return found if version is None else {"version": version, **found}


def test_the_source_says_the_highest_version_of_each_image() -> None:
    source = MemorySource()
    for image_id, version in (("a", 2), ("b", 1), ("a", 5), ("a", 5), ("a", 3)):
        source.add(event(version), image_id)
    source.add(None, "c")
    model = source.model()
    assert model.expected == {
        "a": Expected(5, NOW_MS, False, "0", 2),
        "b": Expected(1, NOW_MS, False, "0", 1),
        "c": Expected(NOW_MS * 1000, NOW_MS, True, "0", 5),
    }
    assert (model.records, model.pending, model.set_aside, model.unreadable) == (6, 0, 0, 0)


def test_only_what_was_committed_and_neither_set_aside_nor_unreadable_must_be_there() -> None:
    source = MemorySource()
    source.add(event(1))
    dead = source.add(event(2))
    source.add({"image": 5})
    pending = source.add(event(3))
    model = source.model(committed=pending, set_aside=[dead])
    assert model.expected == {"a": Expected(1, NOW_MS, False, "0", 0)}
    assert (model.records, model.pending, model.set_aside, model.unreadable) == (4, 1, 1, 1)
    assert model.is_coming("a", 3)
    assert not model.is_coming("a", 4)
    assert not model.is_coming("b", 0)


def test_records_are_sent_again_byte_for_byte_with_what_they_resolved_to() -> None:
    source = MemorySource()
    source.add(event(None), headers=[("trace", b"\xff")])
    source.add(event(7), "other")
    source.add(None, "gone")
    wanted = {("0", 0), ("0", 2), ("0", 99)}
    assert source.reader().send_again(wanted, source) == {("0", 0), ("0", 2)}
    first, _, gone, again, gone_again = source.records
    resolved = [
        ("catalogue-version", str(NOW_MS * 1000).encode()),
        ("catalogue-version-explicit", b"0"),
        ("catalogue-event-time-us", str(NOW_MS * 1000).encode()),
    ]
    assert (again.key, again.value, again.headers) == (first.key, first.value, [("trace", b"\xff"), *resolved])
    assert (gone_again.key, gone_again.value, gone_again.headers) == (gone.key, None, resolved)
    # Sent once more, the headers are not there twice.
    source.reader().send_again({("0", 3)}, source)
    assert source.records[-1].headers == again.headers


# Walks and repairs ----------------------------------------------------------------------------------------------------


class MonthlyStore(FakeStore):
    """The part of a store that a reconciler uses, over monthly indices in memory."""

    def __init__(self, indices: MemoryIndices) -> None:
        super().__init__()
        self.indices = indices
        for month in ("2026.10", "2026.11"):
            indices.prepare(month, {})

    def plant(self, month: str, *documents: Document) -> None:
        self.indices.prepare(month, {})
        for document in documents:
            self.indices.months[month][document.image_id] = document

    def settle(self, image_ids: Sequence[str]) -> Mapping[str, Document]:
        return monthly_indices.settle(self.indices, image_ids)

    def drop_expired(self, now: datetime, window_months: int) -> Sequence[str]:
        return monthly_indices.drop_expired(self.indices, now, window_months)

    def scan(self) -> Generator[StoredCopy, None, None]:
        names = sorted({image_id for held in self.indices.months.values() for image_id in held})
        for name in names:
            yield from self.copies([name])

    def copies(self, image_ids: Sequence[str]) -> Sequence[StoredCopy]:
        found = self.indices.copies(image_ids, self.indices.live())
        return [
            StoredCopy(month, one.image_id, one.kind, one.version, one.event_time_ms, frozenset(one.codes))
            for of_image in found.values()
            for month, one in of_image.items()
        ]


def document(image_id: str, version: int, kind: Kind = Kind.IMAGE, encoder_id: str = OURS) -> Document:
    codes = {encoder_id: b"\0\0"} if kind is Kind.IMAGE else {}
    return Document(image_id, kind, version, True, NOW_MS, codes=codes)


def nonzero(counts: Sequence[FaultCount]) -> dict[Fault, tuple[int, int, tuple[str, ...]]]:
    return {one.fault: (one.found, one.repaired, one.examples) for one in counts if one.found}


@pytest.fixture
def store() -> MonthlyStore:
    return MonthlyStore(MemoryIndices())


def test_faults_are_found_repaired_and_gone(store: MonthlyStore) -> None:
    source = MemorySource()
    for image_id in ("doubled", "fine", "foreign", "missing", "stale"):
        source.add(event(2), image_id)
    store.plant("2026.11", *(document(name, 2) for name in ("doubled", "fine")), document("foreign", 2, encoder_id="x"))
    store.plant("2026.10", document("doubled", 1), document("stale", 1), document("unknown", 1))
    store.plant("2026.06", document("forgotten", 1))
    pauses: list[float] = []
    reconciler = Reconciler(store, source.model(), RULES, pauses.append)
    walk = reconciler.check()
    assert nonzero(counted(walk)) == {
        Fault.DOUBLED: (1, 0, ("doubled",)),
        Fault.STALE: (1, 0, ("stale",)),
        Fault.MISSING: (1, 0, ("missing",)),
        Fault.FOREIGN_ENCODER: (1, 0, ("foreign",)),
        Fault.EXPIRED: (1, 0, ("2026.06",)),
    }
    assert (walk.images, walk.copies, walk.not_in_source) == (6, 7, 2)
    assert pauses == [2.0, 2.0]

    counts = reconciler.repair(walk, source.reader(), source)
    assert {one.fault: one.repaired for one in counts} == {
        Fault.DOUBLED: 1,
        Fault.STALE: 1,
        Fault.MISSING: 1,
        Fault.FOREIGN_ENCODER: 1,
        Fault.EXPIRED: 1,
    }
    assert store.indices.held("doubled") == [
        Document("doubled", Kind.MOVED, 2, True, NOW_MS),
        document("doubled", 2),
    ]
    assert list(store.indices.months) == ["2026.10", "2026.11"]
    assert sorted(record.key or b"" for record in source.records[5:]) == [b"foreign", b"missing", b"stale"]
    # What was sent again has still to be indexed, and is no fault meanwhile.
    again = Reconciler(store, source.model(committed=5), RULES, pauses.append).check()
    assert nonzero(counted(again)) == {}


def test_a_move_in_progress_is_no_fault(store: MonthlyStore) -> None:
    store.plant("2026.10", document("a", 1))
    store.plant("2026.11", document("a", 2))

    def worker_goes_on(seconds: float) -> None:
        store.settle(["a"])

    assert Reconciler(store, None, RULES, worker_goes_on).check().findings == {}


def test_against_itself_a_store_lacks_nothing_and_its_repair_needs_no_source(store: MonthlyStore) -> None:
    store.plant("2026.10", *(document(f"{number:04}", 1) for number in range(1200)))
    store.plant("2026.11", *(document(f"{number:04}", 2) for number in range(0, 1200, 2)))
    reconciler = Reconciler(store, None, RULES, lambda _: None)
    walk = reconciler.check()
    assert nonzero(reconciler.repair(walk, None, None)) == {
        Fault.DOUBLED: (600, 600, tuple(f"{number:04}" for number in range(0, 20, 2)))
    }
    assert Reconciler(store, None, RULES, lambda _: None).check().findings == {}


def test_what_the_source_no_longer_holds_is_told_to_be_left(store: MonthlyStore) -> None:
    source = MemorySource()
    source.add(event(2), "a")
    model = source.model()
    source.records.clear()
    reconciler = Reconciler(store, model, RULES, lambda _: None)
    counts = reconciler.repair(reconciler.check(), source.reader(), source)
    missing = next(one for one in counts if one.fault is Fault.MISSING)
    assert (missing.found, missing.repaired) == (1, 0)
    assert missing.not_repairable == {Obstacle.NOT_IN_SOURCE.value: 1}


def test_a_walk_ends_its_scan_where_it_is_interrupted() -> None:
    class Interrupted(FakeStore):
        ended = False

        def scan(self) -> Generator[StoredCopy, None, None]:
            try:
                yield copy()
                yield replace(copy(), image_id="b")
            finally:
                self.ended = True

    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    store = Interrupted()
    with closing(store), pytest.raises(KeyboardInterrupt):
        Reconciler(store, None, RULES, lambda _: None).check(interrupt)
    assert store.ended


# The logs beside the source -------------------------------------------------------------------------------------------


def commit_all(reader: LogReader) -> list[Record]:
    with closing(reader):
        records = list(reader.poll(1000, 0).records)
        reader.commit({record.partition: record.next_offset for record in records})
    return records


def test_waiting_retries_and_dead_letters_are_not_missing(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        events_url=f"file://{tmp_path}/events.jsonl",
        store_url=f"sqlite://{tmp_path}/catalogue.db",
    )

    def found() -> tuple[int, dict[Fault, tuple[int, int, tuple[str, ...]]]]:
        report = verify(
            settings,
            against_source=True,
            repair=False,
            now=lambda: NOW,
            stages=lambda _: nullcontext(lambda _: None),
            pause=lambda _: None,
        )
        return report.set_aside, nonzero(report.faults)

    lines = [json.dumps(event(1, image_id=name)) for name in ("lost", "waiting", "dead")]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    _, waiting, dead = commit_all(opening.open_reader(settings))
    with closing(opening.open_retry_writer(settings)) as writer:
        writer.append([retries.to_new_record(retries.Retry(waiting, None, 1, NOW_MS, NOW_MS))])
    with closing(opening.open_dead_letter_writer(settings)) as writer:
        letter = DeadLetter(dead, RejectionReason.IMAGE_NOT_FOUND, "404", None, NOW_MS)
        writer.append([dead_letters.to_new_record(letter)])
    assert found() == (2, {Fault.MISSING: (1, 0, ("lost",))})
    commit_all(opening.open_retry_reader(settings))
    assert found() == (1, {Fault.MISSING: (2, 0, ("lost", "waiting"))})


# The report -----------------------------------------------------------------------------------------------------------


def report(*counts: FaultCount) -> VerifyReport:
    return VerifyReport("source", list(counts), 3, 4, 1, 10, 2, 1, 0, 0.5)


def test_the_report_says_what_is_left() -> None:
    found = report(FaultCount(Fault.STALE, 3, 2, {"why": 1}, ("a",)), FaultCount(Fault.DOUBLED, 4, 4))
    assert (found.found, found.left) == (7, 1)
    assert json.loads(found.to_json())["faults"][0] == {
        "fault": "stale",
        "found": 3,
        "repaired": 2,
        "not_repairable": {"why": 1},
        "examples": ["a"],
    }


def test_metrics_are_written_for_a_collector_of_text_files(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.prom"
    report(FaultCount(Fault.STALE, 3, 2)).write_metrics(path, NOW)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }
    assert samples == {
        ("catalogue_verify_faults", "stale"): 3,
        ("catalogue_verify_repaired", "stale"): 2,
        ("catalogue_verify_images",): 3,
        ("catalogue_verify_end_timestamp_seconds",): NOW_MS / 1000,
    }
    with pytest.raises(ConfigurationError, match="--metrics-file"):
        report().write_metrics(path / "below", NOW)
