"""Images per second through the real servers, as a share of a bare loop of decode and forward on the same cores.

The bare loop does nothing but decode a batch on all cores, then run the network on it on all cores. The worker does the
same and reads Kafka, fetches, keeps thumbnails, writes to Elasticsearch and commits, on the same cores as the servers.

For an ONNX network there are two bare loops. The plain one is what anyone writes: one call of a default session for a
batch. The other uses this project's embedder, which calls the network on several small parts at once and is faster.
"""

import functools
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import rig
from numpy.typing import NDArray

from shared.encoding.opening import open_embedder
from shared.images.picture import SIDE, DecodeLimits, decode
from shared.settings import Settings
from tests.programs import metric, until


def main() -> None:
    """Run and report."""
    parser = rig.parser(__doc__ or "")
    parser.add_argument("--events", type=int, default=1905, help="events to index (default: %(default)s)")
    parser.add_argument("--network", choices=["onnx", "vgg16"], default="onnx", help="default: %(default)s")
    parser.add_argument("--http", action="store_true", help="pictures by URL from a local host, not inline")
    parser.add_argument("--embedded", action="store_true", help="JSON Lines file and SQLite, not the real servers")
    parser.add_argument("--no-thumbnails", action="store_true", help="keep no thumbnails")
    arguments = parser.parse_args()
    pictures = rig.clothing(arguments.events)
    settings = network_settings(arguments.network) | {"thumbnails": str(not arguments.no_thumbnails)}
    paths = [path for _, _, path in pictures]
    # Before and after: on a shared machine the speed of the cores drifts.
    before = bare_rates(paths, settings)
    with rig.bench(settings, servers=not arguments.embedded) as bench:
        if arguments.http:
            serve_pictures(bench)
        figures = worker_figures(bench, pictures, arguments.http)
    after = bare_rates(paths, settings)
    rate = figures["images_per_second"]
    rig.report(
        {
            "network": settings["embedder"].rpartition("/")[2],
            "events": len(pictures),
            "thumbnails": not arguments.no_thumbnails,
            **{f"{loop}_images_per_second_before": found for loop, found in before.items()},
            **{f"{loop}_images_per_second_after": found for loop, found in after.items()},
            **figures,
            **{f"ratio_to_{loop}": 2 * rate / (before[loop] + after[loop]) for loop in before},
        },
        arguments.json,
    )


def network_settings(network: str) -> dict[str, str]:
    """Settings that choose the network."""
    if network == "vgg16":
        return {"embedder": "vgg16", "weights": "random:1"}
    return {"embedder": f"onnx:{rig.data_dir()}/models/mobilenet_v1_075_224.onnx#embedding"}


def bare_rates(paths: list[Path], settings: dict[str, str]) -> dict[str, float]:
    """Images per second of the loops by name: "bare" with this project's forward, and for an ONNX network "plain"."""
    made = Settings(_env_file=None, **settings)  # type: ignore[arg-type]
    embedder = open_embedder(made)
    rates = {"bare": loop_rate(paths, made, embedder.batch_size, embedder.embed)}
    if settings["embedder"].startswith("onnx:"):
        rates["plain"] = loop_rate(paths, made, embedder.batch_size, plain_forward(settings))
    return rates


def plain_forward(settings: dict[str, str]) -> Callable[[NDArray[np.uint8]], object]:
    """One call of a default session for each batch."""
    location, _, output = settings["embedder"].removeprefix("onnx:").partition("#")
    session = onnxruntime.InferenceSession(location, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def forward(pixels: NDArray[np.uint8]) -> object:
        batch = np.ascontiguousarray((pixels.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2))
        return session.run([output], {name: batch})

    return forward


def loop_rate(
    paths: list[Path],
    settings: Settings,
    size: int,
    forward: Callable[[NDArray[np.uint8]], object],
    seconds: float = 20.0,
) -> float:
    """Images per second of a loop: each batch decoded on all cores, then given to `forward`."""
    contents = [path.read_bytes() for path in paths[:1905]]
    batches = [contents[start : start + size] for start in range(0, len(contents) - size + 1, size)]
    with ThreadPoolExecutor() as pool:
        decode_one = functools.partial(decode_pixels, limits=DecodeLimits.of(settings, cores=1))
        forward(np.stack(list(pool.map(decode_one, batches[0]))))
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            batch = batches[count // size % len(batches)]
            forward(np.stack(list(pool.map(decode_one, batch))))
            count += size
        return count / (time.perf_counter() - start)


def decode_pixels(content: bytes, limits: DecodeLimits) -> NDArray[np.uint8]:
    """The pixels that the network sees; no thumbnail."""
    return np.frombuffer(decode(content, limits, thumbnail=False).pixels, np.uint8).reshape(SIDE, SIDE, 3)


def serve_pictures(bench: rig.Bench) -> None:
    """A local image host over the clothing folder, and the setting that allows it."""
    command = [
        sys.executable,
        str(Path(__file__).with_name("picture_host.py")),
        str(rig.data_dir() / "data" / "clothing"),
    ]
    host = bench.stack.enter_context(
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    )
    assert host.stdout is not None
    bench.settings["fetch_allowed_hosts"] = f"127.0.0.1:{int(host.stdout.readline())}"
    bench.stack.callback(host.kill)


def worker_figures(bench: rig.Bench, pictures: list[tuple[str, str, Path]], by_url: bool) -> dict[str, float]:
    """Produce all events, fit, then time one worker over them."""
    produce(bench, pictures, by_url)
    bench.call("indexer", "fit", "--sample", "500")
    worker = bench.start("indexer", "run")
    port, name = bench.settings["metrics_port"], "catalogue_indexer_records_total"
    until(lambda: metric(port, name) >= 0.05 * len(pictures), 300, "the first records")
    first, start, early = metric(port, name), time.perf_counter(), rig.memory_mebibytes(worker.pid)
    peak = early
    while (done := metric(port, name)) < len(pictures):
        peak = max(peak, rig.memory_mebibytes(worker.pid))
        if worker.poll() is not None:
            raise SystemExit(f"the worker ended with {worker.returncode}")
        # Looking costs the worker something too.
        time.sleep(1)
    seconds = time.perf_counter() - start
    return {
        "images_per_second": (done - first) / seconds,
        "memory_mebibytes_at_5_percent": early,
        "memory_mebibytes_peak": peak,
        "memory_mebibytes_end": rig.memory_mebibytes(worker.pid),
    }


def produce(bench: rig.Bench, pictures: list[tuple[str, str, Path]], by_url: bool) -> None:
    """Write the events through the project's own command."""
    host = bench.settings.get("fetch_allowed_hosts")
    root = rig.data_dir() / "data" / "clothing"
    source = bench.folder / "source.jsonl"
    with source.open("wb") as lines:
        for image_id, category, path in pictures:
            if by_url:
                lines.write(
                    rig.url_event(image_id, category, f"http://{host}/{path.relative_to(root)}", rig.now_text())
                )
            else:
                lines.write(rig.inline_event(image_id, category, path.read_bytes(), rig.now_text()))
            lines.write(b"\n")
    bench.call("indexer", "produce", "--jsonl", str(source))


if __name__ == "__main__":
    main()
