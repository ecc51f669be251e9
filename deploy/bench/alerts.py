"""Each image that a watch matches is one alert: under a stream of events, with the worker killed again and again.

Half of the watches are opened before the events, half meanwhile. Brute force over what the store has in the end says
which alerts there must be. Ends with 1 where one is missing, doubled or wrong.
"""

import base64
import json
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing

import numpy as np
import rig
from stub_programs import BITS, STORED

from searcher.workbench.outbox import Stream
from shared.event_log import NewRecord
from shared.event_log.opening import open_match_scanner, open_published_scanner, open_writer
from shared.hash_code import hamming_distances
from shared.match import alert_id
from shared.settings import Settings
from shared.store.opening import open_store
from tests.pictures import jpeg_picture
from tests.programs import get_json, get_status, metric, until

# Of two random codes one pair in some 3,000 is so near.
RADIUS = 100
_AT_ONCE = 25
_DONE = "catalogue_indexer_records_total"


def main() -> None:
    """Run, report, and say whether it held."""
    parser = rig.parser(__doc__ or "")
    parser.add_argument("--embedded", action="store_true", help="JSON Lines file and SQLite, not the real servers")
    parser.add_argument("--watches", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--events", type=int, default=15_000, help="default: %(default)s")
    parser.add_argument("--pace", type=int, default=500, help="events a second (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=10, help="how often the worker is killed (default: %(default)s)")
    arguments = parser.parse_args()
    # The workers that are killed hold their partitions no longer than that.
    with rig.bench({"kafka_session_seconds": "6"}, servers=not arguments.embedded) as bench:
        bench.settings["workbench_url"] = f"sqlite://{bench.folder}/workbench.db"
        job = Job(bench, arguments.events, arguments.pace)
        job.open_watches(arguments.watches // 2)
        producer = threading.Thread(target=job.produce)
        producer.start()
        job.kill_now_and_then(arguments.kills, arguments.watches - arguments.watches // 2)
        producer.join()
        figures = job.result()
    stores = "embedded" if arguments.embedded else "Kafka and Elasticsearch"
    rig.report({"stores": stores, "watches": arguments.watches, "kills": arguments.kills, **figures}, arguments.json)
    sys.exit(any(figures[kind] for kind in ("missed", "doubled", "wrong")))


class Job:
    """The programs, what they read, and what was watched for."""

    def __init__(self, bench: rig.Bench, events: int, pace: int) -> None:
        self._bench = bench
        self._settings = Settings(_env_file=None, **bench.settings)  # type: ignore[arg-type]
        self._events = events
        self._pace = pace
        self._dice = random.Random(1)
        self._generator = np.random.default_rng(1)
        self._pictures = [base64.b64decode(jpeg_picture(number)) for number in range(events)]
        self._watched: dict[str, bytes] = {}
        self._case_id: str | None = None
        self._base = f"http://127.0.0.1:{bench.settings['http_port']}"
        with closing(open_store(self._settings)) as store:
            store.activate_encoder(STORED)
        self._worker = bench.start_with_a_stub("indexer", "run")
        searcher = bench.start_with_a_stub("searcher", "serve")
        until(lambda: get_status(f"{self._base}/readyz") == 200, 120, "the searcher", searcher)

    def open_watches(self, count: int) -> None:
        """Through the API, all in one case."""
        for _ in range(count):
            code = self._generator.bytes(BITS // 8)
            seed = {"code": code.hex(), "encoder": STORED.encoder_id}
            asked = {"name": f"Watch {len(self._watched)}", "seeds": [seed], "radius": RADIUS, "case_id": self._case_id}
            made = get_json(f"{self._base}/v1/watches", asked)
            self._case_id = made["case_id"]
            self._watched[made["watch_id"]] = code

    def produce(self) -> None:
        """Append all events at the pace."""
        start = time.perf_counter()
        with closing(open_writer(self._settings)) as writer:
            for first in range(0, self._events, _AT_ONCE):
                time.sleep(max(0.0, start + first / self._pace - time.perf_counter()))
                writer.append([self._record(number) for number in range(first, min(first + _AT_ONCE, self._events))])

    def kill_now_and_then(self, kills: int, watches: int) -> None:
        """Kill the worker so often while events come, and open so many watches meanwhile."""
        mean_seconds = self._events / self._pace / (kills + 1)
        for kill in range(kills):
            until(lambda: metric(self._bench.settings["metrics_port"], _DONE) > 0, 120, "work", self._worker)
            self.open_watches(watches // kills + (kill < watches % kills))
            time.sleep(self._dice.uniform(0, mean_seconds))
            self._worker.send_signal(signal.SIGKILL)
            self._worker.wait()
            self._worker = self._bench.start_with_a_stub("indexer", "run")

    def result(self) -> dict[str, int]:
        """Wait for the last alert, and compare with brute force."""
        start = time.perf_counter()
        with closing(open_store(self._settings)) as store:
            image_ids = [f"image-{number}" for number in range(self._events)]
            until(lambda: len(store.documents(image_ids)) == self._events, 600, "the last image", self._worker)
            images = store.documents(image_ids)
        codes = np.stack([np.frombuffer(one.codes[STORED.encoder_id], np.uint8) for one in images.values()])
        documents = list(images.values())
        expected = {
            alert_id(watch_id, documents[place].image_id, documents[place].version)
            for watch_id, code in self._watched.items()
            for place in np.flatnonzero(hamming_distances(code, codes) <= RADIUS).tolist()
        }
        deadline = time.monotonic() + 300
        while expected - set(found := self._published()) and time.monotonic() < deadline:
            time.sleep(1)
        seconds = time.perf_counter() - start
        # A doubled one might follow.
        time.sleep(5)
        counted = Counter(found := self._published())
        with closing(open_match_scanner(self._settings)) as scanner:
            told = sum(1 for _ in scanner.scan())
        return {
            "images": len(images),
            "alerts": len(expected),
            "missed": len(expected - counted.keys()),
            "doubled": len(found) - len(counted),
            "wrong": len(counted.keys() - expected),
            "matches_told_by_workers": told,
            "seconds_from_the_last_event_to_the_last_alert": round(seconds),
        }

    def _record(self, number: int) -> NewRecord:
        image_id, content = f"image-{number}", self._pictures[number]
        return NewRecord(image_id.encode(), rig.inline_event(image_id, "drawn", content, rig.now_text()))

    def _published(self) -> Sequence[str]:
        with closing(open_published_scanner(self._settings, Stream.ALERTS)) as scanner:
            return [json.loads(record.value or b"")["id"] for record in scanner.scan()]


if __name__ == "__main__":
    main()
