"""Duplicates as the routes ask for them: runs in the background, one at a time in a process, and reviews."""

from collections.abc import Callable, Iterator
from datetime import datetime
from threading import Lock, Thread

from searcher.backend import Backend
from searcher.duplicates.exporting import GroupsFormat, export
from searcher.duplicates.records import Group, GroupState, Run
from searcher.duplicates.running import Job, code_of
from searcher.duplicates.wire import QuestionRequest, RunReply
from searcher.workbench.desk import Desk
from searcher.workbench.duplicate_groups import DuplicateGroups
from shared.errors import CatalogueError, StoreUnavailableError
from shared.settings import Settings

_GROUPS_READ = 500


class RunInProgressError(CatalogueError):
    """This searcher is looking for duplicates already."""


class Duplicates:
    """Starts runs, and gives the workbench's desk to those who review them."""

    def __init__(self, backend: Backend, desk: Desk, settings: Settings, now: Callable[[], datetime]) -> None:
        self.desk = desk
        self._backend = backend
        self._settings = settings
        self._now = now
        self._working = Lock()
        self._thread: Thread | None = None

    async def start(self, request: QuestionRequest, who: str) -> RunReply:
        """Begin a run; RunInProgressError, EncoderMissingError, StoreUnavailableError."""
        encoder, store = self._backend.encoder_or_raise(), self._backend.store
        if store is None:
            raise StoreUnavailableError("the store has not answered yet")
        encoder_id, bits = code_of(request.same, encoder.encoder_id, encoder.bits)
        if not self._working.acquire(blocking=False):
            raise RunInProgressError("a run is under way; wait for its end")
        try:
            kept = await self.desk.ask(lambda bench: bench.duplicates)
            run = await self.desk.ask(lambda bench: bench.duplicates.begin(request.question(bits), encoder_id, who))
            job = Job(store, kept, self._settings, self._now)
            # It does not hold up the end of the process: a run that was cut off can be started again.
            self._thread = Thread(target=self._work, args=[job, run, bits], name="duplicates", daemon=True)
            self._thread.start()
        except BaseException:
            self._working.release()
            raise
        return RunReply.of(run, self._now())

    def wait(self) -> None:
        """Wait for the end of the run that is under way, if one is."""
        if self._thread is not None:
            self._thread.join()

    async def run(self, run_id: str) -> RunReply:
        """A run; RunMissingError."""
        return RunReply.of(await self.desk.ask(lambda bench: bench.duplicates.run(run_id)), self._now())

    async def runs(self, count: int) -> list[RunReply]:
        """The last runs, the newest first."""
        found = await self.desk.ask(lambda bench: bench.duplicates.runs(count))
        return [RunReply.of(run, self._now()) for run in found]

    async def export(self, run_id: str, wanted: GroupsFormat, who: str) -> str:
        """A run's groups as a file's text, written down in the audit log; RunMissingError."""
        return await self.desk.ask(lambda bench: exported(bench.duplicates, run_id, wanted, who, self._now()))

    def _work(self, job: Job, run: Run, bits: int) -> None:
        try:
            job.do_in_background(run, bits)
        finally:
            self._working.release()


def exported(kept: DuplicateGroups, run_id: str, wanted: GroupsFormat, who: str, now: datetime) -> str:
    """A run's groups as a file's text, written down in the audit log; RunMissingError."""
    groups = list(all_groups(kept, run_id))
    text = export(RunReply.of(kept.run(run_id), now), groups, wanted)
    kept.exported(run_id, who, {"format": wanted, "groups": len(groups)})
    return text


def all_groups(kept: DuplicateGroups, run_id: str) -> Iterator[Group]:
    """All groups of a run, in the order in which they were found."""
    after = 0
    while page := kept.groups(run_id, list(GroupState), after, _GROUPS_READ):
        yield from page
        after = page[-1].group_id
