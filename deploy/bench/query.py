"""A query by image id over HTTP, p50 and p99, over many images in each store; codes are random, ids are real seeds."""

import json
import time
import urllib.request
from datetime import UTC, datetime

import numpy as np
import rig

from shared.document import Document, Kind
from shared.encoding.encoder import fit_encoder
from shared.encoding.opening import open_embedder
from shared.rolling_window import to_milliseconds, window_start
from shared.settings import Settings
from shared.store import Restriction
from shared.store.opening import open_store
from tests.programs import until

_BATCH = 1000


def main() -> None:
    """Run and report."""
    parser = rig.parser(__doc__ or "")
    parser.add_argument("--images", type=int, default=100_000, help="images in the store (default: %(default)s)")
    parser.add_argument("--queries", type=int, default=300, help="timed queries (default: %(default)s)")
    parser.add_argument("--k", type=int, default=20, help="hits of a query (default: %(default)s)")
    arguments = parser.parse_args()
    figures: dict[str, object] = {"images": arguments.images, "k": arguments.k}
    for name, servers in (("sqlite", False), ("elasticsearch", True)):
        with rig.bench({"embedder": "classic"}, servers=servers) as bench:
            fill(bench, arguments.images)
            times = query_times(bench, arguments.images, arguments.queries, arguments.k)
        figures[f"{name}_p50_ms"] = rig.percentile(times, 0.5) * 1000
        figures[f"{name}_p99_ms"] = rig.percentile(times, 0.99) * 1000
    rig.report(figures, arguments.json)


def fill(bench: rig.Bench, images: int) -> None:
    """Activate an encoder and write images with random codes."""
    settings = Settings(_env_file=None, **bench.settings)  # type: ignore[arg-type]
    generator = np.random.default_rng(1)
    embedder = open_embedder(settings)
    embeddings = generator.standard_normal((600, embedder.spec.dimensions)).astype(np.float32)
    encoder, _ = fit_encoder(embedder, embeddings, 256, "itq", seed=0)
    store, now = open_store(settings), datetime.now(UTC)
    store.activate_encoder(encoder.to_stored())
    now_ms = to_milliseconds(now)
    for start in range(0, images, _BATCH):
        codes = generator.integers(0, 256, (min(_BATCH, images - start), 32), dtype=np.uint8)
        documents = [
            Document(
                image_id=f"image-{start + n}",
                kind=Kind.IMAGE,
                version=1,
                version_explicit=True,
                event_time_ms=now_ms,
                indexed_at_ms=now_ms,
                item_id=f"item-{(start + n) // 3}",
                attributes={"category": f"category-{n % 10}"},
                codes={encoder.encoder_id: code.tobytes()},
            )
            for n, code in enumerate(codes)
        ]
        store.write(documents, now)
    visible = Restriction(to_milliseconds(window_start(now, 3)))
    until(lambda: store.visible_count(visible) == images, 60, "the store to show all images")
    store.close()


def query_times(bench: rig.Bench, images: int, queries: int, k: int) -> list[float]:
    """Seconds of each query over HTTP, after a warm-up."""
    bench.start("searcher", "serve")
    base = f"http://127.0.0.1:{bench.settings['http_port']}"
    until(lambda: answers(f"{base}/readyz"), 60, "the searcher")
    generator = np.random.default_rng(2)
    times = []
    for n in range(queries + 20):
        body = {"seeds": [{"image_id": f"image-{generator.integers(images)}"}], "k": k}
        request = urllib.request.Request(
            f"{base}/v1/search", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        start = time.perf_counter()
        with urllib.request.urlopen(request, timeout=30) as reply:
            hits = json.load(reply)["hits"]
        if n >= 20:
            times.append(time.perf_counter() - start)
        if len(hits) != k:
            raise SystemExit(f"{len(hits)} hits instead of {k}")
    return times


def answers(url: str) -> bool:
    """Whether a GET succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


if __name__ == "__main__":
    main()
