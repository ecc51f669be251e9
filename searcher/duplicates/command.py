"""`searcher duplicates`: a run from the command line, and what became of earlier ones as a file."""

import argparse
import sys
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from searcher.duplicates.exporting import GroupsFormat
from searcher.duplicates.records import By, Run, Same
from searcher.duplicates.running import Job, code_of
from searcher.duplicates.service import all_groups, exported
from searcher.duplicates.wire import GroupReply, QuestionRequest, RunReply
from searcher.people import COMMAND_LINE
from searcher.workbench.duplicate_groups import DuplicateGroups, RunMissingError
from searcher.workbench.workbench import Workbench
from shared.command_line import Subcommands, add_command, settings_from
from shared.errors import EXIT_OK, ConfigurationError
from shared.logs import configure_logs
from shared.settings import Settings
from shared.store.opening import open_store
from shared.terminal import cell, print_line

_SHOWN = 20


def add_duplicates_command(subcommands: Subcommands) -> None:
    """Add `duplicates`."""
    command = add_command(
        subcommands,
        "duplicates",
        _duplicates,
        "Group the window's near-duplicates, for review on the page /duplicates.",
        "examples:\n"
        "  searcher duplicates                                    one photo, by its copy code\n"
        "  searcher duplicates --same article --by item --differ seller --output sold-twice.csv\n"
        "  searcher duplicates --run 6f1d… --output reviewed.csv  an earlier run with what was decided since",
    )
    command.add_argument(
        "--same",
        choices=list(Same),
        default=Same.PHOTO,
        help="photo: by copy codes (CATALOGUE_COPY_CODES), mirrored too; article: by the encoder's codes "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--radius",
        type=int,
        metavar="R",
        help="largest distance of a pair, in bits (default: 31 for photos, an eighth of the bits for articles)",
    )
    command.add_argument("--by", choices=list(By), default=By.IMAGE, help="what is grouped (default: %(default)s)")
    for name, what in (("match", "is equal"), ("differ", "differs")):
        command.add_argument(
            f"--{name}", action="append", default=[], metavar="ATTRIBUTE", help=f"only pairs in which this {what}"
        )
    command.add_argument("--run", metavar="ID", help="look for nothing: tell of this earlier run")
    command.add_argument("--output", type=Path, metavar="FILE", help="write the groups; .json: JSON, otherwise CSV")
    command.add_argument("--json", action="store_true", help="print the run and its groups as JSON Lines")


def _duplicates(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    if arguments.output is not None and not arguments.output.absolute().parent.is_dir():
        raise ConfigurationError(f"--output: {arguments.output.parent} is no folder")
    with closing(Workbench.of(settings, _now)) as bench:
        kept = bench.duplicates
        run = _known(kept, arguments.run) if arguments.run else _look(settings, kept, _question(arguments))
        if arguments.output is not None:
            _write(kept, run, arguments.output)
        if arguments.json:
            print_line(RunReply.of(run, _now()).model_dump_json())
            for group in all_groups(kept, run.run_id):
                print_line(GroupReply.of(group).model_dump_json())
        else:
            _print(kept, run, Console())
    return EXIT_OK


def _question(arguments: argparse.Namespace) -> QuestionRequest:
    names = ("same", "radius", "by", "match", "differ")
    try:
        return QuestionRequest(**{name: getattr(arguments, name) for name in names})
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(f"--{first['loc'][0]}: {first['msg']}") from error


def _known(kept: DuplicateGroups, run_id: str) -> Run:
    try:
        return kept.run(run_id)
    except RunMissingError as error:
        raise ConfigurationError(f"--run: there is no run {run_id}") from error


def _look(settings: Settings, kept: DuplicateGroups, request: QuestionRequest) -> Run:
    with ExitStack() as stack:
        store = stack.enter_context(closing(open_store(settings)))
        active = store.active_encoder()
        if active is None:
            raise ConfigurationError("no encoder is active; run `indexer fit` first")
        encoder_id, bits = code_of(request.same, active.encoder_id, active.bits)
        console = Console(stderr=True)
        bars = stack.enter_context(Progress(console=console, disable=not console.is_terminal))
        bar = bars.add_task("reading")
        run = kept.begin(request.question(bits), encoder_id, COMMAND_LINE)
        job = Job(store, kept, settings, _now)
        return job.do(
            run, bits, lambda stage, done, total: bars.update(bar, description=stage, completed=done, total=total)
        )


def _write(kept: DuplicateGroups, run: Run, target: Path) -> None:
    wanted = GroupsFormat.JSON if target.suffix == ".json" else GroupsFormat.CSV
    text = exported(kept, run.run_id, wanted, COMMAND_LINE, _now())
    try:
        target.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigurationError(f"--output: {target}: {error.strerror}") from error
    print_line(f"written to {target}", sys.stderr)


def _print(kept: DuplicateGroups, run: Run, console: Console) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("group", "state", "images", "diameter"):
        table.add_column(heading, no_wrap=True, justify="left" if heading == "state" else "right")
    table.add_column("first ones", overflow="fold")
    groups = list(all_groups(kept, run.run_id))
    for group in groups[:_SHOWN]:
        ids = ", ".join(member.image_id for member in group.members[:4])
        diameter = f"{group.diameter} (loose)" if group.loose else str(group.diameter)
        values = (str(group.group_id), group.state.value, str(len(group.members)), diameter, ids)
        table.add_row(*(cell(value) for value in values))
    if groups:
        console.print(table)
    images = sum(len(group.members) for group in groups)
    told = f"run {run.run_id}: {len(groups)} groups with {images} of {run.images} images, {run.pairs} pairs"
    console.print(told, highlight=False)
    if run.held_back:
        held_back = f"{len(run.held_back)} images are near very many others and are left out (`searcher hubs`)"
        console.print(held_back, highlight=False)


def _now() -> datetime:
    return datetime.now(UTC)
