"""The indexer's command line, and the one place where its parts are wired."""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, TypeVar

import structlog
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from indexer import dead_letters, produce
from indexer.event_fetcher import EventFetcher
from indexer.event_log import opening as event_logs
from indexer.fitting import SamplerParts, draw_sample
from indexer.health import HealthServer
from indexer.patience import Patience
from indexer.pipeline import Pipeline, PipelineParts
from indexer.worker import Worker, WorkerParts
from shared.command_line import Subcommands, add_command, new_parser, positive, run, settings_from
from shared.encoding.encoder import Encoder, fit_encoder, load_encoder
from shared.encoding.opening import open_embedder
from shared.errors import EXIT_BUG, EXIT_OK, ConfigurationError, RejectionReason
from shared.images.decoder import DecoderPool
from shared.images.fetcher import Fetcher, FetchLimits
from shared.images.picture import DecodeLimits
from shared.logs import configure_logs
from shared.metrics import IndexerMetrics
from shared.rolling_window import from_milliseconds
from shared.settings import Settings
from shared.store import Store
from shared.store.opening import open_store

# A loop that has not turned for so long is stuck, and a supervisor should restart the worker.
_LIVE_SECONDS = 60.0
_STORE_THREADS = 4

_Result = TypeVar("_Result")


def main(arguments: list[str] | None = None) -> int:
    """The `indexer` command; gives the exit code."""
    parser, subcommands = new_parser("indexer", "Keeps a rolling index of a catalogue's pictures current.")
    _add_produce(subcommands)
    _add_fit(subcommands)
    _add_run(subcommands)
    _add_dead_letters(subcommands)
    return run(parser, arguments)


def _now() -> datetime:
    return datetime.now(UTC)


# produce --------------------------------------------------------------------------------------------------------------


def _add_produce(subcommands: Subcommands) -> None:
    command = add_command(
        subcommands,
        "produce",
        _produce,
        "Write catalogue events to the event source.",
        "examples:\n"
        "  indexer produce --demo 300                     a drawn catalogue of 300 items\n"
        "  indexer produce --images ~/Pictures --inline   your own pictures, bytes in the events\n"
        "  indexer produce --csv items.csv                a row an image: path or url, and attributes",
    )
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, metavar="DIR", help="pictures of a folder; a sub-folder is the category")
    source.add_argument("--csv", type=Path, metavar="FILE", help="a row an image, with a column path or url")
    source.add_argument("--jsonl", type=Path, metavar="FILE", help="catalogue events, one a line, as they are")
    source.add_argument("--demo", type=positive, metavar="N", help="a drawn catalogue of N items")
    command.add_argument("--limit", type=positive, metavar="N", help="stop after N events")
    command.add_argument("--inline", action="store_true", help="put the bytes of files into the events, not their URLs")
    command.add_argument("--json", action="store_true", help="print the counts as JSON")


def _produce(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    source = _event_source(arguments, settings)
    for note in source.notes:
        _print(note, file=sys.stderr)
    with closing(event_logs.open_writer(settings)) as writer, _progress("appending", source.total) as advance:
        produced = produce.produce(source.events, writer, advance)
    if arguments.json:
        _print(json.dumps({"events": produced.events, "bytes": produced.bytes}))
    else:
        _print(f"{produced.events} events ({produced.bytes / 1e6:.1f} MB) appended to {settings.events_url}")
    return EXIT_OK


def _event_source(arguments: argparse.Namespace, settings: Settings) -> produce.EventSource:
    limit, inline = arguments.limit, arguments.inline
    if arguments.images is not None:
        return produce.from_images(arguments.images, _now, inline=inline, limit=limit)
    if arguments.csv is not None:
        return produce.from_csv(arguments.csv, _now, inline=inline, limit=limit)
    if arguments.jsonl is not None:
        return produce.from_jsonl(arguments.jsonl, _now, limit=limit)
    return produce.from_demo(arguments.demo, _now, window_months=settings.window_months, limit=limit)


# fit ------------------------------------------------------------------------------------------------------------------


def _add_fit(subcommands: Subcommands) -> None:
    command = add_command(
        subcommands,
        "fit",
        _fit,
        "Fit the encoder on sampled pictures of the event source, and make it the active one.",
        "examples:\n  indexer fit\n  indexer fit --sample 2000 --bits 128 --embedder classic",
    )
    command.add_argument(
        "--sample", type=positive, default=5000, metavar="N", help="pictures to fit on, at most (default: %(default)s)"
    )
    command.add_argument("--json", action="store_true", help="print the encoder as JSON")


def _fit(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    with closing(open_store(settings)) as store:
        active = store.active_encoder()
        if active is not None:
            raise ConfigurationError(f"the encoder {active.encoder_id} is active already; its codes fill the index")
        encoder, pictures = asyncio.run(_fitted(settings, arguments.sample))
        store.activate_encoder(encoder.to_stored())
    summary = {"encoder": encoder.encoder_id, "bits": encoder.bits, "pictures": pictures}
    if arguments.json:
        _print(json.dumps(summary))
    else:
        _print(f"Encoder {encoder.encoder_id} ({encoder.bits} bits) fitted on {pictures} pictures and made active.")
    return EXIT_OK


async def _fitted(settings: Settings, size: int) -> tuple[Encoder, int]:
    log = structlog.get_logger()
    async with _pictures(settings) as (fetcher, decoder):
        with (
            closing(event_logs.open_scanner(settings)) as scanner,
            ThreadPoolExecutor(1) as scan_thread,
            ThreadPoolExecutor(1) as model_thread,
            _progress("embedding", None) as advance,
        ):
            embedder = open_embedder(settings)
            parts = SamplerParts(
                scanner, fetcher, decoder, embedder, _now, asyncio.sleep, log, scan_thread, model_thread
            )
            sample = await draw_sample(parts, settings, size, advance)
    if not sample.image_ids:
        raise ConfigurationError("none of the sampled pictures could be embedded; `--log-level debug` tells why")
    encoder, warnings = fit_encoder(embedder, sample.embeddings, settings.bits, settings.binarizer, seed=0)
    for warning in warnings:
        log.warning("fitted_with_completion", detail=warning)
    return encoder, len(sample.image_ids)


# run ------------------------------------------------------------------------------------------------------------------


def _add_run(subcommands: Subcommands) -> None:
    command = add_command(
        subcommands,
        "run",
        _run,
        "Read the event source and keep the index current, until SIGTERM or Ctrl-C.",
        "examples:\n  indexer run\n  indexer run --until-caught-up     index what is there now, then exit",
    )
    command.add_argument(
        "--until-caught-up", action="store_true", help="exit once all that was in the source at the start is indexed"
    )


def _run(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    asyncio.run(_Run(settings, registry).run(until_caught_up=arguments.until_caught_up))
    return EXIT_OK


class _Run:
    """One worker process: its parts, its health server, and its signals."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._registry = registry
        self._metrics = IndexerMetrics(registry)
        self._metrics.ready.set_function(self._ready)
        self._log = structlog.get_logger()
        self._patience = Patience(settings.retry_seconds_max, asyncio.sleep, random.Random(), self._metrics, self._log)
        self._worker: Worker | None = None
        self._started = time.monotonic()
        self._stop_requested = asyncio.Event()

    async def run(self, *, until_caught_up: bool) -> None:
        """Wait for an encoder, work, and leave cleanly."""
        self._listen_to_signals()
        with self._health():
            store, encoder = await self._until_stopped(self._store_and_encoder(wait=not until_caught_up)) or (
                None,
                None,
            )
            if store is not None and encoder is not None:
                with closing(store):
                    await self._work(store, encoder, until_caught_up)
        self._log.info("stopped")

    async def _store_and_encoder(self, *, wait: bool) -> tuple[Store, Encoder]:
        settings = self._settings
        store = await self._patience.until_available("store", lambda: asyncio.to_thread(open_store, settings))
        said = False
        while True:
            active = await self._patience.until_available("store", lambda: asyncio.to_thread(store.active_encoder))
            if active is not None:
                return store, await asyncio.to_thread(load_encoder, active, settings)
            if not wait:
                raise ConfigurationError("no encoder is active; run `indexer fit` first")
            if not said:
                self._log.info("waiting_for_encoder", detail="no encoder is active; run `indexer fit`")
                said = True
            await asyncio.sleep(1)

    async def _work(self, store: Store, encoder: Encoder, until_caught_up: bool) -> None:
        settings, metrics = self._settings, self._metrics
        metrics.encoder.labels(encoder.encoder_id).set(1)
        async with _pictures(settings) as (fetcher, decoder):
            with ExitStack() as stack:
                threads = [stack.enter_context(ThreadPoolExecutor(count)) for count in (_STORE_THREADS, 1, 1, 1)]
                store_threads, model_thread, dead_letter_thread, reader_thread = threads
                dead_letter_log = stack.enter_context(closing(event_logs.open_dead_letter_writer(settings)))
                reader = stack.enter_context(closing(event_logs.open_reader(settings)))
                pipeline = Pipeline(
                    PipelineParts(
                        store,
                        fetcher,
                        decoder,
                        encoder,
                        dead_letter_log,
                        self._patience,
                        metrics,
                        _now,
                        store_threads,
                        model_thread,
                        dead_letter_thread,
                    ),
                    settings,
                )
                self._worker = Worker(
                    WorkerParts(reader, pipeline, store, self._patience, metrics, _now, self._log, reader_thread),
                    settings,
                )
                self._log.info("started", encoder=encoder.encoder_id, settings=settings.model_dump(mode="json"))
                if self._stop_requested.is_set():
                    self._worker.stop()
                await self._worker.run(until_caught_up=until_caught_up)

    async def _until_stopped(self, waiting: Awaitable[_Result]) -> _Result | None:
        """What `waiting` gives, or None where a signal came first."""
        task = asyncio.ensure_future(waiting)
        stop = asyncio.create_task(self._stop_requested.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if task.done():
            return task.result()
        task.cancel()
        return None

    def _health(self) -> HealthServer:
        settings = self._settings
        return HealthServer(settings.metrics_host, settings.metrics_port, self._registry, self._live, self._ready)

    def _live(self) -> bool:
        heartbeat = self._worker.heartbeat if self._worker is not None else 0.0
        return time.monotonic() - max(heartbeat, self._started) < _LIVE_SECONDS or self._waiting()

    def _waiting(self) -> bool:
        """Whether the loop stands still for a reason: no encoder yet, or a dependency that is away."""
        return self._worker is None or bool(self._patience.waiting_for)

    def _ready(self) -> bool:
        return self._worker is not None and self._worker.ready

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)

    def _stop(self) -> None:
        if self._stop_requested.is_set():
            # Asked twice: leave at once. What is in flight is not committed and will be read again.
            os._exit(EXIT_BUG)
        self._stop_requested.set()
        if self._worker is not None:
            self._worker.stop()


# dead-letters ---------------------------------------------------------------------------------------------------------


def _add_dead_letters(subcommands: Subcommands) -> None:
    parser = subcommands.add_parser("dead-letters", help="List what was refused and why, or send it again.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = add_command(actions, "list", _list_dead_letters, "List the records that were refused, and why.")
    listing.add_argument("--all", action="store_true", help="also those that were replayed already")
    replaying = add_command(
        actions, "replay", _replay_dead_letters, "Append refused records to the event source again, as they were."
    )
    for command in (listing, replaying):
        command.add_argument(
            "--reason", choices=[reason.value for reason in RejectionReason], help="only those with this reason"
        )
        command.add_argument("--json", action="store_true", help="print JSON")


def _list_dead_letters(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    with (
        closing(event_logs.open_dead_letter_scanner(settings)) as scanner,
        closing(event_logs.open_dead_letter_reader(settings)) as replayer,
    ):
        letters = dead_letters.list_dead_letters(scanner, replayer.committed_positions())
    shown = [
        letter
        for letter in letters
        if (arguments.all or not letter.replayed) and arguments.reason in {None, letter.reason}
    ]
    if arguments.json:
        _print(json.dumps({"dead_letters": [asdict(letter) for letter in shown]}))
    else:
        _show_dead_letters(shown)
    return EXIT_OK


def _show_dead_letters(letters: Sequence[dead_letters.DeadLetterSummary]) -> None:
    if not letters:
        _print("No dead letters.")
        return
    table = Table("when", "image id", "reason", "detail", "position", "bytes")
    for letter in letters:
        when = from_milliseconds(letter.dead_lettered_at_ms).isoformat(timespec="seconds")
        position = f"{letter.source_partition} {letter.source_offset}"
        cells = (when, letter.image_id or "?", letter.reason, letter.detail, position, str(letter.size_bytes))
        # Ids and details are other people's text: no markup, no control characters.
        table.add_row(*(Text("".join(sign if sign.isprintable() else "\ufffd" for sign in cell)) for cell in cells))
    Console().print(table)
    for reason, count in Counter(letter.reason for letter in letters).most_common():
        _print(f"{count:>7}  {reason}")


def _replay_dead_letters(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    reason = None if arguments.reason is None else RejectionReason(arguments.reason)
    with (
        closing(event_logs.open_dead_letter_reader(settings)) as reader,
        closing(event_logs.open_writer(settings)) as events,
        closing(event_logs.open_dead_letter_writer(settings)) as letters,
    ):
        counts = dead_letters.replay(reader, events, letters, reason=reason)
    if arguments.json:
        _print(json.dumps(asdict(counts)))
    else:
        _print(f"{counts.replayed} records sent again, {counts.kept} kept, {counts.unreadable} are no dead letters.")
    return EXIT_OK


# What the commands share ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _pictures(settings: Settings) -> AsyncIterator[tuple[EventFetcher, DecoderPool]]:
    """The way from an event's URL to its decoded picture."""
    async with (
        Fetcher(FetchLimits.of(settings)) as web,
        DecoderPool(DecodeLimits.of(settings, cores=os.cpu_count() or 1)) as decoder,
    ):
        yield EventFetcher(web, settings.fetch_allowed_roots, settings.fetch_bytes_max), decoder


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal's standard error; gives the function that advances it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda count: progress.advance(bar, count)


def _print(text: str, file: TextIO | None = None) -> None:
    print(text, file=file)


if __name__ == "__main__":
    sys.exit(main())
