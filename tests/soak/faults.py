"""What a soak does to the system: each fault begins, lasts, and ends; afterwards the system must recover by itself."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.fault_proxy import NO_HTTP_FAULT, HttpFault
from tests.soak.world import WORKERS_MAX, World, wait_until
from tests.tcp_proxy import NO_TCP_FAULT, TcpFault

Act = Callable[[World], object]


@dataclass(frozen=True, slots=True)
class Fault:
    """`begin` and `end` are called with `seconds` (least and most) between them.

    Of faults that come together, one that `takes_store_away` begins last and ends first: others speak to the store.
    """

    name: str
    begin: Act
    end: Act
    seconds: tuple[float, float]
    takes_store_away: bool = False


def faults(generator: random.Random) -> list[Fault]:
    """All faults; the generator decides which worker is met."""
    return [
        *_store_faults(),
        *_log_faults(),
        *_process_faults(generator),
        Fault("image host answers 503", _picture_status(503), _picture_status(200), (3, 12)),
    ]


def _store_faults() -> list[Fault]:
    def http(name: str, fault: HttpFault) -> Fault:
        def begin(world: World) -> None:
            world.store_proxy.fault = fault

        def end(world: World) -> None:
            world.store_proxy.fault = NO_HTTP_FAULT

        return Fault(f"store: {name}", begin, end, (3, 15))

    return [
        http("429 for every request", HttpFault(status=429)),
        http("429 for 30 % of the items of a bulk", HttpFault(item_share=0.3)),
        http("503 for half of the requests", HttpFault(status=503, share=0.5)),
        http("credentials refused (401)", HttpFault(status=401)),
        http("every second reply lost", HttpFault(lose_replies=0.5)),
        http("latency of 500 ms", HttpFault(delay_seconds=0.5)),
        http("no answer within the time", HttpFault(delay_seconds=8)),
        Fault("store: killed and restarted", lambda world: world.elasticsearch.kill(), _store_started, (1, 6), True),
        Fault("store: read-only block", _blocked(True), _blocked(False), (3, 12)),
    ]


def _log_faults() -> list[Fault]:
    def tcp(name: str, fault: TcpFault) -> Fault:
        def begin(world: World) -> None:
            world.kafka_proxy.fault = fault

        def end(world: World) -> None:
            world.kafka_proxy.fault = NO_TCP_FAULT

        return Fault(f"log: {name}", begin, end, (3, 12))

    def restarted(world: World) -> None:
        world.kafka.start()

    def log_reachable(world: World) -> None:
        world.kafka_proxy.open()

    return [
        tcp("latency of 300 ms", TcpFault(latency_seconds=0.3)),
        tcp("20 kB a second", TcpFault(bytes_per_second=20_000)),
        tcp("every reply lost", TcpFault(lose_replies=True)),
        tcp("nothing forwarded", TcpFault(stalled=True)),
        Fault(
            "log: unreachable", lambda world: world.kafka_proxy.cut(), lambda world: world.kafka_proxy.open(), (3, 15)
        ),
        Fault("log: connections reset", lambda world: world.kafka_proxy.reset(), lambda world: None, (0, 1)),
        Fault("log: broker restarted", lambda world: world.kafka.stop(), restarted, (1, 6)),
    ]


def _process_faults(generator: random.Random) -> list[Fault]:
    def one(act: Callable[[World, int], object]) -> Act:
        def begin(world: World) -> None:
            running = [number for number, worker in enumerate(world.workers) if worker.running]
            # None is where another fault of the same moment has killed them all.
            if running:
                act(world, generator.choice(running))

        return begin

    def scale_to(count: int) -> Act:
        def act(world: World) -> None:
            for number, worker in enumerate(world.workers):
                if number < count:
                    worker.start()
                else:
                    worker.terminate()

        return act

    def restart(world: World) -> None:
        for worker in world.workers:
            worker.thaw()
        scale_to(2)(world)

    return [
        Fault("worker: SIGKILL", one(lambda world, number: world.workers[number].kill()), restart, (0, 4)),
        Fault("worker: SIGTERM", one(lambda world, number: world.workers[number].terminate()), restart, (0, 4)),
        # Longer than the session timeout: its partitions go to the others, and it comes back as a zombie.
        Fault("worker: SIGSTOP", one(lambda world, number: world.workers[number].freeze()), restart, (8, 14)),
        Fault("workers: scaled to 1, then to 3", scale_to(1), scale_to(WORKERS_MAX), (2, 6)),
        Fault("workers: all killed", _kill_all, restart, (0, 3)),
        Fault("searcher: SIGKILL", lambda world: world.searcher.kill(), lambda world: world.searcher.start(), (0, 3)),
    ]


def _kill_all(world: World) -> None:
    for worker in world.workers:
        worker.kill()


def _store_started(world: World) -> None:
    world.elasticsearch.start()
    wait_until(world.elasticsearch.answers, 120, "Elasticsearch")


def _blocked(blocked: bool) -> Act:
    """What a full disk does to every index."""
    settings = {"index.blocks.read_only_allow_delete": True if blocked else None}

    def act(world: World) -> None:
        world.elasticsearch.ask("PUT", "catalogue*/_settings?expand_wildcards=all", settings)

    return act


def _picture_status(status: int) -> Act:
    def act(world: World) -> None:
        world.serve_pictures(status)

    return act
