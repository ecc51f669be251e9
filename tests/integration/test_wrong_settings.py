"""What can be set wrongly, and how each program says so: exit code 2 at once, one line that names the setting (F32)."""

import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

import indexer.__main__
import searcher.__main__
from tests.conftest import free_port
from tests.programs import programs

WORK: dict[str, tuple[Callable[[list[str]], int], list[str]]] = {
    "run": (indexer.__main__.main, ["run"]),
    "fit": (indexer.__main__.main, ["fit"]),
    "produce": (indexer.__main__.main, ["produce", "--demo", "1"]),
    "dead-letters": (indexer.__main__.main, ["dead-letters", "list"]),
    "serve": (searcher.__main__.main, ["serve"]),
    "query": (searcher.__main__.main, ["query", "--code", "00"]),
}
EVERYWHERE = tuple(WORK)
SECRET = "hunter2"

# What is set (names without the prefix), what the line has to name, and the commands that meet it.
WRONG: list[tuple[dict[str, str], str, tuple[str, ...]]] = [
    # Unknown names, wrong types, values out of bounds: every command
    ({"wimdow_months": "3"}, "CATALOGUE_WIMDOW_MONTHS", EVERYWHERE),
    ({"window_months": "0"}, "CATALOGUE_WINDOW_MONTHS", EVERYWHERE),
    ({"window_months": "three"}, "CATALOGUE_WINDOW_MONTHS", EVERYWHERE),
    ({"http_port": "80000"}, "CATALOGUE_HTTP_PORT", EVERYWHERE),
    ({"thumbnails": "perhaps"}, "CATALOGUE_THUMBNAILS", EVERYWHERE),
    ({"fetch_seconds": "0"}, "CATALOGUE_FETCH_SECONDS", EVERYWHERE),
    ({"decode_memory_bytes": "1"}, "CATALOGUE_DECODE_MEMORY_BYTES", EVERYWHERE),
    ({"log_level": "loud"}, "CATALOGUE_LOG_LEVEL", EVERYWHERE),
    ({"bits": "100"}, "CATALOGUE_BITS", EVERYWHERE),
    ({"binarizer": "lsh"}, "CATALOGUE_BINARIZER", EVERYWHERE),
    ({"group": ""}, "CATALOGUE_GROUP", EVERYWHERE),
    ({"compute": "float16"}, "CATALOGUE_COMPUTE", EVERYWHERE),
    ({"kafka_session_seconds": "1"}, "CATALOGUE_KAFKA_SESSION_SECONDS", EVERYWHERE),
    ({"elasticsearch_replicas": "many"}, "CATALOGUE_ELASTICSEARCH_REPLICAS", EVERYWHERE),
    # A secret's file that is missing
    ({"kafka_password_file": "/no/such/secret"}, "/no/such/secret", EVERYWHERE),
    ({"elasticsearch_api_key_file": "/no/such/secret"}, "/no/such/secret", EVERYWHERE),
    # URLs
    ({"store_url": "mongodb://host"}, "CATALOGUE_STORE_URL", ("run", "fit", "query")),
    ({"store_url": "sqlite://relative.db"}, "CATALOGUE_STORE_URL", ("run", "fit", "query")),
    ({"store_url": "elasticsearch://host:port"}, "CATALOGUE_STORE_URL", ("run", "fit", "query")),
    ({"store_url": f"elasticsearch://u:{SECRET}@host"}, "CATALOGUE_ELASTICSEARCH_API_KEY", ("run", "fit", "query")),
    ({"store_url": "sqlite:///proc/no/such.db"}, "CATALOGUE_STORE_URL", ("run", "fit", "query")),
    ({"events_url": "nowhere"}, "CATALOGUE_EVENTS_URL", ("run", "produce", "dead-letters")),
    ({"events_url": "kafka://host"}, "CATALOGUE_EVENTS_URL", ("run", "produce", "dead-letters")),
    ({"events_url": "kafka://host:99999/topic"}, "CATALOGUE_EVENTS_URL", ("run", "produce", "dead-letters")),
    ({"events_url": f"kafka://u:{SECRET}@host/topic"}, "CATALOGUE_EVENTS_URL", ("run", "produce", "dead-letters")),
    ({"events_url": "file:///"}, "CATALOGUE_EVENTS_URL", ("run", "produce", "dead-letters")),
    ({"fetch_allowed_hosts": "http://host/"}, "CATALOGUE_FETCH_ALLOWED_HOSTS", ("run", "fit")),
    ({"resident_documents_folder": "/no/such/folder"}, "CATALOGUE_RESIDENT_DOCUMENTS_FOLDER", ("serve",)),
    # The network and its file
    ({"embedder": "vgg19"}, "CATALOGUE_EMBEDDER", ("run", "serve")),
    ({"embedder": "onnx:/no/such/file.onnx"}, "/no/such/file.onnx", ("run", "serve")),
    ({"embedder": "vgg16", "weights": "/no/such/weights.pth"}, "/no/such/weights.pth", ("run", "serve")),
    # Settings that do not go together
    (
        {"events_url": "kafka://127.0.0.1:1/t", "kafka_security_protocol": "SASL_SSL"},
        "CATALOGUE_KAFKA_USERNAME",
        ("run", "produce"),
    ),
    (
        {"events_url": "kafka://127.0.0.1:1/t", "kafka_security_protocol": "SASL_PLAINTEXT", "kafka_username": "u"},
        "CATALOGUE_KAFKA_PASSWORD",
        ("run", "produce"),
    ),
    (
        {
            "events_url": "kafka://127.0.0.1:1/t",
            "kafka_security_protocol": "SASL_PLAINTEXT",
            "kafka_sasl_mechanism": "OAUTHBEARER",
        },
        "CATALOGUE_KAFKA_OAUTH_TOKEN_FILE",
        ("run", "produce"),
    ),
    (
        {
            "events_url": "kafka://127.0.0.1:1/t",
            "kafka_security_protocol": "SSL",
            "kafka_ca_file": "/no/such/certificates",
        },
        "CATALOGUE_KAFKA_CA_FILE",
        ("run", "produce"),
    ),
    ({"http_host": "192.0.2.1", "trusted_proxies": "192.0.2.2"}, "CATALOGUE_HTTP_PORT", ("serve",)),
    # Nobody to ask who they are
    ({"http_host": "0.0.0.0"}, "searcher keys create", ("serve",)),
    ({"http_host": "::"}, "CATALOGUE_HTTP_HOST", ("serve",)),
    ({"trusted_proxies": "10.0.0.0/8/8"}, "CATALOGUE_TRUSTED_PROXIES", ("serve",)),
    ({"trusted_proxies": "10.0.0.1", "group_scopes": "boss=all"}, "CATALOGUE_GROUP_SCOPES", ("serve",)),
    ({"workbench_url": "sqlite:///proc/no/such.db"}, "CATALOGUE_WORKBENCH_URL", ("serve",)),
    ({"metrics_host": "192.0.2.1"}, "CATALOGUE_METRICS_PORT", ("run",)),
]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Undo what a program sets for its whole process, and let none hang."""

    def end(*_: object) -> None:
        raise TimeoutError("the program goes on in spite of a wrong setting")

    root = logging.getLogger()
    handlers, level, before = root.handlers, root.level, signal.signal(signal.SIGALRM, end)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param((settings, named, command), id=f"{command}-{'-'.join(settings)}-{number}")
        for number, (settings, named, commands) in enumerate(WRONG)
        for command in commands
    ],
)
def test_f32_a_wrong_setting_ends_with_2_and_one_line_that_names_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    case: tuple[dict[str, str], str, str],
) -> None:
    settings, named, command = case
    main, arguments = WORK[command]
    for name, value in programs(tmp_path, **settings).settings.items():
        monkeypatch.setenv(f"CATALOGUE_{name.upper()}", value)
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert named in told.splitlines()[-1]
    assert len(told.splitlines()) == 1
    assert SECRET not in told
    assert "Traceback" not in told


@pytest.mark.parametrize("program", ["indexer run", "indexer fit", "searcher serve"])
def test_f32_a_program_says_it_before_it_loads_its_network(tmp_path: Path, program: str) -> None:
    """A missing weights file is told without the seconds that importing the network's library takes."""
    made = programs(tmp_path, embedder="vgg16", weights="/no/such/weights.pth", http_port=str(free_port()))
    made.append([{"image_id": "a", "event_time": "2026-11-01T00:00:00Z", "image": {"url": "https://host/a.jpg"}}])
    refused = made.run(*program.split(), timeout=60, options=("-X", "importtime"))
    assert refused.returncode == 2
    assert "/no/such/weights.pth" in refused.stderr
    assert "torch" not in [line.rpartition("|")[2].strip() for line in refused.stderr.splitlines()]
