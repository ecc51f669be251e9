"""What `indexer produce` makes of folders and files, and what it says of wrong ones before it writes anything."""

import base64
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from indexer.catalogue_event import parse
from indexer.produce import EventSource, KeyedEvent, from_csv, from_demo, from_images, from_jsonl, produce
from shared.errors import ConfigurationError
from shared.event_log import NewRecord, Record

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def clock() -> datetime:
    return NOW


class ListWriter:
    """Keeps what is appended, batch by batch."""

    def __init__(self) -> None:
        self.batches: list[list[NewRecord]] = []

    def append(self, records: Sequence[NewRecord]) -> None:
        self.batches.append(list(records))

    def close(self) -> None:
        """Nothing is open."""


def values(source: EventSource) -> list[dict[str, Any]]:
    events = list(source.events)
    assert len(events) == source.total
    for event in events:
        assert event.key is not None
        parse(Record("0", 0, 1, None, event.key, event.value), NOW, 2**24)
    return [json.loads(event.value) for event in events]


def picture_folder(folder: Path) -> Path:
    for name in ("b/two.PNG", "a/inner/one.jpg", "a/ü #1.webp", "top.jpeg", "a/notes.txt", ".hidden/x.jpg", "a/.x.jpg"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return folder


def write(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def test_a_folder_is_walked_in_sorted_order_and_the_sub_folder_is_the_category(tmp_path: Path) -> None:
    source = from_images(picture_folder(tmp_path), clock, inline=False, limit=None)
    events = values(source)
    assert [event["image_id"] for event in events] == ["a/inner/one.jpg", "a/ü #1.webp", "b/two.PNG", "top.jpeg"]
    assert [event["attributes"] for event in events] == [{"category": name} for name in ("inner", "a", "b")] + [{}]
    assert events[1]["image"] == {"url": f"{tmp_path.as_uri()}/a/%C3%BC%20%231.webp"}
    assert {event["event_time"] for event in events} == {"2026-11-21T09:00:00.000000Z"}


def test_urls_of_files_come_with_the_setting_that_they_need_and_inline_bytes_without(tmp_path: Path) -> None:
    folder = picture_folder(tmp_path)
    (note,) = from_images(folder, clock, inline=False, limit=None).notes
    assert f"CATALOGUE_FETCH_ALLOWED_ROOTS={folder}" in note
    inline = from_images(folder, clock, inline=True, limit=1)
    assert inline.notes == []
    assert values(inline)[0]["image"] == {"bytes": base64.b64encode(b"a/inner/one.jpg").decode()}


def test_files_whose_path_is_no_image_id_are_left_out_and_counted(tmp_path: Path) -> None:
    for name in (b"good.jpg", b"bad\xff.jpg"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):  # noqa: PTH118, PTH123 (pathlib takes no bytes)
            pass
    source = from_images(tmp_path, clock, inline=True, limit=None)
    assert source.total == 1
    assert "left out 1 files" in source.notes[0]


def test_a_folder_without_pictures_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no pictures"):
        from_images(tmp_path, clock, inline=False, limit=None)
    with pytest.raises(ConfigurationError, match="no such folder"):
        from_images(tmp_path / "away", clock, inline=False, limit=None)


def test_a_csv_row_becomes_an_event_with_the_other_columns_as_attributes(tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(b"one")
    rows = "\ufeffpath,url,image_id,item_id,event_time,title,price\none.jpg,,i-1,i,2026-11-20T10:00:00Z,Blau ü,\n"
    file = write(tmp_path / "items.csv", rows + ',https://example.org/2.jpg,,,,"a, b",9.99\n')
    source = from_csv(file, clock, inline=False, limit=None)
    first, second = values(source)
    assert first == {
        "image_id": "i-1",
        "item_id": "i",
        "event_time": "2026-11-20T10:00:00Z",
        "image": {"url": (tmp_path / "one.jpg").as_uri()},
        "attributes": {"title": "Blau ü"},
    }
    assert second == {
        "image_id": "https://example.org/2.jpg",
        "event_time": "2026-11-21T09:00:00.000000Z",
        "image": {"url": "https://example.org/2.jpg"},
        "attributes": {"title": "a, b", "price": "9.99"},
    }
    assert "CATALOGUE_FETCH_ALLOWED_ROOTS" in source.notes[0]


def test_csv_pictures_can_go_inline_and_a_limit_cuts_the_rows(tmp_path: Path) -> None:
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    file = write(tmp_path / "items.csv", "path\none.jpg\ntwo.jpg\n")
    source = from_csv(file, clock, inline=True, limit=1)
    assert source.notes == []
    assert [event["image"] for event in values(source)] == [{"bytes": base64.b64encode(b"one.jpg").decode()}]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title\nx\n", "line 1: needs a column path or url"),
        ("", "line 1: needs a column path or url"),
        ("url,title,title\nhttps://a.example/,x,y\n", "line 1: a column's name is empty or there twice"),
        ("url,title\nhttps://a.example/,x\n,y\n", "line 3: has no path and no url"),
        ("url,title\nhttps://a.example/\n", "line 2: has another number of cells"),
        ("url\nhttps://a.example/,x\n", "line 2: has another number of cells"),
        ("path\naway.jpg\n", "line 2: there is no file away.jpg"),
        ("url,event_time\nhttps://a.example/,2026-11-20\n", "line 2: event_time is not an ISO 8601 time"),
        ("url,image_id\nhttps://a.example/," + "x" * 513 + "\n", "line 2: an id is longer than 512 bytes"),
        ('url\n"https://a.example/\n', "not a CSV file in UTF-8"),
    ],
)
def test_a_wrong_csv_file_is_refused_by_line_before_any_event(tmp_path: Path, text: str, complaint: str) -> None:
    file = write(tmp_path / "items.csv", text)
    with pytest.raises(ConfigurationError) as refusal:
        from_csv(file, clock, inline=False, limit=None)
    assert complaint in str(refusal.value)
    assert str(file) in str(refusal.value)


def test_a_csv_file_in_another_encoding_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("url,title\nhttps://a.example/,ü\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not a CSV file in UTF-8"):
        from_csv(tmp_path / "latin.csv", clock, inline=False, limit=None)
    with pytest.raises(ConfigurationError, match="No such file"):
        from_csv(tmp_path / "away.csv", clock, inline=False, limit=None)


def test_json_lines_go_as_they_are_and_get_an_event_time_where_it_is_missing(tmp_path: Path) -> None:
    given = '{"image_id": "a/1",  "event_time": "2026-11-01T00:00:00Z", "image": {"url": "https://a.example/"}}'
    file = write(tmp_path / "events.jsonl", f'{given}\n\n{{"image_id": "b", "deleted": true}}\n{{"odd": [1]}}')
    source = from_jsonl(file, clock, limit=None)
    assert source.total == 3
    first, second, third = source.events
    assert first == KeyedEvent(b"a/1", given.encode())
    assert second.key == b"b"
    assert json.loads(second.value)["event_time"] == "2026-11-21T09:00:00.000000Z"
    assert third.key is None


@pytest.mark.parametrize(("line", "complaint"), [("{", "not JSON"), ("[]", "not a JSON object"), ("\x00", "not JSON")])
def test_a_wrong_line_is_named_before_any_event(tmp_path: Path, line: str, complaint: str) -> None:
    file = write(tmp_path / "events.jsonl", f'{{"image_id": "a"}}\n\n{line}\n')
    with pytest.raises(ConfigurationError, match=f"line 3: {complaint}"):
        from_jsonl(file, clock, limit=None)
    assert from_jsonl(file, clock, limit=1).total == 1


def test_the_demo_is_counted_before_it_is_drawn() -> None:
    source = from_demo(200, clock, window_months=3, limit=5)
    assert source.total == 5
    assert len(values(source)) == 5


def test_events_are_appended_in_batches_bounded_in_number_and_bytes() -> None:
    small = [KeyedEvent(b"%d" % number, b"{}") for number in range(240)]
    large = [KeyedEvent(b"L%d" % number, b"x" * 5_000_000) for number in range(3)]
    writer, told = ListWriter(), list[int]()
    produced = produce(iter([*small, *large]), writer, told.append)
    assert [len(batch) for batch in writer.batches] == told == [100, 100, 41, 1, 1]
    assert (produced.events, produced.bytes) == (243, 240 * 2 + 15_000_000)
    assert [record.key for batch in writer.batches for record in batch] == [event.key for event in [*small, *large]]
