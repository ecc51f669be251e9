"""What passes between a reader's owner and the client's own thread when partitions of a group move."""

from collections.abc import Iterable, Mapping
from threading import Lock


class Handover:
    """What was read, what of it may be committed, and which partitions went; partitions are named by their numbers.

    Any thread may stage positions at any time, and a partition may go meanwhile. What is staged of it is ignored until
    the reader's owner was told and has come back: it belongs to the assignment that is over.
    """

    def __init__(self) -> None:
        """Nothing is read, nothing staged, nothing lost."""
        self._lock = Lock()
        self._read: dict[str, int] = {}
        self._staged: dict[str, int] = {}
        self._lost: set[str] = set()
        self._told: set[str] = set()

    def read(self, positions: Mapping[str, int]) -> None:
        """Note how far partitions were read: the next offsets."""
        with self._lock:
            self._read |= positions

    def stage(self, positions: Mapping[str, int]) -> None:
        """Keep positions: all that was read before them is done."""
        with self._lock:
            over = self._lost | self._told
            self._staged |= {name: position for name, position in positions.items() if name not in over}

    def staged(self, names: Iterable[str]) -> dict[str, int]:
        """What may be committed of these partitions."""
        with self._lock:
            return {name: self._staged[name] for name in names if name in self._staged}

    def is_done(self, names: Iterable[str]) -> bool:
        """Whether all that was read of these partitions may be committed."""
        with self._lock:
            return all(self._read[name] == self._staged.get(name) for name in names if name in self._read)

    def lose(self, names: Iterable[str]) -> None:
        """Note that partitions went: nothing of them may be committed any more."""
        with self._lock:
            for name in names:
                self._read.pop(name, None)
                self._staged.pop(name, None)
                self._lost.add(name)

    def take_lost(self) -> frozenset[str]:
        """The partitions that went since this was last asked, to tell the reader's owner."""
        with self._lock:
            self._told, self._lost = self._lost, set()
            return frozenset(self._told)

    def note_return(self) -> None:
        """The reader's owner is back: nothing that it stages from now on is of what it was told to be lost."""
        with self._lock:
            self._told = set()
