"""The indexer's command line."""

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from indexer import dead_letters, produce
from indexer.running import now, run_worker
from indexer.sampling import sample_source
from indexer.training import cli as training
from indexer.verification.command import verify
from indexer.vocabulary import make_vocabulary
from shared.command_line import Subcommands, add_command, new_parser, positive, run, settings_from
from shared.encoding.encoder import Encoder, fit_encoder
from shared.encoding.opening import open_embedder
from shared.errors import EXIT_BAD_INPUT, EXIT_OK, ConfigurationError, RejectionReason
from shared.event_log import opening as event_logs
from shared.logs import configure_logs
from shared.rolling_window import from_milliseconds
from shared.settings import Settings
from shared.store.opening import open_store
from shared.terminal import cell, print_line, progress


def main(arguments: list[str] | None = None) -> int:
    """The `indexer` command; gives the exit code."""
    parser, subcommands = new_parser("indexer", "Keeps a rolling index of a catalogue's pictures current.")
    _add_produce(subcommands)
    _add_fit(subcommands)
    training.add_train(subcommands)
    _add_vocabulary(subcommands)
    _add_run(subcommands)
    _add_dead_letters(subcommands)
    _add_verify(subcommands)
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
        print_line(note, file=sys.stderr)
    with closing(event_logs.open_writer(settings)) as writer, progress("appending", source.total) as advance:
        produced = produce.produce(source.events, writer, advance)
    if arguments.json:
        print_line(json.dumps({"events": produced.events, "bytes": produced.bytes}))
    else:
        print_line(f"{produced.events} events ({produced.bytes / 1e6:.1f} MB) appended to {settings.events_url}")
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
        "--sample",
        type=positive,
        default=5000,
        metavar="N",
        help="pictures to fit on, at most (default: %(default)s); 20000 give a large catalogue slightly better codes",
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
        print_line(json.dumps(summary))
    else:
        print_line(f"Encoder {encoder.encoder_id} ({encoder.bits} bits) fitted on {pictures} pictures and made active.")
    return EXIT_OK


async def _fitted(settings: Settings, size: int) -> tuple[Encoder, int]:
    embedder, sample = await sample_source(settings, lambda: open_embedder(settings), size)
    encoder, warnings = fit_encoder(embedder, sample.embeddings, settings.bits, settings.binarizer, seed=0)
    for warning in warnings:
        structlog.get_logger().warning("fitted_with_completion", detail=warning)
    return encoder, len(sample.image_ids)


# vocabulary -----------------------------------------------------------------------------------------------------------


def _add_vocabulary(subcommands: Subcommands) -> None:
    command = add_command(
        subcommands,
        "vocabulary",
        _vocabulary,
        "Make a vocabulary of visual words from sampled pictures of the event source.",
        "examples:\n"
        "  indexer vocabulary --out words.npz\n"
        "  indexer fit --embedder bovw:words.npz         and the same setting for run and searcher",
    )
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    command.add_argument("--words", type=positive, default=400, metavar="N", help="visual words (default: %(default)s)")
    command.add_argument(
        "--sample", type=positive, default=2000, metavar="N", help="pictures to take, at most (default: %(default)s)"
    )
    command.add_argument("--json", action="store_true", help="print the counts as JSON")


def _vocabulary(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    made = make_vocabulary(settings, arguments.sample, arguments.words, arguments.out)
    if arguments.json:
        print_line(json.dumps(asdict(made)))
    else:
        print_line(
            f"{made.words} words from {made.descriptors} descriptors of {made.pictures} pictures: {arguments.out}"
        )
    return EXIT_OK


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
        "--until-caught-up",
        action="store_true",
        help="exit once all that was in the source at the start is indexed, retries included",
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
    listing.add_argument("--image-id", metavar="ID", help="only those of this image")
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
        if (arguments.all or not letter.replayed)
        and arguments.reason in {None, letter.reason}
        and arguments.image_id in {None, letter.image_id}
    ]
    if arguments.json:
        print_line(json.dumps({"dead_letters": [asdict(letter) for letter in shown]}))
    else:
        _show_dead_letters(shown)
    return EXIT_OK


def _show_dead_letters(letters: Sequence[dead_letters.DeadLetterSummary]) -> None:
    if not letters:
        print_line("No dead letters.")
        return
    table = Table("when", "image id", "reason", "detail", "position", "bytes")
    for letter in letters:
        when = from_milliseconds(letter.dead_lettered_at_ms).isoformat(timespec="seconds")
        position = f"{letter.source_partition} {letter.source_offset}"
        cells = (when, letter.image_id or "?", letter.reason, letter.detail, position, str(letter.size_bytes))
        table.add_row(*map(cell, cells))
    Console().print(table)
    for reason, count in Counter(letter.reason for letter in letters).most_common():
        print_line(f"{count:>7}  {reason}")


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
        print_line(json.dumps(asdict(counts)))
    else:
        print_line(
            f"{counts.replayed} records sent again, {counts.kept} kept, {counts.unreadable} are no dead letters."
        )
    return EXIT_OK


# verify ---------------------------------------------------------------------------------------------------------------


def _add_verify(subcommands: Subcommands) -> None:
    command = add_command(
        subcommands,
        "verify",
        _verify,
        "Compare the store with the event source, and repair what differs. Workers may go on meanwhile.",
        "faults:\n"
        "  doubled          an older live copy lies beside the image's highest version; repaired in the store\n"
        "  stale            the store has a lower version than the source; its event is sent again\n"
        "  missing          the source has a visible image that the store lacks; its event is sent again\n"
        "  foreign_encoder  a visible image has no code of the active encoder; told, not repaired\n"
        "  expired          a month that can hold nothing visible is still there; dropped\n\n"
        "Only events before the group's committed positions must be in the store; dead letters need not.\n"
        "What is sent again is indexed by a running worker, and counts as repaired.\n"
        "Ends with exit code 4 where faults are left.\n\n"
        "examples:\n"
        "  indexer verify\n"
        "  indexer verify --repair\n"
        "  indexer verify --against store       reads no event source: doubled, foreign_encoder and expired only\n"
        "  indexer verify --metrics-file /var/lib/node_exporter/catalogue.prom",
    )
    command.add_argument("--against", choices=["source", "store"], default="source", help="default: %(default)s")
    command.add_argument("--repair", action="store_true", help="repair what can be")
    command.add_argument("--metrics-file", type=Path, metavar="PATH", help="write metrics for the node exporter")
    command.add_argument("--json", action="store_true", help="print JSON")


def _verify(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    report = verify(
        settings,
        against_source=arguments.against == "source",
        repair=arguments.repair,
        now=now,
        stages=lambda what: progress(what, None),
    )
    if arguments.metrics_file is not None:
        report.write_metrics(arguments.metrics_file, now())
    if arguments.json:
        print_line(report.to_json())
    else:
        Console().print(report.table())
        print_line(report.summary())
    return EXIT_BAD_INPUT if report.left else EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
