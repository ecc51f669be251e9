"""Whether every alert comes, and none twice: a thousand watches, 500 images a second, and a worker killed ten times.

Worker and searcher are the real ones, with a stub for the network as in `watches.py`. Most watches are of random codes.
Those that are not lie around pictures that come again and again, at the radius, just inside and just outside of it,
some with a filter; a tenth of the events are new versions of known images. Some watches are opened while images stream
in: the run over the window has to find what came before. At the end the alerts' log and the workbench are compared with
what the events say. Ends with exit code 1 where an alert is missing, doubled or wrong.
"""

import base64
import json
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rig
from rich.progress import Progress
from watches import BITS, ENCODER_ID, PICTURES, RADIUS, StubEncoder

from searcher import serving
from searcher.__main__ import main as searcher
from shared.event_log import NewRecord
from shared.event_log.opening import open_published_scanner, open_writer
from shared.images.picture import DecodeLimits, decode
from shared.settings import Settings
from shared.store import StoredEncoder
from shared.store.opening import open_store
from tests.pictures import jpeg_picture
from tests.programs import get_status, metric, until

PER_SECOND = 500
# How far watches lie from the code of a picture: around the radius.
DISTANCES = (0, RADIUS - 1, RADIUS, RADIUS + 1)
# Pictures that watches lie around, of all that come in turn.
WATCHED_PICTURES = 3
LATE = 12
_WORKER = str(Path(__file__).with_name("watches.py"))
UPDATED_SHARE = 0.1


class _SearchersEncoder(StubEncoder):
    bits = BITS


@dataclass(frozen=True, slots=True)
class _Watch:
    watch_id: str
    code: bytes
    colour: str | None
    late: bool


@dataclass(frozen=True, slots=True)
class _Image:
    image_id: str
    version: int
    picture: int
    colour: str


@dataclass
class _Run:
    """What was done so far."""

    bench: rig.Bench
    settings: Settings
    images: list[_Image] = field(default_factory=list)
    watches: list[_Watch] = field(default_factory=list)
    kills: int = 0


def main() -> None:
    """Run and report; or be the searcher under test."""
    parser = rig.parser(__doc__ or "")
    parser.add_argument("--embedded", action="store_true", help="JSON Lines file and SQLite, not the real servers")
    parser.add_argument("--watches", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--kills", type=int, default=10, help="how often the worker is killed (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=120, help="how long images come (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--searcher", action="store_true", help="be the searcher under test")
    arguments = parser.parse_args()
    if arguments.searcher:
        serving.load_encoder = lambda stored, settings: _SearchersEncoder()  # type: ignore[assignment, return-value]
        sys.exit(searcher(["serve"]))
    with rig.bench({}, servers=not arguments.embedded) as bench:
        bench.settings["workbench_url"] = f"sqlite://{bench.folder}/workbench.db"
        figures = _figures(_Run(bench, Settings(_env_file=None, **bench.settings)), arguments)  # type: ignore[arg-type]
    rig.report({"stores": "embedded" if arguments.embedded else "Kafka and Elasticsearch", **figures}, arguments.json)
    sys.exit(any(figures[name] for name in ("missing", "doubled", "wrong", "not_in_workbench")))


def _figures(run: _Run, arguments: Any) -> dict[str, Any]:
    dice = random.Random(arguments.seed)
    with closing(open_store(run.settings)) as store, Progress(disable=arguments.json) as progress:
        store.activate_encoder(StoredEncoder(ENCODER_ID, BITS, b""))
        codes = _codes()
        _start(run, "searcher", [__file__, "--searcher"])
        until(lambda: get_status(f"{_base(run)}/readyz") == 200, 60, "the searcher")
        early, late = _planned(codes, arguments.watches, dice)
        for planned in progress.track(early, description="opening watches"):
            run.watches.append(_open(run, *planned, late=False))
        task = progress.add_task("images", total=arguments.seconds * PER_SECOND)
        producer = threading.Thread(target=_produce, args=(run, arguments.seconds, dice, progress, task))
        producer.start()
        _kill_again_and_again(run, producer, arguments, dice, late)
        until(lambda: metric(run.bench.settings["metrics_port"], "catalogue_indexer_lag_records") == 0, 300, "the end")
        return _compared(run, codes)


def _codes() -> list[bytes]:
    """The stub's code of each picture."""
    limits = DecodeLimits.of(Settings(_env_file=None), cores=1)
    decoded = [decode(base64.b64decode(jpeg_picture(n)), limits, thumbnail=False).pixels for n in range(PICTURES)]
    pixels = np.stack([np.frombuffer(one, np.uint8).reshape(224, 224, 3) for one in decoded])
    return [code.tobytes() for code in StubEncoder().encode(pixels)[0]]


_Planned = tuple[bytes, str | None]


def _planned(codes: Sequence[bytes], count: int, dice: random.Random) -> tuple[list[_Planned], list[_Planned]]:
    """Codes and filters of watches: those that are there from the start, and those that come later."""
    near = [
        (_turned(codes[picture], distance, dice), colour)
        for picture in range(WATCHED_PICTURES)
        for distance in DISTANCES
        for colour in (None, "red")
    ]
    far = [(dice.randbytes(BITS // 8), None) for _ in range(count - len(near) - LATE)]
    return near + far, [near[place] for place in range(0, 2 * LATE, 2)]


def _turned(code: bytes, distance: int, dice: random.Random) -> bytes:
    number = int.from_bytes(code, "big")
    for bit in dice.sample(range(BITS), distance):
        number ^= 1 << bit
    return number.to_bytes(BITS // 8, "big")


def _open(run: _Run, code: bytes, colour: str | None, *, late: bool) -> _Watch:
    filter_ = {} if colour is None else {"colour": [colour]}
    wanted = {"name": "watch", "seeds": [{"code": code.hex()}], "radius": RADIUS, "filter": filter_}
    request = urllib.request.Request(
        f"{_base(run)}/v1/watches", json.dumps(wanted).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return _Watch(json.load(reply)["watch_id"], code, colour, late)


def _produce(run: _Run, seconds: int, dice: random.Random, progress: Progress, task: Any) -> None:
    at_once, start = PER_SECOND // 20, time.perf_counter()
    contents = [base64.b64decode(jpeg_picture(number)) for number in range(PICTURES)]
    with closing(open_writer(run.settings)) as writer:
        for first in range(0, seconds * PER_SECOND, at_once):
            time.sleep(max(0.0, start + first / PER_SECOND - time.perf_counter()))
            images = [_next_image(run.images, first + n, dice) for n in range(at_once)]
            writer.append([_record(image, contents[image.picture]) for image in images])
            run.images += images
            progress.advance(task, at_once)


def _next_image(known: Sequence[_Image], number: int, dice: random.Random) -> _Image:
    colour = dice.choice(("red", "blue"))
    if known and dice.random() < UPDATED_SHARE:
        # The number is a version, too: higher than all before.
        return _Image(dice.choice(known).image_id, number + 1, dice.randrange(PICTURES), colour)
    return _Image(f"image-{number}", number + 1, dice.randrange(PICTURES), colour)


def _record(image: _Image, content: bytes) -> NewRecord:
    event = {
        "image_id": image.image_id,
        "version": image.version,
        "event_time": rig.now_text(),
        "image": {"bytes": base64.b64encode(content).decode()},
        "attributes": {"colour": image.colour},
    }
    return NewRecord(image.image_id.encode(), json.dumps(event).encode())


def _kill_again_and_again(
    run: _Run, producer: threading.Thread, arguments: Any, dice: random.Random, late: Sequence[_Planned]
) -> None:
    """Kill the worker at random moments while images come, and open the late watches in between."""
    waiting = list(late)
    spell = arguments.seconds / (arguments.kills + 1)
    for _ in range(arguments.kills):
        worker = _start(run, "worker", [_WORKER, "--worker"])
        with suppress(subprocess.TimeoutExpired):
            worker.wait(dice.uniform(0.5, 1.5) * spell)
        if worker.returncode is not None:
            raise SystemExit(f"the worker ended by itself with {worker.returncode}: {run.bench.folder}/worker.log")
        worker.kill()
        worker.wait(30)
        run.kills += 1
        for _ in range(-(-len(late) // arguments.kills)):
            if waiting:
                run.watches.append(_open(run, *waiting.pop(), late=True))
    _start(run, "worker", [_WORKER, "--worker"])
    producer.join()


def _start(run: _Run, name: str, arguments: list[str]) -> "subprocess.Popen[bytes]":
    log = run.bench.stack.enter_context((run.bench.folder / f"{name}.log").open("ab"))
    process = subprocess.Popen([sys.executable, *arguments], env=run.bench.environment(), stderr=log)
    run.bench.stack.callback(rig.stop, process)
    return process


def _base(run: _Run) -> str:
    return f"http://127.0.0.1:{run.bench.settings['http_port']}"


def _compared(run: _Run, codes: Sequence[bytes]) -> dict[str, Any]:
    """The alerts of the log and of the workbench against what the events say."""
    due, allowed = _expected(run, codes)
    until(lambda: due <= set(_published(run)), 300, "the last alerts") if due else None
    published = _published(run)
    kept = set(_kept(run))
    return {
        "watches": len(run.watches),
        "events": len(run.images),
        "kills": run.kills,
        "alerts": len(published),
        "missing": len(due - set(published)),
        "doubled": sum(count - 1 for count in Counter(published).values()),
        "wrong": len(set(published) - allowed),
        "not_in_workbench": len(set(published) ^ kept),
    }


_Alert = tuple[str, str, int]


def _expected(run: _Run, codes: Sequence[bytes]) -> tuple[set[_Alert], set[_Alert]]:
    """The alerts that there must be, and may be: a late watch may miss what was overtaken before it."""
    numbers = [int.from_bytes(code, "big") for code in codes]
    last = {image.image_id: image for image in run.images}
    due, allowed = set(), set()
    for watch in run.watches:
        of_watch = int.from_bytes(watch.code, "big")
        near = {picture for picture, number in enumerate(numbers) if (number ^ of_watch).bit_count() <= RADIUS}
        for image in run.images:
            if image.picture in near and watch.colour in (None, image.colour):
                alert = (watch.watch_id, image.image_id, image.version)
                allowed.add(alert)
                if not watch.late or last[image.image_id] is image:
                    due.add(alert)
    return due, allowed


def _published(run: _Run) -> list[_Alert]:
    with closing(open_published_scanner(run.settings, "alerts")) as scanner:
        bodies = [json.loads(record.value or b"") for record in scanner.scan()]
    return [(body["watch"]["watch_id"], body["image"]["image_id"], body["image"]["version"]) for body in bodies]


def _kept(run: _Run) -> Iterator[_Alert]:
    before = ""
    while True:
        with urllib.request.urlopen(f"{_base(run)}/v1/alerts?limit=500{before}", timeout=30) as reply:
            page = json.load(reply)["alerts"]
        yield from ((one["watch_id"], one["image"]["image_id"], one["version"]) for one in page)
        if len(page) < 500:
            return
        before = f"&before={page[-1]['number']}"


if __name__ == "__main__":
    main()
