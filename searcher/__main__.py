"""The searcher's command line."""

import argparse
import asyncio
import sys
from pathlib import Path

from rich.console import Console

from searcher.querying import build_request, print_reply, run_query
from searcher.serving import run_server
from searcher.wire import DEFAULT_K
from shared.command_line import Subcommands, add_command, new_parser, run, settings_from
from shared.errors import EXIT_OK
from shared.logs import configure_logs


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
    command.add_argument("-k", type=int, default=DEFAULT_K, metavar="K", help="hits, at most (default: %(default)s)")
    command.add_argument("--radius", type=int, metavar="R", help="largest distance of a hit, in bits")
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
    )
    reply = asyncio.run(run_query(settings, request))
    if arguments.json:
        print(reply.to_json())  # noqa: T201 (the result)
    else:
        print_reply(reply, Console())
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
