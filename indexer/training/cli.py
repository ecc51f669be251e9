"""`indexer train` on the command line: flags, and what it prints."""

import argparse
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from indexer.training.command import Report, Request, learned, trained
from indexer.training.hash_head import HeadOptions
from indexer.training.options import add_fine_tuning, options_of
from shared.command_line import Subcommands, add_command, positive, settings_from
from shared.encoding.encoder import Encoder
from shared.errors import EXIT_OK, ConfigurationError
from shared.logs import configure_logs
from shared.settings import Settings
from shared.store.opening import open_store
from shared.terminal import print_line

_DEFAULTS = HeadOptions(bits=256)


def add_train(subcommands: Subcommands) -> None:
    """Add the sub-command."""
    command = add_command(
        subcommands,
        "train",
        _train,
        "Learn a code from labels or judgements, and make its encoder the active one (instead of `fit`).",
        "A part of the bits is learned from fields of the events (attributes, item_id); the other part keeps what the\n"
        "labels do not speak of, so that things without a label go on to be found. A larger --share finds labelled\n"
        "things better and others worse; the report tells how much, on pictures and on values that were held out.\n\n"
        "examples:\n"
        "  indexer train --labels category\n"
        "  indexer train --labels category,item_id --bits 64 --report learned.json\n"
        "  indexer train --labels category --except category=hat,shoes     as if nobody had told of these\n"
        '  indexer train --triplets judgements.jsonl                        {"anchor": ID, "positive": ID, …} a line',
    )
    command.add_argument("--labels", default="", metavar="FIELDS", help="fields to learn, comma-separated")
    command.add_argument(
        "--triplets", type=Path, metavar="FILE", help="JSON Lines: image ids of anchor, positive, negative"
    )
    command.add_argument(
        "--except",
        dest="left_out",
        action="append",
        default=[],
        metavar="FIELD=VALUES",
        help="leave images with these values out of the training, not out of the index; may be given again",
    )
    command.add_argument(
        "--sample",
        type=positive,
        default=20_000,
        metavar="N",
        help="pictures to learn from, at most (default: %(default)s)",
    )
    command.add_argument(
        "--share", type=float, default=_DEFAULTS.share, metavar="S", help="of the bits, learned (default: %(default)s)"
    )
    command.add_argument(
        "--validation",
        type=float,
        default=0.2,
        metavar="S",
        help="of the pictures, held out to measure with; the encoder then learns from all (default: %(default)s)",
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    command.add_argument("--report", type=Path, metavar="FILE", help="write what was learned, and its worth, as JSON")
    command.add_argument("--json", action="store_true", help="print the report as JSON")
    add_fine_tuning(command)


def _train(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    request = Request(
        labels=[name.strip() for name in arguments.labels.split(",") if name.strip()],
        left_out=_left_out(arguments.left_out),
        triplets=arguments.triplets,
        sample=arguments.sample,
        validation=_share("--validation", arguments.validation),
        options=HeadOptions(bits=settings.bits, share=_share("--share", arguments.share), seed=arguments.seed),
    )
    with closing(open_store(settings)) as store:
        active = store.active_encoder()
        if active is not None:
            raise ConfigurationError(f"the encoder {active.encoder_id} is active already; its codes fill the index")
        encoder, report = _tuned(settings, request, arguments) if arguments.fine_tune else trained(settings, request)
        _write(report, arguments.report)
        store.activate_encoder(encoder.to_stored())
    if report.triplets_unknown:
        print_line(f"{report.triplets_unknown} triplets name images that were not sampled: left out.", file=sys.stderr)
    print_line(report.to_json() if arguments.json else _summary(report))
    return EXIT_OK


def _tuned(settings: Settings, request: Request, arguments: argparse.Namespace) -> tuple[Encoder, Report]:
    """The same from embeddings of a network that learned first."""
    if arguments.weights_out is None or not request.labels:
        raise ConfigurationError("--fine-tune needs --labels, and --weights-out for what the network learns")
    try:
        # Both libraries take seconds to import.
        from indexer.training.fine_tuning_command import FineTuning, fine_tuned  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"fine-tuning needs the extra `train`: pip install 'catalogue-indexer[train]' ({error})"
        ) from error
    options = options_of(arguments, request.validation, request.options.seed)
    tuning = FineTuning(request.labels, request.left_out, request.sample, arguments.weights_out, options)
    embedder, sample, told = fine_tuned(settings, tuning)
    encoder, report = learned(embedder, sample, request)
    return encoder, replace(report, fine_tuning=told)


def _summary(report: Report) -> str:
    lines = [f"Encoder {report.encoder} learned from {report.pictures} pictures and made active."]
    if report.fine_tuning is not None:
        told = report.fine_tuning
        lines.append(
            f"Network tuned for {len(told['loss'])} epochs: MAP@R of {told['validation_pictures']} "
            f"{told['validation_on']} from {told['map_at_r'][0]:.3f} to {told['map_at_r'][told['best_epoch']]:.3f}. "
            f"From now on CATALOGUE_WEIGHTS={told['weights']['to']}"
        )
    if report.validation is not None:
        for what, quality in (
            ("held out", report.validation.seen),
            ("of values not learned", report.validation.unseen),
        ):
            if quality is not None:
                lines.append(
                    f"MAP@100 by {report.validation.field}, {quality.queries} pictures {what}: learned "
                    f"{quality.learned:.3f}, ITQ {quality.itq:.3f}, float {quality.float_cosine:.3f}"
                )
    return "\n".join(lines)


def _write(report: Report, path: Path | None) -> None:
    if path is None:
        return
    try:
        path.write_text(report.to_json() + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--report: {path}: {error.strerror}") from error


def _share(flag: str, share: float) -> float:
    if not 0 <= share <= 1:
        raise ConfigurationError(f"{flag}: {share} is not from 0 to 1")
    return share


def _left_out(given: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in given:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise ConfigurationError(f"--except: {text!r} is not of the form FIELD=VALUE,VALUE")
        found.setdefault(name.strip(), []).extend(value.strip() for value in values.split(","))
    return found
