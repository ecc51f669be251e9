"""What `indexer produce` writes to the event source: events from a folder, a CSV file, a JSON Lines file, or the demo.

Whatever can be checked without reading pictures is checked before the first event is written, so that a wrong row
leaves nothing half done; a ConfigurationError names the file and the line.
"""

import base64
import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from indexer.catalogue_event import IMAGE_ID_BYTES_MAX
from indexer.demo.catalogue import draw_events, plan_catalogue
from shared.errors import ConfigurationError
from shared.event_log import LogWriter, NewRecord

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
DEMO_SEED = 2026

_BATCH_RECORDS_MAX = 100
_BATCH_BYTES_MAX = 8 * 1024 * 1024
_OWN_COLUMNS = frozenset({"path", "url", "image_id", "item_id", "event_time"})

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class KeyedEvent:
    """An event ready to be appended: `key` is the image id (None where the event has none), `value` JSON."""

    key: bytes | None
    value: bytes


@dataclass(frozen=True, slots=True)
class EventSource:
    """Events to produce. `total` is their number; `notes` are lines to tell the user before they are written."""

    total: int
    events: Iterator[KeyedEvent]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Produced:
    """How much was appended."""

    events: int
    bytes: int


def produce(events: Iterator[KeyedEvent], writer: LogWriter, progress: Callable[[int], None]) -> Produced:
    """Append all events in batches bounded in number and bytes; `progress` is told the size of each appended batch."""
    count = size = 0
    for batch in _batches(events):
        writer.append([NewRecord(event.key, event.value) for event in batch])
        count += len(batch)
        size += sum(len(event.value) for event in batch)
        progress(len(batch))
    return Produced(count, size)


def from_images(folder: Path, clock: Clock, *, inline: bool, limit: int | None) -> EventSource:
    """One event for each JPEG, PNG and WebP file below `folder`, in sorted order.

    The image id is the relative path, the attribute `category` the name of the folder that the file lies in (none at
    the top). The picture is a `file:` URL, or its bytes with `inline`. Hidden files and folders are left out.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder")
    root = folder.absolute()
    found = sorted(_pictures_below(root))
    usable = [name for name in found if _is_image_id(name)]
    chosen = usable[:limit]
    if not chosen:
        raise ConfigurationError(f"{folder}: no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}) to produce")
    notes = [] if inline else [_allow_root(root)]
    if len(usable) < len(found):
        notes.append(
            f"left out {len(found) - len(usable)} files: a path is not UTF-8, or over {IMAGE_ID_BYTES_MAX} bytes"
        )
    return EventSource(len(chosen), (_image_event(root, name, clock, inline=inline) for name in chosen), notes)


def from_csv(file: Path, clock: Clock, *, inline: bool, limit: int | None) -> EventSource:
    """One event for each row of a CSV file with a header.

    A row needs a `path` (relative to the file's folder) or a `url`, which is also the default of `image_id`. `item_id`
    and `event_time` are taken where given, every other column that is not empty is an attribute.
    """
    rows = list(islice(_csv_rows(file), limit))
    root = file.parent.absolute()
    events = (_csv_event(root, row, clock, inline=inline) for row in rows)
    has_paths = any(row.get("path") for row in rows)
    return EventSource(len(rows), events, [_allow_root(root)] if has_paths and not inline else [])


def from_jsonl(file: Path, clock: Clock, *, limit: int | None) -> EventSource:
    """The events of a JSON Lines file as they are, but for an `event_time` where one is missing."""
    total = sum(1 for _ in islice(_json_lines(file), limit))
    events = (_keyed(line, parsed, clock) for line, parsed in islice(_json_lines(file), limit))
    return EventSource(total, events)


def from_demo(items: int, clock: Clock, *, window_months: int, limit: int | None) -> EventSource:
    """The demo catalogue of so many items; there are about 3.5 times as many events."""
    planned = plan_catalogue(items, DEMO_SEED, clock(), window_months)[:limit]
    return EventSource(len(planned), (_to_keyed(event) for event in draw_events(planned)))


def _batches(events: Iterator[KeyedEvent]) -> Iterator[list[KeyedEvent]]:
    batch: list[KeyedEvent] = []
    size = 0
    for event in events:
        if batch and (len(batch) == _BATCH_RECORDS_MAX or size + len(event.value) > _BATCH_BYTES_MAX):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += len(event.value)
    if batch:
        yield batch


def _pictures_below(root: Path) -> Iterator[str]:
    """Relative paths, with `/` between the parts."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix.lower() in PICTURE_SUFFIXES:
                yield path.relative_to(root).as_posix()


def _is_image_id(text: str) -> bool:
    try:
        return 0 < len(text.encode()) <= IMAGE_ID_BYTES_MAX
    except UnicodeEncodeError:
        return False


def _image_event(root: Path, name: str, clock: Clock, *, inline: bool) -> KeyedEvent:
    path = root / name
    category = {"category": path.parent.name} if path.parent != root else {}
    image = _picture(path, inline=inline)
    return _to_keyed({"image_id": name, "event_time": _stamp(clock), "image": image, "attributes": category})


def _picture(path: Path, *, inline: bool) -> Mapping[str, str]:
    if not inline:
        return {"url": path.as_uri()}
    try:
        return {"bytes": base64.b64encode(path.read_bytes()).decode()}
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def _csv_rows(file: Path) -> Iterator[dict[str, str]]:
    """The rows as dictionaries, checked, with empty cells left out."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            _check_header(file, header)
            reader.fieldnames = header
            for row in reader:
                yield _checked_row(file, reader.line_num, row)
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: not a CSV file in UTF-8: {error}") from error


def _check_header(file: Path, header: list[str]) -> None:
    if not {"path", "url"} & set(header):
        raise ConfigurationError(f"{file}, line 1: needs a column path or url")
    if len(set(header)) < len(header) or "" in header:
        raise ConfigurationError(f"{file}, line 1: a column's name is empty or there twice")


def _checked_row(file: Path, line: int, row: dict[str | Any, str | Any]) -> dict[str, str]:
    where = f"{file}, line {line}"
    if None in row or None in row.values():
        raise ConfigurationError(f"{where}: has another number of cells than the header")
    cells = {name: value.strip() for name, value in row.items() if value.strip()}
    if not cells.get("path") and not cells.get("url"):
        raise ConfigurationError(f"{where}: has no path and no url")
    if cells.get("path") and not (file.parent / cells["path"]).is_file():
        raise ConfigurationError(f"{where}: there is no file {cells['path']}")
    if not _is_image_id(_row_id(cells)) or not _is_image_id(cells.get("item_id", "-")):
        raise ConfigurationError(f"{where}: an id is longer than {IMAGE_ID_BYTES_MAX} bytes")
    if "event_time" in cells and not _is_time(cells["event_time"]):
        raise ConfigurationError(f"{where}: event_time is not an ISO 8601 time with a time zone")
    return cells


def _row_id(cells: Mapping[str, str]) -> str:
    return cells.get("image_id") or cells.get("path") or cells["url"]


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _csv_event(root: Path, cells: Mapping[str, str], clock: Clock, *, inline: bool) -> KeyedEvent:
    image = _picture(root / cells["path"], inline=inline) if "path" in cells else {"url": cells["url"]}
    event: dict[str, Any] = {"image_id": _row_id(cells)}
    if "item_id" in cells:
        event["item_id"] = cells["item_id"]
    event["event_time"] = cells.get("event_time") or _stamp(clock)
    attributes = {name: value for name, value in cells.items() if name not in _OWN_COLUMNS}
    return _to_keyed(event | {"image": image, "attributes": attributes})


def _json_lines(file: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    try:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield line.strip(), _parsed(file, number, line)
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from error


def _parsed(file: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file}, line {number}: not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ConfigurationError(f"{file}, line {number}: not a JSON object")
    return parsed


def _keyed(line: bytes, event: dict[str, Any], clock: Clock) -> KeyedEvent:
    if event.get("event_time") is None:
        return _to_keyed(event | {"event_time": _stamp(clock)})
    return KeyedEvent(_key(event), line)


def _to_keyed(event: Mapping[str, Any]) -> KeyedEvent:
    return KeyedEvent(_key(event), json.dumps(event).encode())


def _key(event: Mapping[str, Any]) -> bytes | None:
    image_id = event.get("image_id")
    return image_id.encode() if isinstance(image_id, str) and _is_image_id(image_id) else None


def _stamp(clock: Clock) -> str:
    return clock().astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _allow_root(root: Path) -> str:
    return f"the worker reads these pictures only with CATALOGUE_FETCH_ALLOWED_ROOTS={root} (or use --inline)"
