"""`resident` over HTTP: one client against Elasticsearch asked directly, under load, and behind a stream of writes."""

import json
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing.synchronize import Event

import numpy as np
import rig
from rich.progress import Progress
from search_codes import Codes, CodeSource
from search_process import in_turns
from search_rows import K, Row, Timing, ratio_row, shown
from search_server import Client, Searcher, Stand, document, image_id, open_elasticsearch, search_body

from shared.encoding.encoder import Encoder
from shared.rolling_window import to_milliseconds
from shared.store import Restriction
from shared.store.elasticsearch_documents import code_field

BITS = 256
_WRITES_A_SECOND = 500
_WRITES_AT_ONCE = 100
_CLIENTS = (1, 2, 4, 8, 16)
_LOAD_SECONDS = 4.0
_SHARE_OF_LOAD = 0.7
_SHARE_SECONDS = 15.0
_SHARE_CLIENTS = 32
_POLL_SECONDS = 0.005
# Goals that only so many images, or more, are held against.
_MANY = 10_000_000


@dataclass(frozen=True, slots=True)
class _Measured:
    """Of one stand: timings of one client are (memory, Elasticsearch). `load` is in queries a second, `written` in
    images a second, `beyond` in bytes of memory an image beyond its code, `delays` in seconds."""

    written: float
    beyond: float
    ready_seconds: float
    alone: tuple[Timing, Timing]
    beside_writes: tuple[Timing, Timing]
    load: float
    under_load: Timing
    delays: list[float]


def http_rows(
    bench: rig.Bench, source: CodeSource, count: int, progress: Progress, *, queries: int, changes: int
) -> list[Row]:
    """Rows for so many images; starts with an empty store and leaves a full one."""
    stand, encoder, codes = Stand(bench), source.encoder(BITS), source.codes(BITS, count)
    stand.use({"elasticsearch_hnsw": "false", "resident_bytes_max": str(count * 160 + (1 << 28))})
    written = stand.fill(encoder, codes, progress)
    with stand.searcher(resident=False) as plain:
        without = plain.mebibytes
    with stand.searcher(resident=True) as searcher:
        beyond = (searcher.mebibytes - without) * 2**20 / count - BITS // 8
        alone = _one_client(stand, searcher, encoder, codes, queries=queries, progress=progress)
        load, under_load = _under_load(searcher, count, progress)
        with _writing(bench, encoder, count):
            beside = _one_client(stand, searcher, encoder, codes, queries=queries, progress=progress)
            delays = _delays(stand, searcher, encoder, range(count, count + changes), progress)
    stand.store.close()
    return _rows(count, _Measured(written, beyond, searcher.ready_seconds, alone, beside, load, under_load, delays))


def _rows(count: int, of: _Measured) -> list[Row]:
    name = f"over HTTP, {count:,} × {BITS} bits"
    peer = "Elasticsearch flat knn, asked directly"
    writes = f"while {_WRITES_A_SECOND} images/s are written"
    alone, median, slowest = of.alone[0], rig.percentile(of.delays, 0.5), rig.percentile(of.delays, 0.99)
    many = count >= _MANY
    loading = f"written to Elasticsearch at {of.written:,.0f} images/s"
    load = f"highest load {of.load:,.0f} queries/s; alone {alone}"
    share = f"{name}, at {_SHARE_OF_LOAD:.0%} of the highest load: p99 / p50 alone"
    visible = f"{name}: seconds from visible in the store to visible in memory, p99 of {len(of.delays)} changes"
    return [
        ratio_row(f"{name}, by id, one client", alone, peer, of.alone[1], 0.15),
        ratio_row(f"the same {writes}", of.beside_writes[0], peer, of.beside_writes[1], None),
        Row(f"{name}: p50, ms", str(alone), "", alone.p50, 12 if many else None),
        Row(f"{name}: bytes of the process's memory an image beyond its code", "", "", of.beyond, 64 if many else None),
        Row(f"{name}: seconds from start to ready", "", loading, of.ready_seconds, 120 if many else None),
        Row(share, str(of.under_load), load, of.under_load.p99 / alone.p50, 3),
        Row(visible, f"{shown(median)} / {shown(slowest)} s", writes, slowest, 1),
    ]


def _one_client(
    stand: Stand, searcher: Searcher, encoder: Encoder, codes: Codes, *, queries: int, progress: Progress
) -> tuple[Timing, Timing]:
    """`resident` by id, and Elasticsearch by the code, on the same images."""
    ours, theirs = Client(searcher.port), Client(stand.elasticsearch_port)
    numbers = np.random.default_rng(3).integers(0, len(codes), queries).tolist()
    form = _fastest_form(theirs, encoder, codes)

    def ask_searcher(number: int) -> None:
        reply = ours.search(search_body({"image_id": image_id(number)}, "resident", K))
        if len(reply["hits"]) != K or not reply["exact"]:
            raise SystemExit(f"{len(reply['hits'])} hits, exact: {reply['exact']}, {reply.get('reason')}")

    def ask_elasticsearch(number: int) -> None:
        reply = json.loads(theirs.post(_DIRECTLY, _direct_body(form, encoder, codes[number])))
        if len(reply["hits"]["hits"]) != K:
            raise SystemExit(f"Elasticsearch gives {len(reply['hits']['hits'])} hits")

    ours_timed, theirs_timed = in_turns(
        [ask_searcher, ask_elasticsearch], numbers, progress=progress, description="one client: memory, Elasticsearch"
    )
    return ours_timed, theirs_timed


# Ids and scores alone.
_DIRECTLY = "/catalogue/_search?filter_path=hits.hits._id,hits.hits._score"


def _direct_body(form: str, encoder: Encoder, code: Codes) -> bytes:
    knn = {
        "field": code_field(encoder.encoder_id),
        "query_vector": code.tobytes().hex(),
        "k": K,
        "num_candidates": K,
    }
    clause: Mapping[str, object] = {"knn": knn} if form == "knn" else {"query": {"knn": knn}}
    return json.dumps({**clause, "size": K, "_source": False, "track_total_hits": False}).encode()


def _fastest_form(client: Client, encoder: Encoder, codes: Codes) -> str:
    """Elasticsearch takes a knn search beside the query or as the query; the one of the lesser median."""
    medians = {}
    for form in ("knn", "query"):
        times = []
        for number in range(12):
            began = time.perf_counter()
            client.post(_DIRECTLY, _direct_body(form, encoder, codes[number]))
            times.append(time.perf_counter() - began)
        medians[form] = rig.percentile(times, 0.5)
    return min(medians, key=lambda form: medians[form])


def _under_load(searcher: Searcher, count: int, progress: Progress) -> tuple[float, Timing]:
    """The highest rate of clients that ask again at once, and the timing at a steady share of that rate.

    At the steady rate a query's time counts from when it was due, whether a client was free or not.
    """
    task = progress.add_task("load", total=len(_CLIENTS) + 1)
    highest = 0.0
    for clients in _CLIENTS:
        done = _ask_together(searcher, count, clients, _at_once(time.perf_counter() + _LOAD_SECONDS))
        highest = max(highest, len(done) / _LOAD_SECONDS)
        progress.advance(task)
    rate = highest * _SHARE_OF_LOAD
    began = time.perf_counter() + 0.1
    steady = (began + number / rate for number in range(int(rate * _SHARE_SECONDS)))
    times = _ask_together(searcher, count, _SHARE_CLIENTS, steady)
    progress.advance(task)
    return highest, Timing.of(times)


def _at_once(deadline: float) -> Iterator[float]:
    while (now := time.perf_counter()) < deadline:
        yield now


def _ask_together(searcher: Searcher, count: int, clients: int, due: Iterator[float]) -> list[float]:
    """Seconds of each query from when it was due; each is asked by whichever client is free first."""
    lock, seconds = threading.Lock(), []

    def ask(client_number: int) -> None:
        client, generator = Client(searcher.port), np.random.default_rng(client_number)
        while True:
            with lock:
                begin = next(due, None)
            if begin is None:
                return
            time.sleep(max(0.0, begin - time.perf_counter()))
            client.search(search_body({"image_id": image_id(int(generator.integers(count)))}, "resident", K))
            seconds.append(time.perf_counter() - begin)

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(ask, range(clients)))
    return seconds


def _delays(stand: Stand, searcher: Searcher, encoder: Encoder, numbers: range, progress: Progress) -> list[float]:
    """For each new image the seconds from when the store finds it until the searcher's memory does."""
    client, generator, delays = Client(searcher.port), np.random.default_rng(4), []

    def in_store(code: bytes, only: Restriction) -> bool:
        return bool(stand.store.nearest(encoder.encoder_id, code, 1, 0, only).neighbours)

    for number in progress.track(numbers, description="changes"):
        now, code = datetime.now(UTC), generator.bytes(BITS // 8)
        stand.store.write([document(encoder.encoder_id, number, code, now)], now)
        # Of this moment alone: so the store has little to compare, and answers soon.
        moment = to_milliseconds(now)
        only = Restriction(moment - 1, since_ms=moment, until_ms=moment + 1)
        _poll(partial(in_store, code, only))
        visible = time.perf_counter()
        _poll(partial(_is_hit, client, search_body({"code": code.hex()}, "resident", 1, radius=0)))
        delays.append(time.perf_counter() - visible)
    return delays


def _is_hit(client: Client, body: bytes) -> bool:
    return bool(client.search(body)["hits"])


def _poll(found: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + 60
    while not found():
        if time.perf_counter() > deadline:
            raise SystemExit("a change did not become visible within a minute")
        time.sleep(_POLL_SECONDS)


@contextmanager
def _writing(bench: rig.Bench, encoder: Encoder, count: int) -> Iterator[None]:
    """Another process writes updates meanwhile, as a worker would whose network takes no time."""
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    writer = context.Process(target=write_steadily, args=(dict(bench.settings), encoder.encoder_id, count, stop))
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()
    if writer.exitcode:
        raise SystemExit("the writer failed")


def write_steadily(settings: dict[str, str], encoder_id: str, count: int, stop: Event) -> None:
    """Write new versions of images picked at random, so many a second, until told to stop."""
    store, generator = open_elasticsearch(settings), np.random.default_rng(5)
    due = time.perf_counter()
    while not stop.wait(max(0.0, due - time.perf_counter())):
        now = datetime.now(UTC)
        numbers = generator.choice(count, min(count, _WRITES_AT_ONCE), replace=False).tolist()
        version = time.time_ns() // 1000
        store.write([document(encoder_id, n, generator.bytes(BITS // 8), now, version) for n in numbers], now)
        due += _WRITES_AT_ONCE / _WRITES_A_SECOND
    store.close()
