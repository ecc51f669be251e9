"""The searcher's command line."""

import argparse
import asyncio
import json
import shlex
import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from searcher.duplicates.command import add_duplicates_command
from searcher.evaluation.command import plan_of, run_plan
from searcher.evaluation.distances import as_json, measure_distances, print_distances
from searcher.evaluation.plan import Options
from searcher.evaluation.report import print_report
from searcher.querying import build_request, print_reply, run_query
from searcher.serving import run_server
from searcher.strategies import StrategyName
from searcher.window import hubs, pairs
from searcher.wire import DEFAULT_K
from searcher.workbench.audit_command import add_audit_command
from searcher.workbench.command import add_workbench_commands
from searcher.workbench.key_command import add_key_commands
from searcher.workbench.watch_command import add_watch_commands
from shared.command_line import Subcommands, add_command, flags_from, new_parser, positive, run, settings_from
from shared.errors import EXIT_OK
from shared.logs import configure_logs
from shared.settings import load_settings
from shared.terminal import print_line, printable


def main(arguments: list[str] | None = None) -> int:
    """The `searcher` command; gives the exit code."""
    parser, subcommands = new_parser("searcher", "Finds the pictures of a catalogue that are like a picture.")
    add_command(
        subcommands,
        "serve",
        _serve,
        "Serve the HTTP API and the page, until SIGTERM or Ctrl-C.",
        "examples:\n  searcher serve\n  searcher serve --http-port 9000",
    )
    _add_query(subcommands)
    _add_pairs(subcommands)
    _add_hubs(subcommands)
    add_duplicates_command(subcommands)
    add_workbench_commands(subcommands)
    add_watch_commands(subcommands)
    add_key_commands(subcommands)
    add_audit_command(subcommands)
    _add_evaluate(subcommands)
    _add_distance(subcommands)
    return run(parser, arguments)


def _serve(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    run_server(settings)
    return EXIT_OK


def _add_query(subcommands: Subcommands) -> None:
    command = add_command(
        subcommands,
        "query",
        _query,
        "Print the images nearest to a picture, an indexed image, or a hash code.",
        "examples:\n"
        "  searcher query photo.jpg -k 5\n"
        "  searcher query --id sku-17-front --filter category=mug --filter colour=blue\n"
        "  searcher query --url https://example.com/photo.jpg --radius 40 --json",
    )
    seed = command.add_mutually_exclusive_group(required=True)
    seed.add_argument("image", type=Path, nargs="?", metavar="IMAGE", help="a picture's file")
    seed.add_argument("--id", metavar="ID", help="an indexed image")
    seed.add_argument("--url", metavar="URL", help="a picture on the web")
    seed.add_argument("--code", metavar="HEX", help="a hash code")
    command.add_argument(
        "-k", type=int, metavar="K", help=f"hits, at most (default: {DEFAULT_K}; with a radius, all within it)"
    )
    command.add_argument("--radius", type=int, metavar="R", help="largest distance of a hit, in bits")
    command.add_argument(
        "--strategy",
        choices=[StrategyName.FLAT, StrategyName.SUBCODE, StrategyName.HNSW],
        default=StrategyName.FLAT,
        help="how the store is searched (default: %(default)s, which compares every code; hnsw is approximate)",
    )
    command.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="only images with this attribute; the same name again allows another value, another name narrows",
    )
    command.add_argument("--json", action="store_true", help="print the reply that the HTTP API gives")


def _query(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    request = build_request(
        image=arguments.image,
        image_id=arguments.id,
        url=arguments.url,
        code=arguments.code,
        k=arguments.k,
        radius=arguments.radius,
        filters=arguments.filter,
        strategy=arguments.strategy,
    )
    reply = asyncio.run(run_query(settings, request))
    if arguments.json:
        print_line(reply.to_json())
    else:
        print_reply(reply, Console())
    return EXIT_OK


def _add_pairs(subcommands: Subcommands) -> None:
    command = add_command(
        subcommands,
        "pairs",
        _pairs,
        "Print all pairs of near-duplicate images in the window.",
        "examples:\n  searcher pairs --radius 8\n  searcher pairs --radius 4 --json > pairs.jsonl",
    )
    command.add_argument("--radius", type=int, required=True, metavar="R", help="largest distance of a pair, in bits")
    command.add_argument("--json", action="store_true", help="print JSON Lines")


def _pairs(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    for distance, image_id, other in pairs(settings, arguments.radius, datetime.now(UTC)):
        found = {"distance": distance, "image_id": image_id, "other": other}
        print_line(json.dumps(found) if arguments.json else f"{distance}\t{printable(image_id)}\t{printable(other)}")
    return EXIT_OK


def _add_hubs(subcommands: Subcommands) -> None:
    command = add_command(
        subcommands,
        "hubs",
        _hubs,
        "Print the images that are near very many others: placeholders, white pages, logos.",
        "They come up in every search. Write their ids into a file and name it in CATALOGUE_HOLD_BACK_FILE: they are\n"
        "then left out of all hits.\n\n"
        "examples:\n  searcher hubs --radius 20\n  searcher hubs --radius 20 --count 50 --ids > held-back.txt",
    )
    command.add_argument("--radius", type=int, required=True, metavar="R", help="how near others are counted, in bits")
    command.add_argument(
        "--count", type=positive, default=20, metavar="N", help="images, at most (default: %(default)s)"
    )
    output = command.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print JSON Lines")
    output.add_argument("--ids", action="store_true", help="print the ids alone, one a line")


def _hubs(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    for others, image_id in hubs(settings, arguments.radius, arguments.count, datetime.now(UTC)):
        if arguments.json:
            print_line(json.dumps({"image_id": image_id, "near": others}))
        else:
            print_line(image_id if arguments.ids else f"{others}\t{printable(image_id)}")
    return EXIT_OK


def _add_evaluate(subcommands: Subcommands) -> None:
    command = add_command(
        subcommands,
        "evaluate",
        _evaluate,
        "Measure the quality of retrieval: index a collection, ask, and write a report.",
        "Indexes through the indexer's own commands into an index in the out folder, or with --store-url into that\n"
        "store, and asks through the searcher. The same command goes on where an interrupted one ended.\n"
        "EVALUATION.md tells more.\n\n"
        "examples:\n"
        "  searcher evaluate --dataset clothing --methods float,itq:256,itq:64 --embedder onnx:network.onnx\n"
        "  searcher evaluate --dataset ~/flowers --knn 5 --embedder classic\n"
        "  searcher evaluate --dataset shop.csv --queries view=street --relevance item_id\n"
        "  searcher evaluate --recipe deploy/recipes/cifar10-elasticsearch.toml --limit 2000",
    )
    command.add_argument(
        "--dataset", metavar="DATASET", help="a folder of classes, a CSV file, clothing, magento, cifar10"
    )
    command.add_argument(
        "--data",
        type=Path,
        default=Path("../shared/data"),
        metavar="DIR",
        help="where the named collections lie (default: %(default)s)",
    )
    command.add_argument(
        "--queries",
        metavar="WHICH",
        help="a number of indexed pictures, or all, each left out of its own hits; held-out:N, "
        "COLUMN=VALUE[,VALUE], a split's name, or a CSV file: these are not indexed",
    )
    command.add_argument("--gallery", metavar="COLUMN=VALUE", help="what is indexed (default: all that is no query)")
    command.add_argument("--only", metavar="COLUMN=VALUE", help="of the queries, only these")
    command.add_argument("--relevance", metavar="COLUMN[,…]", help="relevant is what is equal in these (category)")
    command.add_argument(
        "--methods",
        metavar="METHOD[,…]",
        help="float, float-pca:DIMENSIONS, float-elasticsearch (with --store-url), BINARIZER:BITS, learned:BITS, "
        "tuned:BITS (default: float,itq:256,hyperplanes:64)",
    )
    command.add_argument("--variants", metavar="NAME[,…]", help="of the recipe's variants, only these")
    command.add_argument("--train", metavar="OPTIONS", help="options for `indexer train`, in one argument")
    command.add_argument("--tune", metavar="OPTIONS", help="the same for `indexer train --fine-tune`")
    command.add_argument("--limit", type=positive, metavar="N", help="pictures on each side, at most")
    command.add_argument("--k", type=positive, metavar="K", help="hits of a query (default: 100)")
    command.add_argument("--knn", type=positive, metavar="N", help="tell classes by a vote of N hits, too")
    command.add_argument("--seed", type=int, metavar="N", help="of all random choices (default: 0)")
    command.add_argument("--recipe", type=Path, metavar="FILE", help="options and settings; those given here go first")
    command.add_argument("--out", type=Path, metavar="DIR", help="folder of the report (default: evaluation/NAME)")
    command.add_argument("--json", action="store_true", help="print report.json")


def _evaluate(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    given = {field.name: getattr(arguments, field.name, None) for field in fields(Options)}
    plan = plan_of(Options(**given), arguments.recipe, flags_from(arguments), arguments.data, arguments.out)
    told = shlex.join(["searcher", *sys.argv[1:]])
    report = run_plan(plan, lambda overrides: load_settings(dict(overrides)), lambda: datetime.now(UTC), told)
    if arguments.json:
        print_line((plan.out / "report.json").read_text().rstrip())
    else:
        print_report(report, Console())
        print_line(f"Plots, pictures and figures: {plan.out / 'report.md'}")
    return EXIT_OK


def _add_distance(subcommands: Subcommands) -> None:
    command = add_command(
        subcommands,
        "distance",
        _distance,
        "Tell how far pictures are apart, and with labels which threshold tells same from different.",
        "QUERY and GALLERY are each a picture, a folder, or a CSV file with a column path. Distances are in bits\n"
        "of the active encoder's codes, or with --float 1 - cosine of the embeddings, without an index.\n\n"
        "examples:\n"
        "  searcher distance one.jpg other.jpg\n"
        "  searcher distance probes/ people/ --false-accept-rate 0.001      a folder for each person\n"
        "  searcher distance probes.csv people.csv --label person --float --json",
    )
    command.add_argument("query", type=Path, metavar="QUERY", help="a picture, a folder, or a CSV file")
    command.add_argument("gallery", type=Path, metavar="GALLERY", help="the same, to compare with")
    command.add_argument("--float", action="store_true", dest="use_float", help="compare embeddings, not codes")
    command.add_argument(
        "--label",
        default="category",
        metavar="COLUMN[,…]",
        help="what is equal in pictures of the same (default: category, which is the folder)",
    )
    command.add_argument(
        "--false-accept-rate",
        type=float,
        default=0.001,
        metavar="RATE",
        help="share of different pairs that the threshold may accept (default: %(default)s)",
    )
    command.add_argument("--json", action="store_true", help="print all pairs and the ROC as JSON")


def _distance(arguments: argparse.Namespace) -> int:
    settings = settings_from(arguments)
    configure_logs(settings.log_format, settings.log_level)
    label, rate = arguments.label.split(","), arguments.false_accept_rate
    found = measure_distances(settings, arguments.query, arguments.gallery, use_float=arguments.use_float, label=label)
    if arguments.json:
        print_line(as_json(found, rate))
    else:
        print_distances(found, rate, Console())
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
