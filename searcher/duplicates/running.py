"""A run of the job, from the window's codes to kept groups."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from searcher.duplicates.finding import Report, find_groups
from searcher.duplicates.records import Run, Same
from searcher.duplicates.window_codes import WindowCodes, read_codes
from searcher.workbench.duplicate_groups import DuplicateGroups
from shared.encoding.copy_code import COPY_BITS, COPY_ENCODER_ID
from shared.errors import CatalogueError, QueryInvalidError
from shared.rolling_window import to_milliseconds, window_start
from shared.settings import Settings
from shared.store import Restriction, Store

_TELL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """What a run works with; it ends as done or failed, whatever happens in it, as long as the database answers."""

    store: Store
    kept: DuplicateGroups
    settings: Settings
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic

    def do(self, run: Run, bits: int, report: Report) -> Run:
        """Find the groups and keep them; CatalogueError where that fails, which the run then tells, too."""
        telling = _Telling(self.kept, run.run_id, report, self.clock)
        try:
            window = self._read(run, bits, telling)
            found = find_groups(window, run.question, self.store.documents, telling)
            return self.kept.finish(run.run_id, found)
        except CatalogueError as error:
            self.kept.fail(run.run_id, str(error))
            raise
        except Exception:
            # A bug must not leave a run that looks as if it went on.
            self.kept.fail(run.run_id, "a bug of the program; its log tells more")
            raise

    def do_in_background(self, run: Run, bits: int) -> None:
        """The same as the body of a thread: what fails is told by the run and by the log."""
        log = structlog.get_logger()
        try:
            done = self.do(run, bits, lambda *_: None)
        except CatalogueError as error:
            log.warning("duplicates_failed", run=run.run_id, detail=str(error))
        except Exception:
            log.exception("duplicates_failed", run=run.run_id)
        else:
            log.info("duplicates_found", run=run.run_id, images=done.images, groups=sum(done.groups.values()))

    def _read(self, run: Run, bits: int, report: Report) -> WindowCodes:
        settings, read = self.settings, 0
        after_ms = to_milliseconds(window_start(self.now(), settings.window_months))
        images = self.store.visible_count(Restriction(after_ms))

        def advance(more: int) -> None:
            nonlocal read
            read += more
            report("reading", read, max(read, images))

        window = read_codes(
            self.store, run.encoder, bits, after_ms, bytes_max=settings.resident_bytes_max, advance=advance
        )
        if images and not window.image_ids and run.question.same is Same.PHOTO:
            raise QueryInvalidError(
                "no image has a copy code; set CATALOGUE_COPY_CODES for the indexer, and produce the events anew"
            )
        return window


def code_of(same: Same, encoder_id: str, bits: int) -> tuple[str, int]:
    """The encoder whose codes tell what is the same, and their bits; of articles the active one, which is given."""
    return (COPY_ENCODER_ID, COPY_BITS) if same is Same.PHOTO else (encoder_id, bits)


class _Telling:
    """Reports each step, and once a second to the database."""

    def __init__(self, kept: DuplicateGroups, run_id: str, report: Report, clock: Callable[[], float]) -> None:
        self._kept = kept
        self._run_id = run_id
        self._report = report
        self._clock = clock
        self._told_at = clock()

    def __call__(self, stage: str, done: int, total: int) -> None:
        self._report(stage, done, total)
        if self._clock() - self._told_at >= _TELL_SECONDS:
            self._told_at = self._clock()
            self._kept.tell(self._run_id, stage, done, total)
