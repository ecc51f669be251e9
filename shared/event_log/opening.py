"""The logs that the settings name: the event source by CATALOGUE_EVENTS_URL, and the worker's own logs beside it."""

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import structlog

from shared.errors import ConfigurationError
from shared.event_log import LogReader, LogScanner, LogWriter, PublishedWriter
from shared.event_log.json_lines import JsonLinesLog, JsonLinesReader, JsonLinesScanner
from shared.event_log.json_lines_writer import JsonLinesWriter
from shared.event_log.kafka_options import KafkaTopic
from shared.event_log.line_format import EnvelopeLines, PlainLines, PublishedLines
from shared.settings import Settings
from shared.settings.kinds import MEBIBYTE

# Kafka allows 249 characters, and the topic of the dead letters has a longer name.
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,236}")
_SERVER = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?")
_KAFKA_PORT = 9092


def open_reader(settings: Settings) -> LogReader:
    """The event source, read as the group CATALOGUE_GROUP."""
    return _reader(_events(settings), settings.group, settings)


def open_scanner(settings: Settings) -> LogScanner:
    """The event source, from its start."""
    return _scanner(_events(settings), settings)


def open_writer(settings: Settings) -> LogWriter:
    """The event source, to append to."""
    return _writer(_events(settings), settings)


def open_dead_letter_reader(settings: Settings) -> LogReader:
    """The dead letters, read as the group that replays them."""
    return _reader(_dead_letters(settings), f"{settings.group}.dead-letters-replay", settings)


def open_dead_letter_scanner(settings: Settings) -> LogScanner:
    """The dead letters, from the first one."""
    return _scanner(_dead_letters(settings), settings)


def open_dead_letter_writer(settings: Settings) -> LogWriter:
    """The dead letters, to append to."""
    # Whoever writes these has opened a reader first: only there are refused credentials a mistake in the settings.
    return _writer(_dead_letters(settings), settings, let_in=True)


def open_retry_reader(settings: Settings) -> LogReader:
    """The retries, read as a group of their own."""
    return _reader(_retries(settings), f"{settings.group}.retries", settings)


def open_retry_scanner(settings: Settings) -> LogScanner:
    """The retries, from the first one."""
    return _scanner(_retries(settings), settings)


def open_retry_writer(settings: Settings) -> LogWriter:
    """The retries, to append to."""
    return _writer(_retries(settings), settings, let_in=True)


def open_match_reader(settings: Settings, group: str) -> LogReader:
    """The matches, read as this group."""
    return _reader(_matches(settings), group, settings)


def open_match_scanner(settings: Settings) -> LogScanner:
    """The matches, from the first one."""
    return _scanner(_matches(settings), settings)


def open_match_writer(settings: Settings) -> LogWriter:
    """The matches, to append to."""
    return _writer(_matches(settings), settings, let_in=True)


def open_published_writer(settings: Settings, stream: str) -> PublishedWriter:
    """What others are told in this stream (alerts, decisions), to append to."""
    return _writer(_published(stream, settings), settings)


def open_published_scanner(settings: Settings, stream: str) -> LogScanner:
    """What others were told in this stream."""
    return _scanner(_published(stream, settings), settings)


def _reader(log: JsonLinesLog | KafkaTopic, group: str, settings: Settings) -> LogReader:
    if isinstance(log, JsonLinesLog):
        return JsonLinesReader(log, group, structlog.get_logger())
    # Imported here, and below, so that the embedded default starts without the client.
    from shared.event_log.kafka_reader import KafkaReader  # noqa: PLC0415

    return KafkaReader(log, group, settings, structlog.get_logger())


def _scanner(log: JsonLinesLog | KafkaTopic, settings: Settings) -> LogScanner:
    if isinstance(log, JsonLinesLog):
        return JsonLinesScanner(log)
    from shared.event_log.kafka_scanner import KafkaScanner  # noqa: PLC0415

    return KafkaScanner(log, settings)


def _writer(log: JsonLinesLog | KafkaTopic, settings: Settings, *, let_in: bool = False) -> PublishedWriter:
    if isinstance(log, JsonLinesLog):
        return JsonLinesWriter(log)
    from shared.event_log.kafka_writer import KafkaWriter  # noqa: PLC0415

    return KafkaWriter(log, settings, let_in=let_in)


def _events(settings: Settings) -> JsonLinesLog | KafkaTopic:
    url = _split(settings)
    # What a line or a record may hold fits a dead letter, so that no event that can be read halts the worker.
    if url.scheme == "kafka":
        return KafkaTopic(_servers(url), _topic(url), settings.dead_letter_bytes_max, {})
    return JsonLinesLog(_path(url), PlainLines(), settings.dead_letter_bytes_max)


def _dead_letters(settings: Settings) -> JsonLinesLog | KafkaTopic:
    return _beside_the_events("dead-letters", settings)


def _retries(settings: Settings) -> JsonLinesLog | KafkaTopic:
    return _beside_the_events("retries", settings)


def _matches(settings: Settings) -> JsonLinesLog | KafkaTopic:
    return _beside_the_events("matches", settings)


def _published(stream: str, settings: Settings) -> JsonLinesLog | KafkaTopic:
    url = _split(settings)
    if url.scheme == "kafka":
        # How long others may take to read it is the brokers' to say.
        return KafkaTopic(_servers(url), f"{_topic(url)}.{stream}", settings.dead_letter_bytes_max, {})
    path = _path(url)
    beside = path.with_name(f"{path.stem}.{stream}{path.suffix}")
    return JsonLinesLog(beside, PublishedLines(), settings.dead_letter_bytes_max)


def _beside_the_events(name: str, settings: Settings) -> JsonLinesLog | KafkaTopic:
    """A log of whole records that the worker itself writes."""
    url = _split(settings)
    if url.scheme == "kafka":
        # A dead letter stays until a person deletes it, and no retry and no match may go unread.
        configs = {"retention.ms": "-1"}
        return KafkaTopic(_servers(url), f"{_topic(url)}.{name}", settings.dead_letter_bytes_max, configs)
    path = _path(url)
    # In an envelope three bytes take four, and headers come on top.
    line_bytes_max = (settings.dead_letter_bytes_max + MEBIBYTE) * 4 // 3 + MEBIBYTE
    return JsonLinesLog(path.with_name(f"{path.stem}.{name}{path.suffix}"), EnvelopeLines(), line_bytes_max)


def _split(settings: Settings) -> SplitResult:
    try:
        return urlsplit(settings.events_url)
    except ValueError as error:
        raise _wrong_url() from error


def _path(url: SplitResult) -> Path:
    path = Path(unquote(url.path))
    if url.scheme != "file" or url.netloc or url.query or url.fragment or not path.name or "\0" in str(path):
        raise _wrong_url()
    if path.is_dir():
        raise ConfigurationError(f"CATALOGUE_EVENTS_URL: {path} is a folder, not a file")
    return path


def _topic(url: SplitResult) -> str:
    topic = url.path.removeprefix("/")
    if url.query or url.fragment or _TOPIC.fullmatch(topic) is None:
        raise _wrong_url()
    return topic


def _servers(url: SplitResult) -> list[str]:
    servers = []
    for server in url.netloc.split(","):
        match = _SERVER.fullmatch(server)
        if match is None or int(match[1] or _KAFKA_PORT) > 65535:
            raise _wrong_url()
        servers.append(server if match[1] else f"{server}:{_KAFKA_PORT}")
    return servers


def _wrong_url() -> ConfigurationError:
    # The URL is not quoted: somebody may have written a password into it.
    return ConfigurationError(
        "CATALOGUE_EVENTS_URL: expected kafka://host:9092/topic (several hosts with commas), file:///path/events.jsonl "
        "or file:relative/events.jsonl"
    )
