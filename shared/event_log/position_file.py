"""The small file that keeps a group's position in a file of lines."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from shared.event_log.line_file import EMPTY_FINGERPRINT


class PositionFile:
    """A position with the fingerprint of what lies before it, replaced as a whole and durably."""

    def __init__(self, path: Path) -> None:
        """`path` need not exist yet."""
        self._path = path

    def read(self) -> tuple[int, str]:
        """What was written last; the beginning where nothing was. A file that makes no sense fits no fingerprint."""
        try:
            stored: Any = json.loads(self._path.read_bytes())
            return int(stored["position"]), str(stored["fingerprint"])
        except FileNotFoundError:
            return 0, EMPTY_FINGERPRINT
        except (ValueError, KeyError, TypeError):
            return 0, ""

    def write(self, position: int, fingerprint: str) -> None:
        """Keep a position; when this returns it survives a crash."""
        temporary = self._path.with_name(f"{self._path.name}.new")
        with temporary.open("wb") as file:
            file.write(json.dumps({"position": position, "fingerprint": fingerprint}).encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        sync_folder(self._path.parent)


def lock(file: int) -> bool:
    """Take the advisory lock of an open file for as long as it stays open; False where another holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
