"""`python -m tests.soak --minutes 30`: the whole system under every fault, then the index against the model.

Real Kafka and Elasticsearch behind fault proxies, up to three workers and a searcher as processes. Faults come one
after the other, some at the same time; after each one a probe tells how long the system takes to recover. At the end
every image is compared with what its events add up to. Ends with 0 only where nothing is lost, doubled or stale, every
reply kept the promises, and no process ended by itself.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from shared.event_log.opening import open_writer
from shared.settings import Settings
from tests.figures import write_block
from tests.model import Findings, compare, listed
from tests.programs import get_json, get_status
from tests.soak.faults import Fault, faults
from tests.soak.producing import Producer, SoakEvents
from tests.soak.watcher import Watcher
from tests.soak.world import open_world, wait_until

# What takes longer counts as not recovered. How long each kind of fault took is told.
_RECOVERY_SECONDS_MAX = 120
_SETTLING_SECONDS_MAX = 300
_TWO_AT_ONCE = 0.25
_CONSOLE = Console(stderr=True)


def main() -> None:
    """Run a soak and say what it found."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="how long faults come (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="which faults and events come (default: by the clock)")
    parser.add_argument("--events-per-second", type=float, default=15, help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--write", type=Path, help="a Markdown file whose block `soak` gets the figures")
    parser.add_argument("--keep-logs", type=Path, help="a folder for the programs' logs (default: gone at the end)")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else time.time_ns() % 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(arguments.keep_logs or Path(folder), seed, arguments.events_per_second)
        report = soak.run(arguments.minutes * 60)
    print(json.dumps(report) if arguments.json else as_table(report))
    if arguments.write is not None:
        write_block(arguments.write, "soak", as_table(report))
    sys.exit(0 if report["passed"] else 1)


class Soak:
    """One soak, from the servers' start to the comparison."""

    def __init__(self, folder: Path, seed: int, events_per_second: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._seed = seed
        self._generator = random.Random(seed)
        self._world = open_world(folder)
        self._events = SoakEvents(random.Random(seed), datetime.now(UTC), self._world)
        settings = Settings(_env_file=None, events_url=self._world.job.settings["events_url"])
        self._producer = Producer(self._events, open_writer(settings), events_per_second)
        self._recoveries: dict[str, list[float]] = defaultdict(list)
        self._unrecovered: list[str] = []

    def run(self, seconds: float) -> dict[str, Any]:
        """Start, let faults come for so long, and report."""
        world = self._world
        try:
            watcher = self._start()
            self._let_faults_come(seconds)
            self._producer.stop()
            settled = self._settle()
            watcher.stop()
            findings = compare(world.base, self._events.visible())
            doubled = doubled_copies(world.elasticsearch.live_copies())
            return self._report(seconds, replace(findings, doubled=[*findings.doubled, *doubled]), watcher, settled)
        finally:
            world.close()

    def _start(self) -> Watcher:
        world = self._world
        self._producer.append(self._events.first())
        self._producer.append(self._events.next(300))
        world.job.ok("indexer", "fit", "--sample", "100")
        for worker in world.workers[:2]:
            worker.start()
        world.searcher.start()
        wait_until(lambda: get_status(f"{world.base}/readyz") == 200, 60, "the searcher")
        steady = self._events.steady
        wait_until(lambda: set(steady) <= visible_numbers(world.base).keys(), 120, "the first images")
        code = get_json(f"{world.base}/v1/images/{steady[0]}")["code"]
        # Memory follows the store within a second; from then on a steady image is never missing.
        wait_until(lambda: set(steady) <= found_images(world.base, code), 30, "the first images in memory")
        watcher = Watcher(lambda: world.base, steady, code)
        watcher.start()
        self._producer.start()
        return watcher

    def _let_faults_come(self, seconds: float) -> None:
        known = faults(self._generator)
        waiting: list[Fault] = []
        deadline = time.monotonic() + seconds
        with Progress(console=_CONSOLE) as progress:
            task = progress.add_task("soak", total=seconds)
            while (left := deadline - time.monotonic()) > 0:
                progress.update(task, completed=seconds - left)
                if not waiting:
                    # Each fault comes once before any comes again.
                    waiting = self._generator.sample(known, len(known))
                count = 2 if len(waiting) > 1 and self._generator.random() < _TWO_AT_ONCE else 1
                self._meet([waiting.pop() for _ in range(count)])

    def _meet(self, together: Sequence[Fault]) -> None:
        """Let faults begin together, last, end, and time the recovery."""
        name = " + ".join(sorted(fault.name for fault in together))
        _CONSOLE.log(name)
        together = sorted(together, key=lambda fault: fault.takes_store_away)
        for fault in together:
            fault.begin(self._world)
        time.sleep(max(self._generator.uniform(*fault.seconds) for fault in together))
        for fault in reversed(together):
            fault.end(self._world)
        probe = self._producer.probe()
        try:
            taken = wait_until(lambda: self._is_visible(probe), _RECOVERY_SECONDS_MAX, "the probe")
        except TimeoutError:
            self._unrecovered.append(name)
            taken = float(_RECOVERY_SECONDS_MAX)
        for fault in together:
            self._recoveries[fault.name].append(taken)
        for program in self._world.programs():
            program.look()

    def _settle(self) -> float:
        """Wait until every worker has done what there is, retries included; gives the seconds that it took."""
        expected = {image_id: version.number for image_id, version in self._events.visible().items()}

        def settled() -> bool:
            return visible_numbers(self._world.base) == expected

        try:
            return wait_until(settled, _SETTLING_SECONDS_MAX, "the last events")
        except TimeoutError:
            return float(_SETTLING_SECONDS_MAX)

    def _is_visible(self, image_id: str) -> bool:
        return get_status(f"{self._world.base}/v1/images/{image_id}") == 200

    def _report(self, seconds: float, findings: Findings, watcher: Watcher, settled: float) -> dict[str, Any]:
        world = self._world
        for worker in world.workers:
            worker.terminate()
        letters = world.job.json("indexer", "dead-letters", "list")
        verified = world.job.run("indexer", "verify", "--json")
        refused = {letter["image_id"] or "" for letter in letters["dead_letters"]}
        wrongly_refused = sorted(image_id for image_id in refused if image_id.split("/")[0] not in ("poison", ""))
        ends = [end for program in world.programs() for end in program.unexpected_ends]
        found = {name: len(value) for name, value in asdict(findings).items() if name != "checked"}
        passed = (
            findings.clean
            and not watcher.broken
            and not ends
            and not self._unrecovered
            and not wrongly_refused
            and verified.returncode == 0
        )
        return {
            "passed": passed,
            "seed": self._seed,
            "minutes": round(seconds / 60, 1),
            "events": self._events.made,
            "faults": sum(len(times) for times in self._recoveries.values()),
            "images_checked": findings.checked,
            **found,
            "examples": asdict(findings),
            "replies": dict(watcher.replies),
            "replies_that_broke_a_promise": watcher.broken,
            "poison": self._events.poison,
            "dead_letters": len(letters["dead_letters"]),
            "wrongly_dead_lettered": wrongly_refused,
            "ended_by_themselves": ends,
            "not_recovered_after": self._unrecovered,
            "settled_seconds": round(settled, 1),
            "verify": verified.stdout.strip() or verified.stderr.strip()[-500:],
            "recovery_seconds": recovery_table(self._recoveries),
        }


def visible_numbers(base: str) -> dict[str, int]:
    """Image ids and version numbers of all that the searcher shows; empty while it does not answer."""
    try:
        return {image["image_id"]: int(image["attributes"]["number"]) for image in listed(base)}
    except OSError:
        return {}


def found_images(base: str, code: str) -> set[str]:
    """Image ids that a search finds from wherever the searcher prefers; empty while it does not answer."""
    try:
        reply = get_json(f"{base}/v1/search", {"seeds": [{"code": code}], "k": 1000})
    except OSError:
        return set()
    return {hit["image_id"] for hit in reply["hits"]}


def doubled_copies(copies: Iterable[tuple[str, int]]) -> list[str]:
    """Images with several live copies in the index itself, which a searcher would hide."""
    counts = Counter(image_id for image_id, _ in copies)
    return sorted(image_id for image_id, count in counts.items() if count > 1)


def recovery_table(recoveries: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """For each fault how often it came, and the median and the longest time to recover, in seconds."""
    return {
        name: {
            "times": len(times),
            "median": round(sorted(times)[len(times) // 2], 1),
            "longest": round(max(times), 1),
        }
        for name, times in sorted(recoveries.items())
    }


def as_table(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    told = [
        ("soak", f"{report['minutes']:g} minutes, seed {report['seed']}: {'passed' if report['passed'] else 'FAILED'}"),
        ("events appended", report["events"]),
        ("faults survived", report["faults"]),
        ("images compared with the model", report["images_checked"]),
        *((name, report[name]) for name in ("lost", "extra", "doubled", "stale", "wrong")),
        ("replies looked at", ", ".join(f"{count} {kind}" for kind, count in sorted(report["replies"].items()))),
        ("replies that broke a promise", len(report["replies_that_broke_a_promise"])),
        ("poison events, dead letters", f"{report['poison']}, {report['dead_letters']}"),
        ("dead letters that should not be", len(report["wrongly_dead_lettered"])),
        ("processes that ended by themselves", len(report["ended_by_themselves"])),
        ("seconds until all was settled", report["settled_seconds"]),
    ]
    lines = ["| what | figure |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in told)]
    lines += ["", "| fault | times | median recovery, s | longest, s |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {name} | {row['times']} | {row['median']} | {row['longest']} |"
        for name, row in report["recovery_seconds"].items()
    ]
    problems = [
        *report["replies_that_broke_a_promise"][:20],
        *report["ended_by_themselves"],
        *(f"not recovered within {_RECOVERY_SECONDS_MAX} s: {name}" for name in report["not_recovered_after"]),
        *(f"dead-lettered and should not be: {image_id}" for image_id in report["wrongly_dead_lettered"]),
    ]
    if not report["passed"]:
        lines += ["", *(f"- {problem}" for problem in problems), f"- examples: {report['examples']}", report["verify"]]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
