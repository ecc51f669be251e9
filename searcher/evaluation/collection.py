"""Collections of pictures to evaluate on: a folder of classes, a CSV file, or one of the known ones by name."""

import csv
import hashlib
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from shared.errors import ConfigurationError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
CIFAR10 = "cifar10"
# Name: its CSV file, and the folder that its paths are relative to.
_BY_NAME = {"clothing": ("clothing/items.csv", "clothing"), "magento": ("magento/items.csv", "magento/images")}
_CIFAR10_ARCHIVE = "cifar10/cifar10.zip"
_OWN_COLUMNS = frozenset({"path", "image_id", "event_time"})
_DIGEST_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a collection: its image id, its file, and what the collection tells of it (no empty values)."""

    image_id: str
    path: Path
    attributes: Mapping[str, str]


def read_collection(name: str, data: Path, unpacked: Path) -> list[Picture]:
    """The pictures of a folder, a CSV file, or `clothing`, `magento` and `cifar10` below `data`.

    CIFAR-10 lies in an archive: its pictures are said to be below `unpacked`, and `unpack` puts them there.
    ConfigurationError where there is nothing of that kind.
    """
    if name == CIFAR10:
        return list(_cifar10(data / _CIFAR10_ARCHIVE, unpacked))
    if name in _BY_NAME:
        file, root = _BY_NAME[name]
        return read_csv(data / file, data / root)
    path = Path(name)
    if path.is_dir():
        return _read_folder(path)
    if path.is_file():
        return read_csv(path, path.parent)
    raise ConfigurationError(f"{name}: neither a folder, a CSV file, nor one of cifar10, {', '.join(_BY_NAME)}")


def read_csv(file: Path, root: Path) -> list[Picture]:
    """A picture a row: `path` relative to `root`, `image_id` where given, and its other columns as attributes."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream, strict=True))
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: {error}") from error
    pictures = []
    for line, row in enumerate(rows, start=2):
        cells = {name: value.strip() for name, value in row.items() if isinstance(value, str) and value.strip()}
        if "path" not in cells or not (root / cells["path"]).is_file():
            raise ConfigurationError(f"{file}, line {line}: names no picture by its path")
        attributes = {name: value for name, value in cells.items() if name not in _OWN_COLUMNS}
        pictures.append(_picture(cells.get("image_id", cells["path"]), root / cells["path"], attributes))
    return _distinct(pictures, str(file))


def unpack(pictures: Sequence[Picture], data: Path, unpacked: Path, advance: Callable[[int], None]) -> None:
    """Write those pictures of an archive that are not there yet; `advance` is told how many are done."""
    root = unpacked.absolute()
    with zipfile.ZipFile(data / _CIFAR10_ARCHIVE) as archive:
        for picture in pictures:
            if not picture.path.exists():
                picture.path.parent.mkdir(parents=True, exist_ok=True)
                new = picture.path.with_suffix(".new")
                new.write_bytes(archive.read(picture.path.relative_to(root).as_posix()))
                new.replace(picture.path)
            advance(1)


def _read_folder(folder: Path) -> list[Picture]:
    """Every picture below `folder`; its category is the name of the folder that it lies in."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if path.suffix.lower() in PICTURE_SUFFIXES and not name.startswith("."):
                attributes = {"category": path.parent.name} if path.parent != folder else {}
                found.append(_picture(path.relative_to(folder).as_posix(), path, attributes))
    if not found:
        raise ConfigurationError(f"{folder}: no pictures below it")
    return _distinct(found, str(folder))


def _cifar10(archive: Path, unpacked: Path) -> Iterator[Picture]:
    try:
        with zipfile.ZipFile(archive) as opened:
            names = sorted(name for name in opened.namelist() if name.endswith(".jpg"))
    except (OSError, zipfile.BadZipFile) as error:
        raise ConfigurationError(f"{archive}: {error}") from error
    for name in names:
        split, category, _ = name.split("/")
        yield _picture(name, unpacked / name, {"split": split, "category": category})


def _picture(name: str, path: Path, attributes: Mapping[str, str]) -> Picture:
    # Hits at equal distance come in the order of their ids. Names often begin with the class, which would decide all
    # ties; a digest in front decides them evenly. TREC files allow no spaces in an id.
    digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:_DIGEST_CHARACTERS]
    return Picture(f"{digest}-{quote(name, errors='surrogateescape')}", path.absolute(), attributes)


def _distinct(pictures: list[Picture], where: str) -> list[Picture]:
    if len({picture.image_id for picture in pictures}) < len(pictures):
        raise ConfigurationError(f"{where}: two pictures have the same id")
    return pictures
