"""The strategy that searches the codes in this process's memory; it asks the store for documents that are not there."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeVar

import numpy as np

from searcher.backend import Backend, QueryTimeoutError
from searcher.resident.follower import Follower, FollowerState
from searcher.resident.index import ResidentHits, ResidentImage, ResidentIndex
from searcher.strategies import Found, Query, StrategyName
from shared.document import Document, Kind, attribute_terms, pack_shown, unpack_shown
from shared.errors import DependencyUnavailableError, QueryInvalidError, StoreUnavailableError
from shared.store import Change, Neighbour, Restriction

_Result = TypeVar("_Result")

# Where documents turn out newer than what is in memory, that is taken over and the search done again, so often.
_TRIES_MAX = 3
_CHANGED = "images changed while they were looked up"


class NotResidentError(DependencyUnavailableError):
    """The codes are not in memory: not yet, or because they do not fit."""


class Resident:
    """Exact, over all images of the window, current within a second; during an outage, as they were before it."""

    def __init__(self, backend: Backend, index: ResidentIndex, follower: Follower, threads: Executor) -> None:
        """`threads` run the searches."""
        self.index = index
        self.follower = follower
        self._backend = backend
        self._threads = threads

    def can_answer(self, query: Query) -> bool:
        """Whether the codes are in memory, and the fields that the query restricts."""
        return self.follower.state.as_of is not None and self.index.can_filter(query.restriction)

    async def nearest(self, query: Query) -> Found:
        return (await self.nearest_of_many([query]))[0]

    async def nearest_of_many(self, queries: Sequence[Query]) -> list[Found]:
        """An answer for each of these queries, which have count, radius and restriction in common; errors as of one.

        Several queries have one code each, and share the passes over the codes.
        """
        one = queries[0]
        self.check(one.restriction)
        looked = await self._looked_up(one.encoder_id, partial(_search, queries))
        return [_found(query, answer, looked) for query, answer in zip(queries, looked.answers, strict=True)]

    async def documented(
        self, encoder_id: str, search: Callable[[ResidentIndex], ResidentHits]
    ) -> tuple[list[Neighbour], datetime]:
        """The hits that `search` gives, with their documents, and as of when; errors as of `ask`.

        While the store is away, what is not in memory of a document is left out.
        """

        def answers(index: ResidentIndex) -> list[_Answer]:
            hits = search(index)
            return [_Answer(hits, _documents_of(encoder_id, hits))]

        looked = await self._looked_up(encoder_id, answers)
        return _neighbours(looked.answers[0], looked.documents), looked.as_of

    async def _looked_up(self, encoder_id: str, search: "Callable[[ResidentIndex], list[_Answer]]") -> "_Looked":
        """What `search` gives, with the store's documents where memory has none. Done again where these are newer."""
        for _ in range(_TRIES_MAX):
            as_of = self.as_of()
            answers = await self.ask(search)
            lacking = {image_id: version for answer in answers for image_id, version in answer.lacking()}
            if not lacking:
                return _Looked(answers, as_of)
            try:
                documents = await self._documents(lacking)
            except (StoreUnavailableError, QueryTimeoutError) as error:
                return _Looked(answers, as_of, reason=f"from memory, without attributes: {error}")
            changes = list(_newer(encoder_id, lacking, documents))
            if not changes:
                return _Looked(answers, as_of, documents)
            self.index.apply(changes)
        return _Looked(answers, as_of, documents, _CHANGED)

    def check(self, restriction: Restriction) -> None:
        """QueryInvalidError where it restricts what is not in memory."""
        if not self.index.can_filter(restriction):
            raise QueryInvalidError(
                "a filter is on an attribute that is not kept in memory: name it in CATALOGUE_RESIDENT_FIELDS, or have "
                "the store searched (strategy `flat`)"
            )

    async def _documents(self, versions: Mapping[str, int]) -> Mapping[str, Document]:
        """The documents of these images; those that are not at hand in this version, as they are now."""
        at_hand = await self._backend.ask(lambda store: store.documents_at(versions))
        others = [image_id for image_id in versions if image_id not in at_hand]
        return {**at_hand, **await self._backend.ask(lambda store: store.documents(others))} if others else at_hand

    async def image(self, image_id: str) -> ResidentImage | None:
        """The image as it is in memory, visible or not; errors as of `ask`."""
        before = self.follower.state
        if before.as_of is not None and not self.index.changing:
            # It takes less time than to hand it to a thread.
            held = self.index.image(image_id)
            if self.follower.state.filling == before.filling:
                return held
        return await self.ask(lambda index: index.image(image_id))

    async def ask(self, question: Callable[[ResidentIndex], _Result]) -> _Result:
        """What `question` gives of the codes in memory; NotResidentError, QueryTimeoutError."""
        before = self.follower.state
        if before.as_of is None:
            raise _missing(before)
        answer = await self._backend.within(self._threads, lambda: question(self.index))
        if self.follower.state.filling != before.filling:
            # It was emptied meanwhile, so the answer may be of a part.
            raise NotResidentError("the codes are being read anew")
        return answer

    def as_of(self) -> datetime:
        """Everything that the store had acknowledged before this is in memory; NotResidentError where it is not."""
        state = self.follower.state
        if state.as_of is None:
            raise _missing(state)
        return state.as_of


def _missing(state: FollowerState) -> NotResidentError:
    return NotResidentError(f"the codes are not in memory: {state.detail or 'they are being read'}")


@dataclass(frozen=True, slots=True)
class _Answer:
    """Hits that are to be given, what memory has of their documents, and whether there are no more."""

    hits: ResidentHits
    documents: Sequence[Document | None]
    exhausted: bool = False

    def lacking(self) -> Iterator[tuple[str, int]]:
        """Image id and version of each hit without a document."""
        if None in self.documents:
            columns = zip(self.documents, self.hits.image_ids, self.hits.versions.tolist(), strict=True)
            yield from ((image_id, version) for document, image_id, version in columns if document is None)


@dataclass(frozen=True, slots=True)
class _Looked:
    """Answers with documents of the store where memory has none; complete where there is no `reason` why not."""

    answers: Sequence[_Answer]
    as_of: datetime
    documents: Mapping[str, Document] = field(default_factory=dict)
    reason: str | None = None


def _search(queries: Sequence[Query], index: ResidentIndex) -> list[_Answer]:
    one = queries[0]
    if len(queries) == 1:
        found = [index.nearest(one.distance, one.count, one.radius, one.restriction)]
    else:
        codes = np.array([list(query.code) for query in queries], dtype=np.uint8)
        found = index.nearest_of_many(codes, one.count, one.radius, one.restriction)
    answers = []
    for query, hits in zip(queries, found, strict=True):
        wanted = _behind(query.after, hits)
        documents = _documents_of(query.encoder_id, wanted)
        answers.append(_Answer(wanted, documents, exhausted=len(hits.image_ids) < one.count))
    return answers


def _behind(after: tuple[int, str] | None, hits: ResidentHits) -> ResidentHits:
    """The hits behind a place: documents need not be read of those that are known already."""
    if after is None:
        return hits
    return hits.behind(bisect_right(list(zip(hits.distances.tolist(), hits.image_ids, strict=True)), after))


def _documents_of(encoder_id: str, hits: ResidentHits) -> list[Document | None]:
    """The documents of the hits, without thumbnail, as far as what they show is in memory."""
    codes, size = hits.codes.tobytes(), hits.codes.shape[1]
    starts = range(0, len(codes), size)
    times = hits.event_times_ms.tolist()
    columns = zip(hits.image_ids, hits.versions.tolist(), times, starts, hits.shown(), strict=True)
    documents: list[Document | None] = []
    for image_id, version, event_time_ms, start, shown in columns:
        if shown is None:
            documents.append(None)
            continue
        item_id, image_url, attributes = unpack_shown(shown)
        documents.append(
            Document(
                image_id,
                Kind.IMAGE,
                version,
                True,
                event_time_ms,
                item_id=item_id,
                image_url=image_url,
                attributes=attributes,
                codes={encoder_id: codes[start : start + size]},
            )
        )
    return documents


def _newer(encoder_id: str, versions: Mapping[str, int], documents: Mapping[str, Document]) -> Iterator[Change]:
    """What the store knows better by now; its documents are read in real time."""
    for image_id, version in versions.items():
        document = documents.get(image_id)
        if document is None:
            yield Change(image_id, version + 1, 0, None)
        elif document.version > version and document.kind is not Kind.MOVED:
            # (What a MOVED marker speaks of is on its way to the feed; until then the older version stays.)
            code = document.codes.get(encoder_id) if document.live else None
            terms, shown = attribute_terms(document.attributes), None if code is None else pack_shown(document)
            yield Change(image_id, document.version, document.event_time_ms, code, terms, shown)


def _found(query: Query, answer: _Answer, looked: _Looked) -> Found:
    most = query.distance.bounds[1]
    reach = most if query.radius is None else min(query.radius, most)
    return Found(
        StrategyName.RESIDENT,
        _neighbours(answer, looked.documents),
        reach if looked.reason is None else None,
        answer.hits.compared,
        looked.as_of,
        exhausted=answer.exhausted,
        complete=looked.reason is None,
        reason=looked.reason,
    )


def _neighbours(answer: _Answer, documents: Mapping[str, Document]) -> list[Neighbour]:
    """The hits with their documents; where there is none, with what is beside the code."""

    def other(place: int) -> Document:
        found = documents.get(hits.image_ids[place])
        if found is not None and found.live:
            return found
        version, event_time_ms = int(hits.versions[place]), int(hits.event_times_ms[place])
        return Document(hits.image_ids[place], Kind.IMAGE, version, True, event_time_ms)

    hits = answer.hits
    return [
        Neighbour(distance, other(place) if document is None else document)
        for place, (distance, document) in enumerate(zip(hits.distances.tolist(), answer.documents, strict=True))
    ]
