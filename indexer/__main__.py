"""The indexer's command line."""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from indexer import dead_letters, produce
from indexer.event_log import opening as event_logs
from indexer.fitting import SamplerParts, draw_sample
from indexer.running import now, pictures, run_worker
from shared.command_line import Subcommands, add_command, new_parser, positive, run, settings_from
from shared.encoding.encoder import Encoder, fit_encoder
from shared.encoding.opening import open_embedder
from shared.errors import EXIT_OK, ConfigurationError, RejectionReason
from shared.logs import configure_logs
from shared.rolling_window import from_milliseconds
from shared.settings import Settings
from shared.store.opening import open_store


def main(arguments: list[str] | None = None) -> int:
    """The `indexer` command; gives the exit code."""
    parser, subcommands = new_parser("indexer", "Keeps a rolling index of a catalogue's pictures current.")
    _add_produce(subcommands)
    _add_fit(subcommands)
    _add_run(subcommands)
    _add_dead_letters(subcommands)
    return run(parser, arguments)


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
        return produce.from_images(arguments.images, now, inline=inline, limit=limit)
    if arguments.csv is not None:
        return produce.from_csv(arguments.csv, now, inline=inline, limit=limit)
    if arguments.jsonl is not None:
        return produce.from_jsonl(arguments.jsonl, now, limit=limit)
    return produce.from_demo(arguments.demo, now, window_months=settings.window_months, limit=limit)


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
    async with pictures(settings) as (fetcher, decoder):
        with (
            closing(event_logs.open_scanner(settings)) as scanner,
            ThreadPoolExecutor(1) as scan_thread,
            ThreadPoolExecutor(1) as model_thread,
            _progress("embedding", None) as advance,
        ):
            embedder = open_embedder(settings)
            parts = SamplerParts(
                scanner, fetcher, decoder, embedder, now, asyncio.sleep, log, scan_thread, model_thread
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
    run_worker(settings, until_caught_up=arguments.until_caught_up)
    return EXIT_OK


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
