"""Produce-to-searchable: how long after an event is appended its image is among the visible ones, at half load.

One worker's full rate is measured first; then events are appended at half of it. The visible images are counted by the
same kind of search that a query makes, so a refresh that has not happened yet counts as not searchable.
"""

import threading
import time
from datetime import UTC, datetime

import rig
from end_to_end import network_settings, produce

from shared.event_log import NewRecord
from shared.event_log.opening import open_writer
from shared.rolling_window import to_milliseconds, window_start
from shared.settings import Settings
from shared.store import Restriction, Store
from shared.store.opening import open_store
from tests.programs import metric, until

_WARM_UP_EVENTS = 600


def main() -> None:
    """Run and report."""
    parser = rig.parser(__doc__ or "")
    parser.add_argument("--events", type=int, default=1000, help="events at half load (default: %(default)s)")
    parser.add_argument("--embedded", action="store_true", help="JSON Lines file and SQLite, not the real servers")
    arguments = parser.parse_args()
    with rig.bench(network_settings("onnx"), servers=not arguments.embedded) as bench:
        produce(bench, rig.clothing(_WARM_UP_EVENTS), by_url=False)
        bench.call("indexer", "fit", "--sample", "300")
        full_rate = warm_up(bench)
        delays = delays_at(bench, full_rate / 2, arguments.events)
    rig.report(
        {
            "stores": "embedded" if arguments.embedded else "Kafka and Elasticsearch",
            "full_rate_images_per_second": full_rate,
            "events": len(delays),
            "p50_seconds": rig.percentile(delays, 0.5),
            "p99_seconds": rig.percentile(delays, 0.99),
            "max_seconds": max(delays),
        },
        arguments.json,
    )


def warm_up(bench: rig.Bench) -> float:
    """Start the worker on what is there; its images per second."""
    bench.start("indexer", "run")
    port, name = bench.settings["metrics_port"], "catalogue_indexer_records_total"
    until(lambda: metric(port, name) > 0, 120, "the first record")
    first, start = metric(port, name), time.perf_counter()
    until(lambda: metric(port, name) >= _WARM_UP_EVENTS, 300, "the warm-up")
    return (_WARM_UP_EVENTS - first) / (time.perf_counter() - start)


def delays_at(bench: rig.Bench, rate: float, events: int) -> list[float]:
    """Append events at a rate; for the n-th of them the seconds until one more than n new images were visible."""
    settings = Settings(_env_file=None, **bench.settings)  # type: ignore[arg-type]
    pictures = rig.clothing(_WARM_UP_EVENTS + events)[_WARM_UP_EVENTS:]
    contents = [(f"fresh/{n}", category, path.read_bytes()) for n, (_, category, path) in enumerate(pictures)]
    store, writer = open_store(settings), open_writer(settings)
    before = _WARM_UP_EVENTS
    until(lambda: visible(store) == before, 30, "the warm-up to be searchable")
    appended: list[float] = []

    def append_all() -> None:
        start = time.perf_counter()
        for n, (image_id, category, content) in enumerate(contents):
            time.sleep(max(0.0, start + n / rate - time.perf_counter()))
            value = rig.inline_event(image_id, category, content, rig.now_text())
            appended.append(time.perf_counter())
            writer.append([NewRecord(image_id.encode(), value)])

    producer = threading.Thread(target=append_all)
    producer.start()
    delays: list[float] = []
    while len(delays) < events:
        count, now = visible(store) - before, time.perf_counter()
        delays += [now - appended[n] for n in range(len(delays), min(count, len(appended)))]
        time.sleep(0.02)
    producer.join()
    store.close()
    writer.close()
    return delays


def visible(store: Store) -> int:
    """How many images a searcher could find now."""
    return store.visible_count(Restriction(to_milliseconds(window_start(datetime.now(UTC), 3))))


if __name__ == "__main__":
    main()
