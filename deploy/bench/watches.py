"""What watches cost a worker: its rate and its processor time with none and with ten thousand, in turns.

The worker is the real one with real logs, store and decoding; only the network is a stub, which gives digests for
codes: with a network each image would take longer, and the watches' share of that be smaller. Pictures are small for
the same reason. One image in a hundred matches a watch. Rates at full speed tell what an operator sees, processor time
at a set pace is steadier, and steadier still the time of comparing alone.
"""

import base64
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from statistics import median

import numpy as np
import rig
from stub_programs import STORED

from indexer.matcher import Matcher
from shared import hamming_scan
from shared.document import Document, Kind
from shared.event_log import NewRecord
from shared.event_log.opening import open_writer
from shared.settings import Settings
from shared.store import Store
from shared.store.opening import open_store
from shared.watch import Watch, WatchList
from tests.pictures import jpeg_picture
from tests.programs import metric, until

ENCODER_ID, BITS = STORED.encoder_id, STORED.bits
PICTURES = 200
MATCHED = 2
RADIUS = 40
PER_SECOND = 500
BATCH = 64


def main() -> None:
    """Run and report."""
    parser = rig.parser(__doc__ or "")
    parser.add_argument("--embedded", action="store_true", help="JSON Lines file and SQLite, not the real servers")
    parser.add_argument("--watches", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--events", type=int, default=5000, help="events of each run (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="runs of each kind (default: %(default)s)")
    arguments = parser.parse_args()
    with rig.bench({}, servers=not arguments.embedded) as bench, parts(bench) as job:
        watches = job.warm_up(arguments.watches)
        figures: dict[str, object] = {}
        for pace in (None, PER_SECOND):
            figures |= job.compare(watches, arguments.events, arguments.turns, pace)
        figures["comparing_microseconds_an_image"] = comparing_microseconds(watches)
    stores = "embedded" if arguments.embedded else "Kafka and Elasticsearch"
    rig.report({"stores": stores, "watches": arguments.watches, "bits": BITS, **figures}, arguments.json)


class Job:
    """The worker under test, what it reads, and where watches are published."""

    def __init__(self, bench: rig.Bench, store: Store, settings: Settings) -> None:
        self._bench = bench
        self._store = store
        self._settings = settings
        self._pictures = [base64.b64decode(jpeg_picture(number)) for number in range(PICTURES)]
        self._appended = 0
        self._published = 0
        self._process = bench.start_with_a_stub("indexer", "run")

    def warm_up(self, count: int) -> Sequence[Watch]:
        """Index each picture once; gives watches of random codes, but for those of a hundredth of the pictures."""
        self._append(PICTURES)
        until(lambda: self._done() == self._appended, 120, "the first pictures", self._process)
        known = self._store.documents([f"image-{number}" for number in range(MATCHED)])
        codes = [one.codes[ENCODER_ID] for one in known.values()]
        generator = np.random.default_rng(1)
        codes += [generator.bytes(BITS // 8) for _ in range(count - len(codes))]
        return [Watch(f"watch-{number}", 1, ENCODER_ID, [code], RADIUS) for number, code in enumerate(codes)]

    def compare(self, watches: Sequence[Watch], events: int, turns: int, pace: int | None) -> dict[str, object]:
        """The figures of runs without and with the watches, in turns."""
        name = "full_speed" if pace is None else f"{pace}_per_second"
        without, having = [], []
        for _ in range(turns):
            without.append(self._run((), events, pace))
            having.append(self._run(watches, events, pace))
        figures: dict[str, object] = {}
        for kind, runs in (("without", without), ("with", having)):
            figures[f"{name}_images_per_second_{kind}"] = median(run[0] for run in runs)
            figures[f"{name}_cpu_milliseconds_an_image_{kind}"] = median(run[1] for run in runs)
        figures[f"{name}_match_stage_share_of_time"] = median(run[2] for run in having)
        rates, computed = ([median(run[place] for run in runs) for runs in (without, having)] for place in (0, 1))
        figures[f"{name}_cost_in_rate"] = 1 - rates[1] / rates[0]
        figures[f"{name}_cost_in_cpu"] = computed[1] / computed[0] - 1
        return figures

    def _run(self, watches: Sequence[Watch], events: int, pace: int | None) -> tuple[float, float, float]:
        """Images per second, milliseconds of processor time an image, and the share of time that the stage took."""
        self._published += 1
        self._store.publish_watches(WatchList(self._published, watches))
        # The list is read with the first batch: that is no cost of an image.
        self._append(1)
        until(lambda: self._done() == self._appended, 60, "the watches to be read", self._process)
        computed, stage, start = rig.cpu_seconds(self._process.pid), self._stage(), time.perf_counter()
        self._append(events, pace)
        until(lambda: self._done() == self._appended, 300, "the run's end", self._process)
        seconds = time.perf_counter() - start
        computed = rig.cpu_seconds(self._process.pid) - computed
        return events / seconds, computed / events * 1000, (self._stage() - stage) / seconds

    def _append(self, count: int, pace: int | None = None) -> None:
        start = time.perf_counter()
        with closing(open_writer(self._settings)) as writer:
            # At a pace in twentieths of a second, otherwise before the worker has done the first.
            at_once = count if pace is None else pace // 20
            for first in range(0, count, at_once):
                if pace is not None:
                    time.sleep(max(0.0, start + first / pace - time.perf_counter()))
                some = range(self._appended, self._appended + min(at_once, count - first))
                writer.append([self._record(number) for number in some])
                self._appended += len(some)

    def _record(self, number: int) -> NewRecord:
        image_id, content = f"image-{number}", self._pictures[number % PICTURES]
        return NewRecord(image_id.encode(), rig.inline_event(image_id, "drawn", content, rig.now_text()))

    def _done(self) -> float:
        return metric(self._bench.settings["metrics_port"], "catalogue_indexer_records_total")

    def _stage(self) -> float:
        return metric(self._bench.settings["metrics_port"], "catalogue_indexer_stage_seconds_sum", stage="match")


def comparing_microseconds(watches: Sequence[Watch]) -> float:
    """Processor time of comparing one image of a batch as workers have them under load."""
    generator, matcher = np.random.default_rng(2), Matcher(ENCODER_ID, watches)
    batch = [
        Document(str(number), Kind.IMAGE, 1, True, 0, codes={ENCODER_ID: generator.bytes(BITS // 8)})
        for number in range(BATCH)
    ]

    def seconds() -> float:
        start = time.thread_time()
        for _ in range(50):
            list(matcher.matches(batch, 0))
        return time.thread_time() - start

    with hamming_scan.workers(1) as thread:
        return min(thread.submit(seconds).result() for _ in range(5)) / 50 / BATCH * 1e6


@contextmanager
def parts(bench: rig.Bench) -> Iterator[Job]:
    """The job, once its store has an encoder."""
    settings = Settings(_env_file=None, **bench.settings)  # type: ignore[arg-type]
    with closing(open_store(settings)) as store:
        store.activate_encoder(STORED)
        yield Job(bench, store, settings)


if __name__ == "__main__":
    main()
