"""The log in a file: growing, torn, truncated, replaced and locked files, without waiting."""

import errno
import fcntl
import json
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog import get_logger
from structlog.testing import capture_logs

from shared.errors import BadInputHaltError, EventLogUnavailableError
from shared.event_log import NewRecord
from shared.event_log.json_lines import JsonLinesLog, JsonLinesReader, JsonLinesScanner
from shared.event_log.json_lines_writer import JsonLinesWriter
from shared.event_log.line_file import LineFile
from shared.event_log.line_format import EnvelopeLines, LineFormat, PlainLines

LINE_BYTES_MAX = 1000
PLAIN = PlainLines()
OpenReader = Callable[..., JsonLinesReader]


@dataclass
class FakeTime:
    """A clock that moves only when somebody sleeps; `meanwhile` happens during the next sleep."""

    now: float = 1_000_000.0
    slept: list[float] = field(default_factory=list)
    meanwhile: Callable[[], object] | None = None

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def open_reader(path: Path, time: FakeTime) -> Iterator[OpenReader]:
    with ExitStack() as readers:

        def opened(group: str = "g", line_format: LineFormat = PLAIN) -> JsonLinesReader:
            log_file = JsonLinesLog(path, line_format, LINE_BYTES_MAX)
            reader = JsonLinesReader(log_file, group, get_logger(), clock=time.clock, sleep=time.sleep)
            readers.callback(reader.close)
            return reader

        yield opened


def values(reader: JsonLinesReader, records_max: int = 100) -> list[bytes | None]:
    return [record.value for record in reader.poll(records_max, 0).records]


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def test_lines_come_with_their_offsets(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"one\ntwo\n")
    records = open_reader().poll(10, 0).records
    assert [(one.partition, one.offset, one.next_offset, one.value) for one in records] == [
        ("events.jsonl", 0, 4, b"one"),
        ("events.jsonl", 4, 8, b"two"),
    ]
    assert (records[0].key, records[0].timestamp_ms, list(records[0].headers)) == (None, None, [])


def test_a_half_written_line_waits_for_its_end(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"one\ntw")
    reader = open_reader()
    assert values(reader) == [b"one"]
    assert values(reader) == []
    append(path, b"o")
    assert values(reader) == []
    append(path, b"\nthree\n")
    assert values(reader) == [b"two", b"three"]


def test_blank_lines_are_no_records(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"\n\none\n \r\ntwo\n\n")
    reader = open_reader()
    assert values(reader) == [b"one", b"two"]
    reader.commit({"events.jsonl": reader.end_positions()["events.jsonl"]})
    assert reader.committed_positions() == reader.end_positions()


def test_the_end_lies_behind_the_last_whole_line_that_is_not_blank(path: Path, open_reader: OpenReader) -> None:
    for content, end in [
        (b"", 0),
        (b"half", 0),
        (b"\n\n", 0),
        (b"one\nhalf", 4),
        (b"one  \n\n\n", 6),
        (b"one\n" + b"\n" * 600_000 + b"half" * 100_000, 4),
    ]:
        path.write_bytes(content)
        assert open_reader().end_positions() == {"events.jsonl": end}, content[:20]


def test_a_missing_file_is_waited_for(path: Path, time: FakeTime, open_reader: OpenReader) -> None:
    reader = open_reader()
    assert values(reader) == []
    assert reader.end_positions() == reader.committed_positions() == {"events.jsonl": 0}
    assert reader.lag() == {}
    time.meanwhile = lambda: path.write_bytes(b"one\n")
    assert [record.value for record in reader.poll(10, 5).records] == [b"one"]
    assert sum(time.slept) < 0.1


def test_a_poll_looks_often_and_ends_in_time(path: Path, time: FakeTime, open_reader: OpenReader) -> None:
    path.touch()
    assert open_reader().poll(10, 0.2).records == []
    assert sum(time.slept) == pytest.approx(0.2)
    assert 4 <= len(time.slept) <= 10


def test_a_poll_for_nothing_takes_nothing(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"one\n")
    reader = open_reader()
    assert values(reader, 0) == []
    assert values(reader) == [b"one"]


def test_a_line_at_the_bound_is_kept_whole(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"x" * LINE_BYTES_MAX + b"\nnext\n")
    assert values(open_reader()) == [b"x" * LINE_BYTES_MAX, b"next"]


def test_a_line_beyond_the_bound_halts_with_its_position_behind_what_lies_before_it(
    path: Path, open_reader: OpenReader
) -> None:
    path.write_bytes(b"one\n" + b"x" * (LINE_BYTES_MAX + 1) + b"\n")
    reader = open_reader()
    assert values(reader) == [b"one"]
    for _ in range(2):
        with pytest.raises(BadInputHaltError, match="byte 4 is longer than 1000 bytes"):
            reader.poll(10, 0)


def test_an_unfinished_line_beyond_the_bound_halts_too(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"x" * (LINE_BYTES_MAX + 1))
    with pytest.raises(BadInputHaltError, match="byte 0"):
        open_reader().poll(10, 0)


def test_a_truncated_file_is_read_from_its_beginning(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"one\ntwo\n")
    reader = open_reader()
    assert len(values(reader)) == 2
    path.write_bytes(b"new\n")
    with capture_logs() as logs:
        poll = reader.poll(10, 0)
        assert reader.poll(10, 0).lost == frozenset()
    assert [record.value for record in poll.records] == [b"new"]
    assert poll.lost == {"events.jsonl"}
    assert [(log["event"], log["log_level"]) for log in logs] == [("event_file_replaced", "warning")]


def test_a_longer_file_in_its_place_is_read_from_its_beginning(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"one\ntwo\n")
    reader = open_reader()
    assert len(values(reader)) == 2
    path.with_name("other").write_bytes(b"ONE\ntwo\nthree\n")
    path.with_name("other").replace(path)
    assert values(reader) == [b"ONE", b"two", b"three"]


def test_a_position_in_a_file_that_was_replaced_meanwhile_is_not_committed(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"one\ntwo\n")
    reader = open_reader()
    assert len(values(reader)) == 2
    path.write_bytes(b"ONE\nTWO\nTHREE\n")
    reader.commit({"events.jsonl": 8})
    assert reader.poll(10, 0).lost == {"events.jsonl"}
    reader.close()
    assert values(open_reader()) == [b"ONE", b"TWO", b"THREE"]


def test_a_position_in_a_file_that_was_replaced_between_two_runs_is_noticed(
    path: Path, open_reader: OpenReader
) -> None:
    path.write_bytes(b"one\ntwo\n")
    reader = open_reader()
    assert len(values(reader)) == 2
    reader.commit({"events.jsonl": 8})
    reader.close()
    path.write_bytes(b"ONE\nTWO\nTHREE\n")
    with capture_logs() as logs:
        reader = open_reader()
        assert reader.committed_positions() == {"events.jsonl": 0}
        assert values(reader) == [b"ONE", b"TWO", b"THREE"]
    assert [log["event"] for log in logs] == ["event_file_replaced"]


def test_a_copy_of_the_file_is_read_on(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"one\n")
    reader = open_reader()
    assert len(values(reader)) == 1
    path.with_name("copy").write_bytes(b"one\ntwo\n")
    path.with_name("copy").replace(path)
    with capture_logs() as logs:
        poll = reader.poll(10, 0)
    assert [record.value for record in poll.records] == [b"two"]
    assert (poll.lost, logs) == (frozenset(), [])


def test_a_damaged_position_file_means_the_beginning(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"one\ntwo\n")
    path.with_name("events.jsonl.g.position").write_bytes(b"{")
    assert values(open_reader()) == [b"one", b"two"]


def test_a_second_reader_of_a_group_waits_its_turn(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"one\ntwo\n")
    first, second, other = open_reader(), open_reader(), open_reader("other/group")
    assert values(first, 1) == [b"one"]
    assert values(other) == [b"one", b"two"]
    with pytest.raises(EventLogUnavailableError, match="another worker reads"):
        second.poll(10, 0)
    second.commit({"events.jsonl": 8})
    first.commit({"events.jsonl": 4})
    first.close()
    assert values(second) == [b"two"]


def test_the_lag_counts_bytes_behind_what_was_read(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"one\ntwo\n")
    reader = open_reader()
    assert values(reader, 1) == [b"one"]
    assert reader.lag() == {"events.jsonl": 4}


def test_a_folder_that_can_not_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    log_file = JsonLinesLog(tmp_path / "file" / "events.jsonl", PLAIN, LINE_BYTES_MAX)
    with pytest.raises(EventLogUnavailableError, match="file"):
        JsonLinesReader(log_file, "g", get_logger()).poll(1, 0)
    with pytest.raises(EventLogUnavailableError, match="file"):
        JsonLinesWriter(log_file).append([NewRecord(None, b"one")])


def test_a_torn_tail_does_not_swallow_the_next_line(path: Path, open_reader: OpenReader) -> None:
    path.write_bytes(b"one\nhal")
    JsonLinesWriter(JsonLinesLog(path, PLAIN, LINE_BYTES_MAX)).append([NewRecord(None, b"two")])
    assert values(open_reader()) == [b"one", b"hal", b"two"]


def test_half_an_envelope_is_cut_away_by_the_next_writer(path: Path) -> None:
    log_file = JsonLinesLog(path, EnvelopeLines(), 10**7)
    writer = JsonLinesWriter(log_file)
    writer.append([NewRecord(None, b"one")])
    append(path, b'{"key":null,"value":"' + b"A" * 600_000)
    writer.append([NewRecord(None, b"two")])
    assert [record.value for record in JsonLinesScanner(log_file).scan()] == [b"one", b"two"]


@pytest.mark.parametrize("line_format", [PLAIN, EnvelopeLines()])
def test_an_append_that_finds_the_disk_full_leaves_the_file_as_it_was(path: Path, line_format: LineFormat) -> None:
    log_file = JsonLinesLog(path, line_format, LINE_BYTES_MAX)
    writer = JsonLinesWriter(log_file)
    writer.append([NewRecord(None, b"one")])
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
    try:
        with pytest.raises(EventLogUnavailableError, match="too large"):
            writer.append([NewRecord(None, b"two" * 10), NewRecord(None, b"three")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    writer.append([NewRecord(None, b"two" * 10), NewRecord(None, b"three")])
    assert [record.value for record in JsonLinesScanner(log_file).scan()] == [b"one", b"two" * 10, b"three"]


def test_a_value_of_several_lines_becomes_one(path: Path) -> None:
    JsonLinesWriter(JsonLinesLog(path, PLAIN, LINE_BYTES_MAX)).append([NewRecord(None, b'{\n"a": 1\n}')])
    assert path.read_bytes() == b'{ "a": 1 }\n'
    assert json.loads(path.read_bytes()) == {"a": 1}


@pytest.mark.parametrize("value", [None, b"", b" \n"])
def test_a_plain_file_takes_no_record_without_a_value(path: Path, value: bytes | None) -> None:
    writer = JsonLinesWriter(JsonLinesLog(path, PLAIN, LINE_BYTES_MAX))
    with pytest.raises(BadInputHaltError, match="without a value"):
        writer.append([NewRecord(None, b"one"), NewRecord(b"key", value)])
    assert not path.exists()


def test_nothing_is_appended_where_one_record_is_too_large(path: Path) -> None:
    writer = JsonLinesWriter(JsonLinesLog(path, PLAIN, LINE_BYTES_MAX))
    with pytest.raises(BadInputHaltError, match="CATALOGUE_DEAD_LETTER_BYTES_MAX"):
        writer.append([NewRecord(None, b"one"), NewRecord(None, b"x" * (LINE_BYTES_MAX + 1))])
    assert not path.exists()


def test_a_writer_gives_up_on_a_file_that_another_holds(path: Path, time: FakeTime) -> None:
    writer = JsonLinesWriter(JsonLinesLog(path, PLAIN, LINE_BYTES_MAX), sleep=time.sleep)
    with path.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EventLogUnavailableError, match="another process holds"):
            writer.append([NewRecord(None, b"one")])
        assert sum(time.slept) == pytest.approx(10)
    writer.append([NewRecord(None, b"one")])
    assert path.read_bytes() == b"one\n"


def test_whoever_is_alone_appends_while_others_are_kept_from_it(path: Path, time: FakeTime) -> None:
    log = JsonLinesLog(path, PLAIN, LINE_BYTES_MAX)
    writer, other = JsonLinesWriter(log), JsonLinesWriter(log, sleep=time.sleep)
    with writer.alone():
        with pytest.raises(EventLogUnavailableError, match="another process"):
            other.append([NewRecord(None, b"{}")])
        writer.append([NewRecord(None, b"1")])
        writer.append([NewRecord(None, b"2")])
    other.append([NewRecord(None, b"3")])
    assert path.read_bytes() == b"1\n2\n3\n"


def test_an_envelope_keeps_every_byte_and_gets_a_timestamp(path: Path) -> None:
    log_file = JsonLinesLog(path, EnvelopeLines(), LINE_BYTES_MAX)
    records = [
        NewRecord(b"\x00\xff\n", b"{\n}", [("a", b"\n"), ("a", b"")], 17),
        NewRecord(None, None),
    ]
    JsonLinesWriter(log_file, clock=lambda: 12.3456).append(records)
    read = list(JsonLinesScanner(log_file).scan())
    assert [NewRecord(one.key, one.value, one.headers, one.timestamp_ms) for one in read] == [
        records[0],
        NewRecord(None, None, [], 12345),
    ]


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"{}", b'{"key":"?","value":null,"headers":[],"timestamp_ms":1}', b"\xff"]
)
def test_a_line_that_is_no_envelope_halts_each_time_it_is_met(path: Path, open_reader: OpenReader, line: bytes) -> None:
    log_file = JsonLinesLog(path, EnvelopeLines(), LINE_BYTES_MAX)
    JsonLinesWriter(log_file).append([NewRecord(None, b"one")])
    start = path.stat().st_size
    append(path, line + b"\n")
    reader = open_reader(line_format=EnvelopeLines())
    assert values(reader) == [b"one"]
    for _ in range(2):
        with pytest.raises(BadInputHaltError, match=f"byte {start} can't be read"):
            reader.poll(10, 0)


def test_a_scan_ends_where_the_file_ended_when_it_began(path: Path) -> None:
    path.write_bytes(b"one\ntwo\n")
    scan = JsonLinesScanner(JsonLinesLog(path, PLAIN, LINE_BYTES_MAX)).scan()
    first = next(scan)
    append(path, b"three\n")
    assert [first.value, *(record.value for record in scan)] == [b"one", b"two"]


def test_a_scan_of_a_missing_file_is_empty(path: Path) -> None:
    assert list(JsonLinesScanner(JsonLinesLog(path, PLAIN, LINE_BYTES_MAX)).scan()) == []


def test_an_error_in_the_middle_of_a_poll_loses_nothing(
    path: Path, open_reader: OpenReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_bytes(b"one\ntwo\nthree\n")
    reader = open_reader()
    assert values(reader, 1) == [b"one"]

    def fail(file: LineFile, position: int) -> str:
        raise OSError(errno.EIO, "the disk failed")

    with monkeypatch.context() as patch:
        patch.setattr(LineFile, "fingerprint", fail)
        with pytest.raises(EventLogUnavailableError, match="the disk failed"):
            values(reader)
    assert values(reader) == [b"two", b"three"]
