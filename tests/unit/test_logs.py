"""Logs are one line an event, readable or JSON, and tell no local variables."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from shared.logs import configure_logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def logged(log_format: str, level: str = "info") -> str:
    """What an event, a library's message and an error print."""
    stream = io.StringIO()
    configure_logs(log_format, level, stream)
    log = structlog.get_logger()
    log.info("batch_indexed", records=3)
    log.debug("too_small")
    logging.getLogger("some.library").warning("careful")
    fail("hunter2", log)
    return stream.getvalue()


def fail(password: str, log: structlog.typing.FilteringBoundLogger) -> None:
    try:
        raise ZeroDivisionError(f"{len(password)} things")
    except ZeroDivisionError:
        log.exception("worker_failed")


def test_json_has_an_object_a_line_with_time_level_and_fields() -> None:
    lines = [json.loads(line) for line in logged("json").splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [
        ("batch_indexed", "info"),
        ("careful", "warning"),
        ("worker_failed", "error"),
    ]
    assert lines[0]["records"] == 3
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[2]["exception"][0]["exc_type"] == "ZeroDivisionError"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_error_is_told_without_local_variables(log_format: str) -> None:
    told = logged(log_format)
    assert "7 things" in told
    assert "hunter2" not in told


def test_auto_is_json_where_no_terminal_reads() -> None:
    assert json.loads(logged("auto").splitlines()[0])["event"] == "batch_indexed"


def test_the_level_hides_what_is_below_it() -> None:
    assert "batch_indexed" not in logged("json", "warning")
