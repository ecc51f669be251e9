"""Each image that a watch matches is one alert: under a stream of events, with programs killed again and again.

Images come, change and are deleted; half of the watches have filters. Half of them are opened before the events, half
meanwhile. With several searchers, which share a workbench in PostgreSQL, all but the first are killed too. Brute force
says which alerts there must be. Ends with 1 where one is missing, doubled or wrong.
"""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import rig
from alerts_stream import CATEGORIES, Stream, Watched, expected_alerts, record_of
from stub_programs import BITS, STORED

from searcher.workbench import outbox
from searcher.workbench.workbench import Workbench
from shared.event_log.opening import open_match_scanner, open_published_scanner, open_writer
from shared.settings import Settings
from shared.store.opening import open_store
from tests.conftest import free_port
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
    parser.add_argument("--searchers", type=int, default=1, help="how many searchers there are (default: %(default)s)")
    arguments = parser.parse_args()
    if arguments.embedded and arguments.searchers > 1:
        parser.error("several searchers need the real servers")
    # The workers that are killed hold their partitions no longer than that.
    with rig.bench({"kafka_session_seconds": "6"}, servers=not arguments.embedded) as bench:
        if arguments.searchers > 1:
            bench.settings |= rig.postgresql(bench.stack)
        job = Job(bench, Stream(arguments.events, random.Random(1)), arguments.pace, arguments.searchers)
        job.open_watches(arguments.watches // 2)
        job.wait_until_watches_ran()
        producer = threading.Thread(target=job.produce)
        producer.start()
        job.kill_now_and_then(arguments.kills, arguments.watches - arguments.watches // 2)
        producer.join()
        figures = job.result()
    stores = "embedded" if arguments.embedded else "Kafka and Elasticsearch"
    asked = {name: getattr(arguments, name) for name in ("watches", "kills", "searchers")}
    rig.report({"stores": stores, **asked, **figures}, arguments.json)
    sys.exit(any(figures[kind] for kind in ("missed", "doubled", "wrong")))


class Job:
    """The programs, what they read, and what was watched for."""

    def __init__(self, bench: rig.Bench, stream: Stream, pace: int, searchers: int) -> None:
        self._bench = bench
        self._settings = Settings(_env_file=None, **bench.settings)  # type: ignore[arg-type]
        self._stream = stream
        self._pace = pace
        self._dice = random.Random(1)
        self._generator = np.random.default_rng(1)
        self._records = [record_of(event) for event in stream.events]
        self._produced = False
        self._watches: list[Watched] = []
        self._case_id: str | None = None
        with closing(open_store(self._settings)) as store:
            store.activate_encoder(STORED)
        self._worker = bench.start_with_a_stub("indexer", "run")
        self._ports = [bench.settings["http_port"], *(str(free_port()) for _ in range(searchers - 1))]
        self._searchers = [self._searcher(port) for port in self._ports]
        self._workbench = bench.stack.enter_context(closing(Workbench.of(self._settings, lambda: datetime.now(UTC))))
        self._wait_for_searchers()

    def open_watches(self, count: int) -> None:
        """Through the API of each searcher in turn, all in one case; every second watch has a filter."""
        early = not self._watches
        for number in range(count):
            self._open_watch(self._ports[number % len(self._ports)], early=early)

    def wait_until_watches_ran(self) -> None:
        """Until every watch is published and has been run over the window."""
        until(lambda: not self._workbench.watches.to_run(), 300, "the watches", self._searchers[0])

    def produce(self) -> None:
        """Append all events at the pace."""
        start = time.perf_counter()
        with closing(open_writer(self._settings)) as writer:
            for first in range(0, len(self._records), _AT_ONCE):
                time.sleep(max(0.0, start + first / self._pace - time.perf_counter()))
                writer.append(self._records[first : first + _AT_ONCE])
        self._produced = True

    def kill_now_and_then(self, kills: int, watches: int) -> None:
        """Kill the worker, and searchers but the first, so often while events come; and open so many watches."""
        mean_seconds = len(self._records) / self._pace / (kills + 1)
        for kill in range(kills):
            until(self._at_work, 120, "work", self._worker)
            self._wait_for_searchers()
            self.open_watches(watches // kills + (kill < watches % kills))
            time.sleep(self._dice.uniform(0, mean_seconds))
            _kill(self._worker)
            self._worker = self._bench.start_with_a_stub("indexer", "run")
            for place in range(1, len(self._searchers)):
                _kill(self._searchers[place])
                self._searchers[place] = self._searcher(self._ports[place])

    def result(self) -> dict[str, int]:
        """Wait for the last alert, and compare with brute force."""
        start = time.perf_counter()
        self._wait_for_images()
        self.wait_until_watches_ran()
        must, may = expected_alerts(self._stream, self._watches, self._settings)
        deadline = time.monotonic() + 300
        while must - set(self._published()) and time.monotonic() < deadline:
            time.sleep(1)
        seconds = time.perf_counter() - start
        # A doubled one might follow.
        time.sleep(5)
        counted = Counter(found := self._published())
        with closing(open_match_scanner(self._settings)) as scanner:
            told = sum(1 for _ in scanner.scan())
        last = self._stream.last.values()
        return {
            "events": len(self._records),
            "images": len(last),
            "updates": sum(1 for one in self._stream.written if one.version > 2),
            "deletes": sum(1 for one in self._stream.events if one.picture is None),
            "late_events": self._stream.late,
            "alerts": len(counted),
            "missed": len(must - counted.keys()),
            "doubled": len(found) - len(counted),
            "wrong": len(counted.keys() - must - may),
            "matches_told_by_workers": told,
            "window_runs": (self._bench.folder / "searcher.log").read_text().count('"watch_ran"'),
            "seconds_from_the_last_event_to_the_last_alert": round(seconds),
        }

    def _open_watch(self, port: str, *, early: bool) -> None:
        code, number = self._generator.bytes(BITS // 8), len(self._watches)
        categories = self._dice.sample(CATEGORIES, 1 + number % 3) if number % 2 else []
        asked = {
            "name": f"Watch {number}",
            "seeds": [{"code": code.hex(), "encoder": STORED.encoder_id}],
            "radius": RADIUS,
            "filter": {"category": categories} if categories else {},
            "case_id": self._case_id,
        }
        made = get_json(f"http://127.0.0.1:{port}/v1/watches", asked)
        self._case_id = made["case_id"]
        self._watches.append(Watched(made["watch_id"], code, RADIUS, categories, early))

    def _at_work(self) -> bool:
        return self._produced or metric(self._bench.settings["metrics_port"], _DONE) > 0

    def _searcher(self, port: str) -> "subprocess.Popen[bytes]":
        return self._bench.start_with_a_stub("searcher", "serve", "--http-port", port)

    def _wait_for_searchers(self) -> None:
        for port, process in zip(self._ports, self._searchers, strict=True):
            until(lambda: get_status(f"http://127.0.0.1:{port}/readyz") == 200, 120, "a searcher", process)  # noqa: B023 (called here)

    def _wait_for_images(self) -> None:
        """Until the store has the last version of each image, live or not as it should be."""
        waiting = dict(self._stream.last)
        with closing(open_store(self._settings)) as store:

            def all_there() -> bool:
                for image_id, document in store.documents(list(waiting)).items():
                    if document.version == waiting[image_id].version:
                        assert document.live == (waiting.pop(image_id).picture is not None)
                return not waiting

            until(all_there, 600, "the last image", self._worker)

    def _published(self) -> Sequence[str]:
        with closing(open_published_scanner(self._settings, outbox.Stream.ALERTS)) as scanner:
            return [json.loads(record.value or b"")["id"] for record in scanner.scan()]


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    main()
