"""Working on cases: seeds become codes and evidence, judged images leave their pictures and facts in the ledger."""

from collections.abc import Collection, Sequence
from datetime import datetime

import numpy as np

from searcher.backend import QueryTimeoutError
from searcher.cursors import decode_cursor, encode_cursor
from searcher.folding import Folded
from searcher.resident.index import ResidentHits, ResidentIndex
from searcher.search import Searcher, SearcherParts
from searcher.stopwatch import Stopwatch
from searcher.wire import Hit, ListedImage, Seed, shown_time
from searcher.workbench.case_codes import CaseCodes, codes_of, rows_of
from searcher.workbench.desk import Desk
from searcher.workbench.ranking import nearest_distances, rank_candidates
from searcher.workbench.records import (
    Case,
    CaseSeed,
    CaseState,
    Evidence,
    NewJudgement,
    Progress,
    Verdict,
)
from searcher.workbench.wire import (
    CaseChange,
    CasesReply,
    JudgedImage,
    JudgeRequest,
    ListedCase,
    NewCase,
    NextReply,
    NextRequest,
    ProgressReply,
)
from searcher.workbench.workbench import Workbench
from shared.document import Document
from shared.errors import QueryInvalidError, StoreUnavailableError
from shared.images.picture import media_type_of
from shared.rolling_window import to_milliseconds
from shared.store import NEIGHBOURS_MAX, Neighbour, PageCursor, Store

_THUMBNAIL_TYPE = "image/webp"
# What is judged next is sought around the first seed and what was found relevant last, so many of each.
_ANCHORS_MAX = 32
_NEIGHBOURS_EACH = 200
_JUDGED_MAX = 1000


class Casework:
    """What analysts do, over a ledger and a searcher."""

    def __init__(self, parts: SearcherParts, searcher: Searcher, desk: Desk) -> None:
        self._parts = parts
        self._searcher = searcher
        self.desk = desk

    async def open_case(self, request: NewCase, who: str) -> Case:
        """A new case; errors as of `Searcher.search` where a seed can't be used, and WorkbenchUnavailableError."""
        seeds = await self.resolve(request.seeds)
        return await self.desk.ask(lambda bench: bench.ledger.open_case(request.name, request.note, seeds, who))

    async def resolve(self, seeds: Sequence[Seed]) -> list[CaseSeed]:
        """Seeds as cases keep them: with their code, and their picture as evidence; errors as of `open_case`."""
        return [await self._seed(seed) for seed in seeds]

    async def change_case(self, case_id: str, request: CaseChange, who: str) -> Case:
        """The case as it is then; CaseMissingError, and errors as of `open_case`."""
        await self.desk.ask(lambda bench: bench.ledger.case(case_id))
        seeds = await self.resolve(request.seeds)
        return await self.desk.ask(lambda bench: bench.ledger.change_case(case_id, request.changes, seeds, who))

    async def cases(self, state: CaseState | None, cursor: str | None, count: int) -> CasesReply:
        """A page of cases, the one changed last first; QueryInvalidError where the cursor is not one of ours."""
        after = None if cursor is None else _read_cursor(cursor)
        # One more than is shown tells whether another page follows.
        found = await self.desk.ask(lambda bench: bench.ledger.cases(state, after, count + 1))
        last = found[count - 1] if len(found) > count else None
        place = None if last is None else encode_cursor(PageCursor(to_milliseconds(last.changed_at), last.case_id))
        return CasesReply(cases=[ListedCase.listed(case) for case in found[:count]], cursor=place)

    async def judge(self, case_id: str, request: JudgeRequest, who: str) -> Progress:
        """Append judgements, with the images' facts and thumbnails as they are now; CaseMissingError."""
        await self.desk.ask(lambda bench: bench.ledger.case(case_id))
        encoder = self._parts.backend.encoder_or_raise().encoder_id
        images = [one.image_id for one in request.judgements if one.verdict is not Verdict.WITHDRAWN]
        documents, thumbnails = await self._as_they_are(images)

        def append(bench: Workbench) -> Progress:
            kept = bench.ledger.keep([Evidence(_THUMBNAIL_TYPE, thumbnail) for thumbnail in thumbnails.values()])
            digests = dict(zip(thumbnails, kept, strict=True))
            judgements = [_new(one, encoder, documents, digests) for one in request.judgements]
            return bench.ledger.judge(case_id, judgements, who, request.shown_by)

        return await self.desk.ask(append)

    async def next_images(self, case_id: str, request: NextRequest) -> NextReply:
        """What to judge next; CaseMissingError, QueryInvalidError where nothing is relevant yet, NotResidentError."""
        case, judged = await self.desk.ask(lambda bench: (bench.ledger.case(case_id), bench.ledger.verdicts(case_id)))
        known = await codes_of(self._parts.backend, case, judged)
        neighbours, as_of = await self._ranked(known, request)
        return NextReply(
            encoder=known.encoder,
            hits=Hit.all_of([Folded(one) for one in neighbours], (0, len(known.relevant[0]) * 8)),
            as_of=shown_time(as_of),
            progress=ProgressReply.of(case.progress),
            left_out=known.left_out,
        )

    async def _ranked(self, known: CaseCodes, request: NextRequest) -> tuple[list[Neighbour], datetime]:
        """The best of the neighbours of the seeds and of what was found relevant last, and as of when."""
        resident = self._searcher.strategies.resident()
        restriction = request.restriction(self._searcher.visible_after_ms())
        resident.check(restriction)
        anchors = rows_of([*known.relevant[:1], *known.relevant[1:][1 - _ANCHORS_MAX :]], len(known.relevant[0]))
        count = min(_NEIGHBOURS_EACH + len(known.image_ids), NEIGHBOURS_MAX)

        def look(index: ResidentIndex) -> ResidentHits:
            hits = ResidentHits.union(index.nearest_of_many(anchors, count, None, restriction))
            return _best(hits, known.image_ids | self._searcher.held_back, known, request.k)

        return await resident.documented(known.encoder, look)

    async def _as_they_are(self, image_ids: Sequence[str]) -> tuple[dict[str, Document], dict[str, bytes]]:
        """Documents and thumbnails; a judgement is worth more than these, so it is not held up where they are away."""

        def look(store: Store) -> tuple[dict[str, Document], dict[str, bytes]]:
            documents = {key: document for key, document in store.documents(image_ids).items() if document.live}
            thumbnails = ((image_id, store.thumbnail(image_id)) for image_id in documents)
            return documents, {image_id: content for image_id, content in thumbnails if content is not None}

        try:
            return await self._parts.backend.ask(look)
        except (StoreUnavailableError, QueryTimeoutError):
            return {}, {}

    async def _seed(self, seed: Seed) -> CaseSeed:
        encoder = self._parts.backend.encoder_or_raise().encoder_id
        resolved = await self._searcher.resolve(seed, Stopwatch())
        picture = await self._picture(seed, resolved.picture)
        digest = None
        if picture is not None:
            digest = (await self.desk.ask(lambda bench: bench.ledger.keep([picture])))[0]
        return CaseSeed(resolved.code, encoder, seed.weight, seed.image_id, seed.url, digest)

    async def _picture(self, seed: Seed, content: bytes | None) -> Evidence | None:
        if content is not None:
            return Evidence(media_type_of(content), content)
        if seed.image_id is None:
            return None
        thumbnail = await self._parts.backend.ask(lambda store: store.thumbnail(seed.image_id or ""))
        return None if thumbnail is None else Evidence(_THUMBNAIL_TYPE, thumbnail)


def _best(hits: ResidentHits, left_out: Collection[str], known: CaseCodes, count: int) -> ResidentHits:
    """The most promising of these hits, with their distances to the nearest relevant code."""
    candidates = hits.taken(np.flatnonzero([image_id not in left_out for image_id in hits.image_ids]))
    # What was judged last says most of where the analyst is now, and bounds the work.
    relevant, not_relevant = (
        rows_of(some[-_JUDGED_MAX:], candidates.codes.shape[1]) for some in (known.relevant, known.not_relevant)
    )
    if not candidates.image_ids:
        return candidates
    order = rank_candidates(candidates.codes, relevant, not_relevant)[:count]
    return candidates.taken(order, nearest_distances(candidates.codes[order], relevant).astype(np.int64))


def _new(one: JudgedImage, encoder: str, documents: dict[str, Document], digests: dict[str, str]) -> NewJudgement:
    document = documents.get(one.image_id)
    return NewJudgement(
        one.image_id,
        one.verdict,
        one.rank,
        one.distance,
        encoder,
        code=None if document is None else document.codes.get(encoder),
        image=None if document is None else ListedImage.of(document).model_dump_json(),
        evidence=digests.get(one.image_id),
    )


def _read_cursor(cursor: str) -> tuple[int, str]:
    try:
        place = decode_cursor(cursor)
    except ValueError as error:
        raise QueryInvalidError("the cursor is not one that a page of cases gave") from error
    return place.event_time_ms, place.image_id
