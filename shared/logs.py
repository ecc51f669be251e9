"""structlog, set up once by `__main__`: readable on a terminal, JSON lines in a container, always on standard error.

Log events are past-tense snake_case nouns with values as fields; nothing derived from a record's content but its ids.
"""

import logging
import sys
from typing import TextIO

import structlog
import structlog.tracebacks

# Without local variables: they hold events' content, and secrets.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def configure_logs(log_format: str, level: str, stream: TextIO = sys.stderr) -> None:
    """Send the project's and the libraries' logs to `stream` in one format."""
    as_json = log_format == "json" or (log_format == "auto" and not stream.isatty())
    shared_processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: list[structlog.typing.Processor] = (
        [_TRACEBACKS, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[*shared_processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared_processors,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # Libraries tell of every retry; the project says once what matters.
    for noisy in ("elastic_transport", "urllib3", "asyncio", "uvicorn.access", "aiohttp", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # This one calls every try an error, and a broker that is away is tried several times a second.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
