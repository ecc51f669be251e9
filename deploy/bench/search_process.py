"""`resident` against FAISS's exact binary index in one process: one query, and a batch."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress
from search_codes import Codes, CodeSource
from search_rows import K, Row, Timing, ratio_row, shown

from searcher.resident.hamming_sum import HammingSum
from searcher.resident.index import ResidentIndex, usable_cores
from searcher.resident.shown_file import ShownFile
from shared.document import Document, Kind, pack_shown
from shared.rolling_window import to_milliseconds, window_start
from shared.store import Change, Restriction

_Asked = TypeVar("_Asked")

_BITS = 256
_BATCH = 64
_CHANGES_AT_ONCE = 20_000
_ID_BYTES_MAX = 128
_SHOWN_BYTES_MAX = 256
_SHOWN = pack_shown(
    Document("", Kind.IMAGE, 1, True, 0, item_id="item-1234567", attributes={"category": "category-1", "price": 9.99})
)
# Turns are short, so that a busy moment hits all, and long enough that none meets another's spinning threads.
_QUERIES_A_TURN = 10
_PAUSE_SECONDS = 0.02
_GOALS = {1_000_000: 0.75, 10_000_000: 0.6}


def process_rows(source: CodeSource, count: int, queries: int, progress: Progress) -> list[Row]:
    """Rows for so many images."""
    codes = source.codes(_BITS, count)
    shown_file = partial(ShownFile, count * _SHOWN_BYTES_MAX)
    resident = ResidentIndex(_BITS, count * (_BITS // 8 + _ID_BYTES_MAX) + (1 << 26), shown_file=shown_file)
    try:
        fill_seconds = _fill(resident, codes, progress)
        one, limit, batch = _against_faiss(resident, codes, queries, progress)
        beyond = resident.nbytes / count - _BITS // 8
    finally:
        resident.close()
    name = f"in process, {count:,} × {_BITS} bits"
    peer = f"FAISS {faiss.__version__} IndexBinaryFlat"
    filled = f"documents in a file; filled at {shown(count / fill_seconds / 1000)} thousand images/s"
    return [
        ratio_row(f"{name}, one query", one[0], peer, one[1], _GOALS.get(count, 0.75)),
        ratio_row(
            f"{name}, the limit: the codes' bytes are merely read, by as many threads", limit, peer, one[1], None
        ),
        ratio_row(f"{name}, batch of {_BATCH}", batch[0], peer, batch[1], 1.0),
        Row(f"{name}: bytes of memory an image beyond its code", "", filled, beyond, 64),
    ]


def _against_faiss(
    resident: ResidentIndex, codes: Codes, queries: int, progress: Progress
) -> tuple[list[Timing], Timing, list[Timing]]:
    """(resident, FAISS) with one query, merely reading the codes, and (resident, FAISS) with a batch."""
    generator = np.random.default_rng(2)
    restriction = Restriction(to_milliseconds(window_start(datetime.now(UTC), 3)))
    peer = faiss.IndexBinaryFlat(_BITS)
    peer.add(codes)
    asked = list(codes[generator.integers(0, len(codes), queries)])
    _check(resident, peer, asked[0], restriction)
    with ThreadPoolExecutor(usable_cores()) as threads:
        *one, limit = in_turns(
            [
                lambda code: resident.nearest(HammingSum.plain(code.tobytes()), K, None, restriction),
                lambda code: peer.search(code.reshape(1, -1), K),
                partial(_read, np.array_split(codes.view(np.uint64).ravel(), usable_cores()), threads),
            ],
            asked,
            progress=progress,
            description=f"{len(codes):,} codes, one query",
        )
    batch = in_turns(
        [
            lambda part: resident.nearest_of_many(part, K, None, restriction),
            lambda part: peer.search(part, K),
        ],
        [codes[generator.integers(0, len(codes), _BATCH)] for _ in range(max(3, queries // 20))],
        progress=progress,
        description=f"{len(codes):,} codes, batches of {_BATCH}",
        a_turn=1,
    )
    return one, limit, batch


def _read(parts: list[NDArray[np.uint64]], threads: Executor, _: Codes) -> None:
    """Read all of the parts, each on a core, and compare nothing: no scan is faster."""
    others = [threads.submit(np.max, part) for part in parts[1:]]
    np.max(parts[0])
    for other in others:
        other.result()


def in_turns(
    answers: Sequence[Callable[[_Asked], object]],
    questions: list[_Asked],
    *,
    progress: Progress,
    description: str,
    a_turn: int = _QUERIES_A_TURN,
) -> list[Timing]:
    """Time all on the same questions, some of one, then some of the next; each turn begins with one untimed."""
    times: list[list[float]] = [[] for _ in answers]
    task = progress.add_task(description, total=len(questions))
    for start in range(0, len(questions), a_turn):
        part = questions[start : start + a_turn]
        for answer, seconds in zip(answers, times, strict=True):
            time.sleep(_PAUSE_SECONDS)
            answer(part[-1])
            for question in part:
                began = time.perf_counter()
                answer(question)
                seconds.append(time.perf_counter() - began)
        progress.advance(task, len(part))
    return [Timing.of(seconds) for seconds in times]


def _fill(index: ResidentIndex, codes: Codes, progress: Progress) -> float:
    """Take all codes in, with documents; gives the seconds."""
    now_ms = to_milliseconds(datetime.now(UTC))
    began = time.perf_counter()
    starts = range(0, len(codes), _CHANGES_AT_ONCE)
    for start in progress.track(starts, description=f"filling memory with {len(codes):,} codes"):
        part = codes[start : start + _CHANGES_AT_ONCE]
        index.apply(
            [Change(f"image-{start + n}", 1, now_ms, code.tobytes(), (), _SHOWN) for n, code in enumerate(part)]
        )
    return time.perf_counter() - began


def _check(resident: ResidentIndex, peer: faiss.IndexBinaryFlat, code: Codes, restriction: Restriction) -> None:
    ours = resident.nearest(HammingSum.plain(code.tobytes()), K, None, restriction).distances
    theirs, _ = peer.search(code.reshape(1, -1), K)
    if ours.tolist() != theirs[0].tolist():
        raise SystemExit("resident and FAISS give different distances")
