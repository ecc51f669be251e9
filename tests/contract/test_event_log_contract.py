"""What every log of records promises, held by a JSON Lines file and by a real Kafka topic alike."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from indexer.catalogue_event import Resolved, resolve_leniently
from indexer.dead_letters import DeadLetter, ReplayCounts, list_dead_letters, replay, to_new_record
from shared.errors import BadInputHaltError, RejectionReason
from shared.event_log import LogReader, LogScanner, LogWriter, NewRecord, Record, opening
from shared.settings import Settings


class _Closable(Protocol):
    def close(self) -> None: ...


_Opened = TypeVar("_Opened", bound=_Closable)

MEBIBYTE = 1024 * 1024
REASONS = (RejectionReason.IMAGE_NOT_FOUND, RejectionReason.EVENT_INVALID)


class Log:
    """A fresh log of one test: its event source and its dead letters, opened as often as the test likes."""

    def __init__(self, settings: Settings, closing: ExitStack) -> None:
        self.settings = settings
        self._closing = closing

    def reader(self, group: str = "group") -> LogReader:
        return self._kept(opening.open_reader(self.settings.model_copy(update={"group": group})))

    def writer(self) -> LogWriter:
        return self._kept(opening.open_writer(self.settings))

    def scanner(self) -> LogScanner:
        return self._kept(opening.open_scanner(self.settings))

    def dead_letter_reader(self) -> LogReader:
        return self._kept(opening.open_dead_letter_reader(self.settings))

    def dead_letter_writer(self) -> LogWriter:
        return self._kept(opening.open_dead_letter_writer(self.settings))

    def dead_letter_scanner(self) -> LogScanner:
        return self._kept(opening.open_dead_letter_scanner(self.settings))

    def _kept(self, opened: _Opened) -> _Opened:
        self._closing.callback(opened.close)
        return opened


@pytest.fixture(params=["file", pytest.param("kafka", marks=pytest.mark.containers)])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Log]:
    if request.param == "file":
        url = f"file://{tmp_path}/events.jsonl"
    else:
        url = f"kafka://{request.getfixturevalue('kafka_broker')}/contract-{uuid.uuid4().hex}"
    with ExitStack() as closing:
        yield Log(
            Settings(events_url=url, kafka_partitions=2, kafka_session_seconds=6, dead_letter_bytes_max=32 * MEBIBYTE),
            closing,
        )


def event(image_id: str, version: int = 0) -> NewRecord:
    """An event that both kinds of log can hold."""
    return NewRecord(image_id.encode(), json.dumps({"image_id": image_id, "version": version}).encode())


def read(reader: LogReader, count: int, patience: int = 40) -> list[Record]:
    """Poll until `count` records came, and none more in a last poll."""
    records: list[Record] = []
    for _ in range(patience):
        records += reader.poll(1000, 0.5).records
        if len(records) >= count:
            break
    records += reader.poll(1000, 0.1).records
    assert len(records) == count
    return records


def behind(records: list[Record]) -> Mapping[str, int]:
    """The positions that leave all of these behind."""
    return {record.partition: record.next_offset for record in records}


def values(records: list[Record]) -> list[bytes]:
    return sorted(record.value or b"" for record in records)


def test_what_is_appended_is_read_with_rising_offsets(log: Log) -> None:
    events = [event(f"image-{n}") for n in range(20)]
    log.writer().append(events)
    records = read(log.reader(), 20)
    assert values(records) == sorted(one.value or b"" for one in events)
    reached: dict[str, int] = {}
    for record in records:
        assert record.offset >= reached.get(record.partition, 0)
        assert record.next_offset > record.offset
        reached[record.partition] = record.next_offset


def test_a_reader_that_comes_again_goes_on_at_the_committed_position(log: Log) -> None:
    writer = log.writer()
    writer.append([event(f"image-{n}") for n in range(10)])
    first = log.reader()
    records = read(first, 10)
    first.commit(behind(records))
    first.close()
    writer.append([event("late")])
    assert values(read(log.reader(), 1)) == [event("late").value]


def test_a_position_in_the_middle_is_kept(log: Log) -> None:
    log.writer().append([event("one", n) for n in range(6)])
    first = log.reader()
    records = read(first, 6)
    first.commit(behind(records[:4]))
    first.close()
    assert [one.offset for one in read(log.reader(), 2)] == [one.offset for one in records[4:]]


def test_without_a_commit_everything_comes_again(log: Log) -> None:
    log.writer().append([event(f"image-{n}") for n in range(5)])
    first = log.reader()
    assert len(read(first, 5)) == 5
    first.close()
    assert len(read(log.reader(), 5)) == 5


def test_closing_commits_nothing_even_of_what_is_staged(log: Log) -> None:
    log.writer().append([event(f"image-{n}") for n in range(5)])
    first = log.reader()
    first.stage(behind(read(first, 5)))
    first.close()
    assert len(read(log.reader(), 5)) == 5


def test_groups_do_not_disturb_each_other(log: Log) -> None:
    log.writer().append([event("one")])
    first = log.reader("first")
    first.commit(behind(read(first, 1)))
    assert len(read(log.reader("second"), 1)) == 1


def test_the_records_of_a_key_come_in_the_order_of_their_appending(log: Log) -> None:
    writer = log.writer()
    for version in range(30):
        writer.append([event(f"image-{n}", version) for n in range(3)])
    versions: dict[str, list[int]] = {}
    for record in read(log.reader(), 90):
        value = json.loads(record.value or b"")
        versions.setdefault(value["image_id"], []).append(value["version"])
    assert versions == {f"image-{n}": list(range(30)) for n in range(3)}


def test_a_poll_brings_no_more_than_there_is_room_for(log: Log) -> None:
    log.writer().append([event("one", n) for n in range(10)])
    reader = log.reader()
    sizes: list[int] = []
    while sum(sizes) < 10:
        sizes.append(len(reader.poll(4, 0.5).records))
    assert max(sizes) <= 4


def test_a_poll_without_room_brings_nothing_and_loses_nothing(log: Log) -> None:
    writer = log.writer()
    writer.append([event("one", n) for n in range(4)])
    reader = log.reader()
    first: list[Record] = []
    while not first:
        first += reader.poll(1, 0.5).records
    for _ in range(10):
        assert reader.poll(0, 0.1).records == []
    writer.append([event("one", 4)])
    assert [one.offset for one in [*first, *read(reader, 4)]] == [one.offset for one in read(log.reader("other"), 5)]


def test_end_lag_and_committed_positions_agree(log: Log) -> None:
    writer, reader = log.writer(), log.reader()
    writer.append([event(f"image-{n}") for n in range(20)])
    ends = reader.end_positions()
    start = reader.committed_positions()
    assert set(start) == set(ends)
    assert set(start.values()) == {0}
    assert reader.lag() == {}
    records = read(reader, 20)
    assert behind(records).items() <= ends.items()
    assert reader.lag() == dict.fromkeys(ends, 0)
    assert reader.committed_positions() == start
    reader.commit(behind(records))
    assert reader.committed_positions() == ends
    writer.append([event("late")])
    assert sum(reader.lag().values()) > 0
    assert sum(reader.end_positions().values()) > sum(ends.values())


def test_a_position_of_a_partition_that_is_not_held_is_left_out(log: Log) -> None:
    log.writer().append([event("one")])
    idle = log.reader()
    partitions = idle.end_positions()
    idle.commit(dict.fromkeys(partitions, 1))
    assert set(log.reader().committed_positions().values()) == {0}


def test_positions_can_be_asked_beside_a_reader_of_the_same_group(log: Log) -> None:
    log.writer().append([event("one")])
    reader = log.reader()
    records = read(reader, 1)
    reader.commit(behind(records))
    beside = log.reader()
    assert behind(records).items() <= beside.committed_positions().items()
    assert beside.committed_positions() == reader.committed_positions()
    beside.close()
    log.writer().append([event("two")])
    assert len(read(reader, 1)) == 1


def test_a_log_that_is_not_there_yet_is_waited_for(log: Log) -> None:
    reader = log.reader()
    assert reader.poll(10, 0.2).records == []
    assert sum(reader.end_positions().values()) == sum(reader.committed_positions().values()) == 0
    assert list(log.scanner().scan()) == []
    log.writer().append([event("one")])
    assert values(read(reader, 1)) == [event("one").value]


def test_a_scan_reads_all_and_moves_no_position(log: Log) -> None:
    writer, reader = log.writer(), log.reader()
    writer.append([event(f"image-{n}") for n in range(50)])
    records = read(reader, 50)
    reader.commit(behind(records[:10]))
    before = reader.committed_positions()
    scanner = log.scanner()
    for _ in range(2):
        assert sorted(scanner.scan(), key=position) == sorted(records, key=position)
    assert reader.committed_positions() == before
    writer.append([event("late")])
    assert len(list(scanner.scan())) == 51


def test_a_scan_may_begin_at_positions_that_were_the_end_before(log: Log) -> None:
    writer, scanner = log.writer(), log.scanner()
    assert scanner.end_positions() == {}
    assert list(scanner.scan(scanner.end_positions())) == []
    writer.append([event(f"image-{n}") for n in range(20)])
    ends = scanner.end_positions()
    assert list(scanner.scan(ends)) == []
    writer.append([event(f"late-{n}") for n in range(20)])
    assert {record.value for record in scanner.scan(ends)} == {event(f"late-{n}").value for n in range(20)}


def position(record: Record) -> tuple[str, int]:
    return record.partition, record.offset


def test_a_scan_ends_where_the_log_ended_when_it_began(log: Log) -> None:
    writer = log.writer()
    writer.append([event("one", n) for n in range(3)])
    scan = log.scanner().scan()
    records = [next(scan)]
    writer.append([event("one", 3)])
    assert len([*records, *scan]) == 3


def test_a_large_value_comes_whole_between_its_neighbours(log: Log) -> None:
    large = b'{"image": "' + os.urandom(10 * MEBIBYTE).hex().encode() + b'"}'
    log.writer().append([event("one"), NewRecord(b"one", large), event("one", 2)])
    assert [record.value for record in read(log.reader(), 3)] == [event("one").value, large, event("one", 2).value]
    assert [record.value for record in log.scanner().scan()] == [event("one").value, large, event("one", 2).value]


def test_a_record_beyond_the_bound_halts_the_writer_and_nothing_is_appended(log: Log) -> None:
    writer = log.writer()
    with pytest.raises(BadInputHaltError, match="CATALOGUE_DEAD_LETTER_BYTES_MAX"):
        writer.append([event("one"), NewRecord(b"two", b"x" * (32 * MEBIBYTE + 1))])
    assert list(log.scanner().scan()) == []
    writer.append([event("one")])
    assert len(list(log.scanner().scan())) == 1


def test_dead_letters_keep_keys_null_values_headers_and_timestamps(log: Log) -> None:
    records = [
        NewRecord(b"\x00\xff", b"\x00\n\xff", [("name", b"\x00\xff"), ("name", b"")], 1_795_176_000_000),
        NewRecord(b"deleted", None, [], 1_795_176_000_001),
        NewRecord(None, b"", [("name", b"x")], 1_795_176_000_002),
    ]
    log.dead_letter_writer().append(records)
    for found in (read(log.dead_letter_reader(), 3), list(log.dead_letter_scanner().scan())):
        by_time = sorted(found, key=lambda record: record.timestamp_ms or 0)
        assert [NewRecord(one.key, one.value, list(one.headers), one.timestamp_ms) for one in by_time] == records


def test_a_dead_letter_takes_the_largest_event(log: Log) -> None:
    large = NewRecord(b"key", os.urandom(32 * MEBIBYTE - 3), [("detail", b"x" * 10_000)])
    log.dead_letter_writer().append([large])
    (found,) = log.dead_letter_scanner().scan()
    assert found.value == large.value


def test_dead_letters_lie_beside_the_event_source(log: Log) -> None:
    log.writer().append([event("one")])
    log.dead_letter_writer().append([NewRecord(b"key", b"value")])
    assert values(list(log.scanner().scan())) == [event("one").value]
    assert values(list(log.dead_letter_scanner().scan())) == [b"value"]


def test_a_record_without_a_timestamp_gets_one_in_the_dead_letters(log: Log) -> None:
    log.dead_letter_writer().append([NewRecord(b"key", b"value")])
    (record,) = log.dead_letter_scanner().scan()
    assert (record.timestamp_ms or 0) > 1_600_000_000_000


APPENDER = """
import sys
from shared.event_log import NewRecord, opening
from shared.settings import Settings

writer = opening.open_writer(Settings(events_url=sys.argv[1], kafka_partitions=2))
for batch in range(20):
    name = f"{sys.argv[2]}-{batch}".encode()
    lines = [b'{"image_id": "%s", "n": %d, "text": "%s"}' % (name, n, b"x" * 3000) for n in range(10)]
    writer.append([NewRecord(name, line) for line in lines])
writer.close()
"""


def test_several_processes_append_at_once_without_tearing_a_record(log: Log) -> None:
    commands = [[sys.executable, "-c", APPENDER, log.settings.events_url, name] for name in ("a", "b", "c")]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    found = [json.loads(record.value or b"") for record in log.scanner().scan()]
    assert len(found) == 600
    assert len({(one["image_id"], one["n"]) for one in found}) == 600
    numbers: dict[str, list[int]] = {}
    for one in found:
        numbers.setdefault(one["image_id"], []).append(one["n"])
    assert all(seen == list(range(10)) for seen in numbers.values())


def test_a_closed_log_can_be_opened_again(log: Log) -> None:
    for version in range(3):
        writer, scanner, reader = log.writer(), log.scanner(), log.reader()
        writer.append([event("one", version)])
        assert len(list(scanner.scan())) == version + 1
        reader.commit(behind(read(reader, 1)))
        for opened in (writer, scanner, reader):
            opened.close()
            opened.close()


def test_dead_letters_are_listed_and_sent_again_with_their_version(log: Log) -> None:
    resolved = Resolved(7, version_explicit=True, event_time_us=1_795_176_000_000_000)
    values_sent = [b'{"image_id": "a", "n": %d}' % n for n in range(5)]
    letters = [
        DeadLetter(
            Record("source", n, n + 1, 1_795_176_000_000, b"a", value),
            REASONS[n % 2],
            f"detail {n}",
            resolved,
            1_000 + n,
        )
        for n, value in enumerate(values_sent)
    ]
    log.dead_letter_writer().append([to_new_record(letter) for letter in letters])
    reader = log.dead_letter_reader()
    listed = list_dead_letters(log.dead_letter_scanner(), reader.committed_positions())
    assert [(one.source_offset, one.reason, one.detail, one.image_id, one.replayed) for one in listed] == [
        (n, REASONS[n % 2], f"detail {n}", "a", False) for n in range(5)
    ]
    assert replay(reader, log.writer(), log.dead_letter_writer(), reason=REASONS[0]) == ReplayCounts(3, kept=2)
    listed = list_dead_letters(log.dead_letter_scanner(), reader.committed_positions())
    assert [one.replayed for one in listed] == [True, False, True, False, True]
    reader.close()
    again = log.dead_letter_reader()
    assert replay(again, log.writer(), log.dead_letter_writer()) == ReplayCounts(2)
    assert replay(again, log.writer(), log.dead_letter_writer()) == ReplayCounts()
    sent = list(log.scanner().scan())
    assert values(sent) == values_sent
    if "kafka" in log.settings.events_url:
        assert {resolve_leniently(record) for record in sent} == {resolved}
