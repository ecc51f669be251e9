"""From codes to groups of duplicates: near pairs, constraints, and what hangs together by pairs.

Images are told apart no further than a pair can: those of one code with equal values in the attributes asked for are
one *node*, so that a thousand copies of a picture are one comparison and not a million pairs.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from searcher.duplicates.records import By, Found, FoundGroup, Member, Question, Same
from searcher.duplicates.spread import arranged, single_thread
from searcher.duplicates.window_codes import WindowCodes
from searcher.resident.pair_join import Progress, near_pairs
from searcher.resident.pairs import DistinctCodes
from shared.document import Document
from shared.encoding.copy_code import MIRRORED_OCTET
from shared.errors import QueryInvalidError

NEIGHBOURS_MAX = 1000
"""An image that is near more others than so many is a placeholder, a white page or a logo: it would tie everything
together, and nobody reviews a group of thousands."""
PAIRS_MAX = 20_000_000

LookUp = Callable[[Sequence[str]], Mapping[str, Document]]
Report = Callable[[str, int, int], None]

_DOCUMENTS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Edges:
    """Pairs of distinct codes: places in these, each (pairs,)."""

    lefts: NDArray[np.int64]
    rights: NDArray[np.int64]


_Key = tuple[int, tuple[str, ...], tuple[str, ...]]
"""A node: its distinct code, what must be equal in a pair, and what must differ."""


@dataclass(frozen=True, slots=True)
class _Images:
    """The window's images by distinct code, with the documents of those that are in pairs."""

    window: WindowCodes
    distinct: DistinctCodes
    documents: Mapping[str, Document]

    def document(self, place: int) -> Document | None:
        return self.documents.get(self.window.image_ids[place])

    def member(self, code: int, place: int) -> Member:
        document = self.documents[self.window.image_ids[place]]
        own = self.distinct.codes[code, : self.window.code_bytes].tobytes()
        return Member(
            document.image_id, document.item_id, own, image_url=document.image_url, attributes=document.attributes
        )


def find_groups(window: WindowCodes, question: Question, look_up: LookUp, report: Report) -> Found:
    """All groups of duplicates in the window.

    `look_up` gives the live documents of images, `report` is told the stage with what is done of how many steps.
    QueryInvalidError where there are too many pairs.
    """
    distinct = DistinctCodes.of(window.codes)
    edges = _edges(distinct.codes, question, lambda done, total: report("comparing", done, total))
    sizes = np.diff(distinct.edges)
    near = sizes - 1
    np.add.at(near, edges.lefts, sizes[edges.rights])
    np.add.at(near, edges.rights, sizes[edges.lefts])
    hubs = near > NEIGHBOURS_MAX
    kept = ~(hubs[edges.lefts] | hubs[edges.rights])
    edges = _Edges(edges.lefts[kept], edges.rights[kept])
    concerned = np.unique(np.concatenate([edges.lefts, edges.rights, np.flatnonzero((sizes > 1) & ~hubs)]))
    image_ids = [window.image_ids[place] for code in concerned.tolist() for place in distinct.places(code)]
    images = _Images(window, distinct, _documents(image_ids, look_up, report))
    nodes = _nodes(concerned.tolist(), images, question)
    groups = list(_groups(nodes, edges, question, images))
    held_back = sorted(window.image_ids[place] for code in np.flatnonzero(hubs) for place in distinct.places(int(code)))
    groups.sort(key=lambda group: (-len(group.members), group.diameter, group.members[0].image_id))
    return Found(groups, len(window.image_ids), _pairs_of(edges, sizes, hubs), held_back)


def _edges(codes: NDArray[np.uint8], question: Question, progress: Progress) -> _Edges:
    """The pairs of codes within the radius; of photos also those of a code and a mirrored one."""
    differences = [0, MIRRORED_OCTET] if question.same is Same.PHOTO else [0]
    lefts, rights, count = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    with single_thread() as thread:
        for round_, difference in enumerate(differences):

            def tell(done: int, total: int, before: int = round_ * len(codes)) -> None:
                progress(before + done, total * len(differences))

            for near in near_pairs(codes, question.radius, thread, tell, difference):
                lefts.append(near.lefts)
                rights.append(near.rights)
                count += len(near.lefts)
                if count > PAIRS_MAX:
                    raise QueryInvalidError(
                        f"more than {PAIRS_MAX:,} pairs are within this radius; ask for a smaller one"
                    )
    pairs = np.unique(np.stack([np.concatenate(lefts), np.concatenate(rights)]), axis=1)
    return _Edges(pairs[0], pairs[1])


def _pairs_of(edges: _Edges, sizes: NDArray[np.int64], hubs: NDArray[np.bool_]) -> int:
    """How many pairs of images that is."""
    own = sizes[~hubs]
    return int((sizes[edges.lefts] * sizes[edges.rights]).sum() + (own * (own - 1) // 2).sum())


def _documents(image_ids: Sequence[str], look_up: LookUp, report: Report) -> dict[str, Document]:
    found: dict[str, Document] = {}
    for start in range(0, len(image_ids), _DOCUMENTS_AT_ONCE):
        some = look_up(image_ids[start : start + _DOCUMENTS_AT_ONCE])
        found |= {image_id: document for image_id, document in some.items() if document.live}
        report("looking up", min(start + _DOCUMENTS_AT_ONCE, len(image_ids)), len(image_ids))
    return found


def _nodes(codes: Iterable[int], images: _Images, question: Question) -> dict[int, dict[_Key, list[int]]]:
    """For each code its nodes, with the places of their images in the window."""
    nodes: dict[int, dict[_Key, list[int]]] = {}
    for code in codes:
        of_code: defaultdict[_Key, list[int]] = defaultdict(list)
        for place in images.distinct.places(code):
            document = images.document(place)
            values = None if document is None else _values(document, question)
            if values is not None:
                of_code[(code, *values)].append(place)
        nodes[code] = dict(of_code)
    return nodes


def _values(document: Document, question: Question) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """What must be equal and what must differ in a pair; None where the image lacks one of these."""
    attributes = document.attributes
    if not all(name in attributes for name in (*question.match, *question.differ)):
        return None
    own = (document.item_id,) if question.by is By.ITEM else ()
    return (
        tuple(repr(attributes[name]) for name in question.match),
        own + tuple(repr(attributes[name]) for name in question.differ),
    )


def _groups(
    nodes: Mapping[int, Mapping[_Key, Sequence[int]]], edges: _Edges, question: Question, images: _Images
) -> Iterator[FoundGroup]:
    numbers: dict[_Key, int] = {}
    joined = np.fromiter(
        (numbers.setdefault(key, len(numbers)) for pair in _joined(nodes, edges, question) for key in pair), np.int32
    ).reshape(-1, 2)
    if question.by is By.ITEM:
        # All pictures of an item that are in pairs hang together by it.
        first: dict[str, int] = {}
        by_item = [(first.setdefault(key[2][0], number), number) for key, number in numbers.items()]
        joined = np.concatenate([joined, np.array(by_item, np.int32).reshape(-1, 2)])
    for keys in _connected(list(numbers), joined):
        members = [images.member(key[0], place) for key in keys for place in nodes[key[0]][key]]
        yield arranged(sorted(members, key=lambda member: member.image_id), question.same)


def _joined(
    nodes: Mapping[int, Mapping[_Key, Sequence[int]]], edges: _Edges, question: Question
) -> Iterator[tuple[_Key, _Key]]:
    """The pairs that the question allows; a node of several images that are duplicates of each other is one with
    itself."""
    for left, right in _node_pairs(nodes, edges):
        if left[1] == right[1] and all(one != other for one, other in zip(left[2], right[2], strict=True)):
            yield left, right
    if not question.differ and question.by is By.IMAGE:
        for of_code in nodes.values():
            yield from ((key, key) for key, places in of_code.items() if len(places) > 1)


def _connected(keys: Sequence[_Key], joined: NDArray[np.int32]) -> Iterator[list[_Key]]:
    """What hangs together by pairs of places in `keys`, (pairs, 2)."""
    from scipy.sparse import coo_array  # noqa: PLC0415 (slow to import, and each searcher would)
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    pairs = coo_array((np.ones(len(joined), np.bool_), (joined[:, 0], joined[:, 1])), shape=(len(keys), len(keys)))
    _, labels = connected_components(pairs, directed=False)
    found: defaultdict[int, list[_Key]] = defaultdict(list)
    for key, label in zip(keys, labels.tolist(), strict=True):
        found[label].append(key)
    yield from found.values()


def _node_pairs(nodes: Mapping[int, Mapping[_Key, Sequence[int]]], edges: _Edges) -> Iterator[tuple[_Key, _Key]]:
    for of_code in nodes.values():
        keys = list(of_code)
        yield from ((keys[one], keys[other]) for other in range(len(keys)) for one in range(other))
    for left, right in zip(edges.lefts.tolist(), edges.rights.tolist(), strict=True):
        yield from product(nodes[left], nodes[right])
