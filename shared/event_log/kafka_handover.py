"""What passes between a reader's own thread and the client's when partitions of a group move."""

from collections.abc import Iterable, Mapping


class Handover:
    """Positions that may be committed, and the partitions that went; partitions are named by their numbers."""

    def __init__(self) -> None:
        """Nothing is staged, nothing lost."""
        self._staged: dict[str, int] = {}
        self._lost: set[str] = set()

    @property
    def staged(self) -> Mapping[str, int]:
        """What may be committed."""
        return self._staged

    def stage(self, positions: Mapping[str, int]) -> None:
        """Keep positions; those of partitions that went and were not told yet belong to an earlier assignment."""
        self._staged |= {name: position for name, position in positions.items() if name not in self._lost}

    def lose(self, names: Iterable[str]) -> None:
        """Note that partitions went: nothing of them may be committed any more."""
        for name in names:
            self._staged.pop(name, None)
            self._lost.add(name)

    def take_lost(self) -> frozenset[str]:
        """The partitions that went since this was last asked."""
        lost, self._lost = frozenset(self._lost), set()
        return lost
