"""Near-duplicates among hits: the best one is shown, and how many others it stands for."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from shared.hash_code import hamming_distances
from shared.store import Neighbour


class Folded(NamedTuple):
    """A hit, and the ids of later ones that are nearer to it than the folding radius."""

    neighbour: Neighbour
    others: Sequence[str] = ()


def fold(neighbours: Sequence[Neighbour], codes: Mapping[str, bytes | None], radius: int) -> list[Folded]:
    """Fold each hit into the first one before it that is at most `radius` bits away and is itself not folded.

    `codes` has the hits' codes by image id; a hit without one stands for itself.
    """
    kept: list[tuple[Neighbour, list[str]]] = []
    rows: list[bytes] = []
    places: list[int] = []
    for neighbour in neighbours:
        code = codes.get(neighbour.document.image_id)
        if code is not None and rows:
            table = np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), -1)
            near = np.flatnonzero(hamming_distances(code, table) <= radius)
            if len(near):
                kept[places[int(near[0])]][1].append(neighbour.document.image_id)
                continue
        if code is not None:
            rows.append(code)
            places.append(len(kept))
        kept.append((neighbour, []))
    return [Folded(neighbour, others) for neighbour, others in kept]
