"""Elasticsearch with so many images, and a searcher over it: filled, started, asked, and cleared for the next ones."""

import http.client
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from subprocess import Popen
from typing import Any

import rig
from rich.progress import Progress
from search_codes import Codes

from shared.document import Document, Kind
from shared.encoding.encoder import Encoder
from shared.errors import StoreUnavailableError
from shared.rolling_window import month_of, to_milliseconds
from shared.settings import Settings
from shared.store.elasticsearch_store import ElasticsearchStore
from shared.store.monthly_indices import Put
from shared.store.opening import open_store
from tests.programs import until

_DOCUMENTS_AT_ONCE = 1000
_WRITERS = 3
_READY_SECONDS = 900
_FULL_SECONDS = 120


class Client:
    """One connection that is kept, to a server on this machine; made anew where the server has closed it as idle."""

    def __init__(self, port: str | int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=150)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of the reply."""
        try:
            return self._ask(method, path, body)
        except ConnectionError:
            self._connection.close()
            return self._ask(method, path, body)

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        self._connection.request(method, path, body, {"Content-Type": "application/json"})
        reply = self._connection.getresponse()
        return reply.status, reply.read()

    def post(self, path: str, body: bytes) -> bytes:
        """The reply's body; the benchmark ends where it is an error."""
        status, content = self.ask("POST", path, body)
        if status != http.client.OK:
            raise SystemExit(f"POST {path}: {status} {content[:500].decode(errors='replace')}")
        return content

    def search(self, body: bytes) -> Mapping[str, Any]:
        """The searcher's reply."""
        reply: Mapping[str, Any] = json.loads(self.post("/v1/search", body))
        return reply


class Stand:
    """A real Elasticsearch and what runs on it."""

    def __init__(self, bench: rig.Bench) -> None:
        self.bench = bench
        self.store = open_elasticsearch(bench.settings)
        self.elasticsearch_port = bench.settings["store_url"].rpartition(":")[2]

    def use(self, settings: Mapping[str, str]) -> None:
        """Go on with other settings, on an empty store."""
        self.store.close()
        self.bench.settings |= settings
        self.store = open_elasticsearch(self.bench.settings)
        client = Client(self.elasticsearch_port)
        _, listed = client.ask("GET", "/_cat/indices/catalogue*?h=index&format=json")
        for index in json.loads(listed):
            client.ask("DELETE", f"/{index['index']}")

    def fill(self, encoder: Encoder, codes: Codes, progress: Progress) -> float:
        """Activate the encoder and write an image for each code; gives the images per second, until all are visible."""
        now = datetime.now(UTC)
        month = month_of(now)
        self.store.activate_encoder(encoder.to_stored())
        self.store.indices.prepare(month, {encoder.encoder_id: encoder.bits})
        index = f"/catalogue-{month}/_settings"
        # As one does for a bulk load; back to what it was at the end.
        Client(self.elasticsearch_port).ask("PUT", index, b'{"index":{"refresh_interval":"-1"}}')
        began = time.perf_counter()
        task = progress.add_task(f"writing {len(codes):,} × {encoder.bits} bits to Elasticsearch", total=len(codes))

        def put(start: int) -> int:
            part = codes[start : start + _DOCUMENTS_AT_ONCE]
            puts = [
                Put(month, document(encoder.encoder_id, start + n, code.tobytes(), now)) for n, code in enumerate(part)
            ]
            until(lambda: self._took(puts), _FULL_SECONDS, "Elasticsearch to take more")
            return len(puts)

        with ThreadPoolExecutor(_WRITERS) as writers:
            waiting = set()
            for start in range(0, len(codes), _DOCUMENTS_AT_ONCE):
                waiting.add(writers.submit(put, start))
                if len(waiting) > _WRITERS:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    progress.advance(task, sum(one.result() for one in done))
            progress.advance(task, sum(one.result() for one in waiting))
        Client(self.elasticsearch_port).ask("PUT", index, b'{"index":{"refresh_interval":"1s"}}')
        self.store.indices.refresh([month])
        return len(codes) / (time.perf_counter() - began)

    def _took(self, puts: Sequence[Put]) -> bool:
        """Write; False where Elasticsearch has no memory for it now, as with long codes, written as fast as it goes."""
        try:
            self.store.indices.put(puts)
        except StoreUnavailableError:
            return False
        return True

    @contextmanager
    def searcher(self, *, resident: bool) -> Iterator["Searcher"]:
        """A searcher process, once it answers; with `resident` once it answers from memory."""
        self.bench.settings["resident"] = str(resident).lower()
        began = time.perf_counter()
        process = self.bench.start("searcher", "serve")
        strategy = "resident" if resident else "flat"
        body = search_body({"image_id": image_id(0)}, strategy=strategy, k=1)
        try:
            until(lambda: _answers(self.bench, body), _READY_SECONDS, f"the searcher ({strategy})")
            yield Searcher(self.bench.settings["http_port"], process, time.perf_counter() - began)
        finally:
            rig.stop(process)


class Searcher:
    """A searcher that answers, its memory, and the seconds that it took from its start."""

    def __init__(self, port: str, process: "Popen[bytes]", ready_seconds: float) -> None:
        self.port = port
        self.ready_seconds = ready_seconds
        self._process = process

    @property
    def mebibytes(self) -> float:
        """Resident memory now, without pages of files, which the system takes back where it needs them."""
        return rig.memory_mebibytes(self._process.pid, "RssAnon")


def open_elasticsearch(settings: Mapping[str, str]) -> ElasticsearchStore:
    """The store of these settings."""
    store = open_store(Settings(_env_file=None, **settings))  # type: ignore[arg-type]
    if not isinstance(store, ElasticsearchStore):
        raise SystemExit("the benchmark needs Elasticsearch")
    return store


def search_body(seed: Mapping[str, str], strategy: str, k: int, radius: int | None = None) -> bytes:
    """A query as it is sent."""
    return json.dumps({"seeds": [seed], "k": k, "radius": radius, "strategy": strategy}).encode()


def image_id(number: int) -> str:
    """The id of the image of a code."""
    return f"image-{number}"


def document(encoder_id: str, number: int, code: bytes, now: datetime, version: int = 1) -> Document:
    """An image as a worker writes it, without a thumbnail."""
    return Document(
        image_id=image_id(number),
        kind=Kind.IMAGE,
        version=version,
        version_explicit=True,
        event_time_ms=to_milliseconds(now),
        indexed_at_ms=to_milliseconds(now),
        item_id=f"item-{number // 3}",
        attributes={"category": f"category-{number % 10}"},
        codes={encoder_id: code},
    )


def _answers(bench: rig.Bench, body: bytes) -> bool:
    if bench.processes[-1].poll() is not None:
        raise SystemExit(f"the searcher ended: {(bench.folder / 'searcher.log').read_text()[-2000:]}")
    try:
        status, _ = Client(bench.settings["http_port"]).ask("POST", "/v1/search", body)
    except OSError:
        return False
    return status == http.client.OK
