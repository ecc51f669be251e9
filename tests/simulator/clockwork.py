"""Virtual time: an agenda, machines that can be killed and stopped, and an event loop that waits for no clock.

Everything happens because it is due on the one agenda, in an order that the dice decide among equals; nothing waits in
real time, and no thread is used. Blocking calls (a store's client, a reader) run as greenlets that give way wherever
they would wait.
"""

import asyncio
import contextvars
import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any

import greenlet


class Agenda:
    """What is due when, in virtual seconds; equal times are ordered by the dice."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.seconds = 0.0
        self.steps = 0
        self._due: list[tuple[float, float, int, Callable[[], object]]] = []
        self._count = itertools.count()

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Let `action` happen so many seconds from now."""
        self.at(self.seconds + seconds, action)

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Let `action` happen at a time."""
        heapq.heappush(self._due, (seconds, self.dice.random(), next(self._count), action))

    def advance(self) -> None:
        """Let the next action happen."""
        seconds, _, _, action = heapq.heappop(self._due)
        self.seconds = max(self.seconds, seconds)
        self.steps += 1
        action()


class Machine:
    """One process of an operating system: it runs, is stopped (SIGSTOP), or is dead (SIGKILL)."""

    def __init__(self, name: str, agenda: Agenda) -> None:
        self.name = name
        self.agenda = agenda
        self.alive = True
        self.stopped = False
        self.jobs: set[greenlet.greenlet] = set()
        self._held: list[Callable[[], object]] = []
        self._hub = greenlet.getcurrent()

    def run(self, action: Callable[[], object]) -> None:
        """Do it now, once it is continued, or never."""
        if not self.alive:
            return
        if self.stopped:
            self._held.append(action)
        else:
            action()

    def stop(self) -> None:
        """SIGSTOP."""
        self.stopped = True

    def resume(self) -> None:
        """SIGCONT: what became due meanwhile happens now."""
        self.stopped = False
        held, self._held = self._held, []
        for action in held:
            self.agenda.after(0, lambda action=action: self.run(action))  # type: ignore[misc]

    def start_job(self, body: Callable[[], None]) -> None:
        """Run a function that may `pause`."""
        job = greenlet.greenlet(body, parent=self._hub)
        self.jobs.add(job)
        self._continue(job)

    def pause(self, seconds: float) -> None:
        """Give way for so long; called from within a job."""
        job = greenlet.getcurrent()
        self.agenda.after(seconds, lambda: self.run(lambda: self._continue(job)))
        self._hub.switch()

    def bury(self) -> None:
        """End the jobs of a dead machine, so that nothing of them runs later, when memory is freed."""
        self.alive = False
        for job in list(self.jobs):
            job.throw()
        self.jobs.clear()

    def _continue(self, job: greenlet.greenlet) -> None:
        job.switch()
        if job.dead:
            self.jobs.discard(job)


class SimulatedExecutor(Executor):
    """So many threads of a machine; its work runs as jobs."""

    def __init__(self, machine: Machine, threads: int) -> None:
        self._machine = machine
        self._idle = threads
        self._waiting: deque[tuple[asyncio.Future[Any], Callable[[], Any]]] = deque()

    def take(self, future: "asyncio.Future[Any]", work: Callable[[], Any]) -> None:
        """Run `work` once a thread is free, and put what it gives into `future`."""
        self._waiting.append((future, work))
        self._next()

    def _next(self) -> None:
        if self._idle and self._waiting:
            self._idle -= 1
            future, work = self._waiting.popleft()
            machine = self._machine
            machine.agenda.after(0, lambda: machine.run(lambda: machine.start_job(lambda: self._work(future, work))))

    def _work(self, future: "asyncio.Future[Any]", work: Callable[[], Any]) -> None:
        # As with threads, work that nobody waits for any more is not begun, but is not interrupted either.
        if not future.done():
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 (whatever it is, it belongs to the one who waits)
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)
        self._idle += 1
        self._next()


class SimulatedLoop(asyncio.AbstractEventLoop):
    """The event loop of one machine: callbacks in their order, as always, whenever the agenda says.

    It has what coroutines, tasks, futures and timeouts need, and neither sockets nor signals nor child processes.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._agenda = machine.agenda
        self._ready: deque[asyncio.Handle] = deque()
        self._woken = False
        self._default_executor = SimulatedExecutor(machine, 4)
        self.errors: list[dict[str, Any]] = []

    def time(self) -> float:
        return self._agenda.seconds

    def call_soon(self, callback: Any, *arguments: Any, context: contextvars.Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, arguments, self, context)
        self._ready.append(handle)
        self._wake()
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *arguments: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        return self.call_soon(callback, *arguments, context=context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *arguments: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *arguments, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *arguments: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, arguments, self, context)
        self._agenda.at(when, lambda: None if handle.cancelled() else self._machine.run(lambda: self._ripen(handle)))
        return handle

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self, coroutine: Coroutine[Any, Any, Any], *, name: str | None = None, **options: Any
    ) -> "asyncio.Task[Any]":
        return asyncio.Task(coroutine, loop=self, name=name, **options)

    def run_in_executor(self, executor: Any, work: Any, *arguments: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        future = self.create_future()
        (executor or self._default_executor).take(future, lambda: work(*arguments))
        return future

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def enter(self, action: Callable[[], Any]) -> Any:
        """Do something as if from within the loop."""
        asyncio._set_running_loop(self)
        try:
            return action()
        finally:
            asyncio._set_running_loop(None)

    def end(self) -> None:
        """Cancel every task and let it end, so that none is found unfinished when memory is freed."""
        for task in sorted(asyncio.all_tasks(self), key=asyncio.Task.get_name):
            task.cancel()
        self.turn()

    def turn(self) -> None:
        """Run what is ready, and what becomes ready by that."""
        self._woken = False
        self.enter(self._run_ready)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """The agenda passes it over."""

    def _run_ready(self) -> None:
        while self._ready:
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()

    def _ripen(self, handle: asyncio.TimerHandle) -> None:
        if not handle.cancelled():
            self._ready.append(handle)
            self._wake()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._agenda.after(0, lambda: self._machine.run(self.turn))
