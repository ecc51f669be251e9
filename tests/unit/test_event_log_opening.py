"""Which log a URL names, and what is said of a URL or a setting that names none."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigurationError
from shared.event_log import NewRecord, opening
from shared.event_log.kafka_options import client_options
from shared.event_log.kafka_reader import KafkaReader
from shared.event_log.kafka_writer import KafkaWriter
from shared.settings import Settings

SASL: dict[str, Any] = {"kafka_security_protocol": "SASL_SSL", "kafka_username": "user", "kafka_password": "secret"}


@pytest.mark.parametrize("url", ["file://{folder}/events.jsonl", "file:{folder}/events.jsonl"])
def test_a_file_url_names_a_file_and_the_logs_beside_it(tmp_path: Path, url: str) -> None:
    settings = Settings(events_url=url.format(folder=tmp_path))
    opening.open_writer(settings).append([NewRecord(None, b"{}")])
    opening.open_dead_letter_writer(settings).append([NewRecord(None, b"{}")])
    opening.open_retry_writer(settings).append([NewRecord(b"key", b"{}", [("header", b"\xff")])])
    with closing(opening.open_retry_reader(settings)) as reader:
        (retry,) = reader.poll(10, 1).records
    assert (retry.key, retry.value, list(retry.headers)) == (b"key", b"{}", [("header", b"\xff")])
    opening.open_match_writer(settings).append([NewRecord(b"alert", b"{}")])
    for group in ("one", "other"):
        with closing(opening.open_match_reader(settings, group)) as reader:
            assert [record.key for record in reader.poll(10, 1).records] == [b"alert"]
    with closing(opening.open_match_scanner(settings)) as scanner:
        assert [record.key for record in scanner.scan()] == [b"alert"]
    opening.open_published_writer(settings, "alerts").append([NewRecord(b"alert", b'{"id":"alert"}')])
    assert (tmp_path / "events.alerts.jsonl").read_bytes() == b'{"id":"alert"}\n'
    with closing(opening.open_published_scanner(settings, "alerts")) as scanner:
        assert [record.value for record in scanner.scan()] == [b'{"id":"alert"}']
    (tmp_path / "events.alerts.jsonl").unlink()
    names = {path.name for path in tmp_path.iterdir() if path.suffix == ".jsonl"}
    assert names == {"events.jsonl", "events.dead-letters.jsonl", "events.retries.jsonl", "events.matches.jsonl"}


def test_a_relative_file_lies_under_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opening.open_writer(Settings(events_url="file:new/with%20space.jsonl")).append([NewRecord(None, b"{}")])
    assert (tmp_path / "new" / "with space.jsonl").read_bytes() == b"{}\n"


def test_a_kafka_url_names_a_topic_without_asking_a_broker() -> None:
    settings = Settings(events_url="kafka://nowhere.invalid,[::1]:9093/catalogue.events_1-a")
    for opened in (
        opening.open_reader(settings),
        opening.open_dead_letter_writer(settings),
        opening.open_retry_reader(settings),
        opening.open_retry_writer(settings),
    ):
        assert isinstance(opened, KafkaReader | KafkaWriter)
        opened.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "events.jsonl",
        "/tmp/events.jsonl",
        "http://host/topic",
        "file:",
        "file:///",
        "file://events.jsonl",
        "file://host/events.jsonl",
        "file:///events.jsonl?x=1",
        "file:///events.jsonl#x",
        "file:///a%00b",
        "kafka://host:9092",
        "kafka://host:9092/",
        "kafka:///topic",
        "kafka://host:9092/a/b",
        "kafka://host:9092/a b",
        "kafka://host:9092/..",
        "kafka://host:9092/" + "t" * 237,
        "kafka://host:99999/topic",
        "kafka://host:port/topic",
        "kafka://host,/topic",
        "kafka://[::1/topic",
        "kafka://user:secret@host:9092/topic",
        "kafka://host:9092/topic?group=a",
    ],
)
def test_another_url_is_refused_by_the_name_of_its_setting_and_not_repeated(url: str) -> None:
    for open_log in (opening.open_reader, opening.open_scanner, opening.open_dead_letter_writer):
        with pytest.raises(ConfigurationError, match=r"^CATALOGUE_EVENTS_URL: ") as caught:
            open_log(Settings(events_url=url))
        assert "secret" not in str(caught.value)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"CATALOGUE_EVENTS_URL: .* is a folder"):
        opening.open_reader(Settings(events_url=f"file://{tmp_path}"))


def test_the_embedded_default_starts_without_the_kafka_client() -> None:
    program = (
        "import sys; from shared.event_log import opening; from shared.settings import Settings;"
        "opening.open_reader(Settings()); assert 'kafka' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("changed", "setting"),
    [
        ({"kafka_username": None}, "CATALOGUE_KAFKA_USERNAME"),
        ({"kafka_password": None}, "CATALOGUE_KAFKA_PASSWORD"),
        ({"kafka_sasl_mechanism": "OAUTHBEARER"}, "CATALOGUE_KAFKA_OAUTH_TOKEN_FILE"),
        (
            {"kafka_sasl_mechanism": "OAUTHBEARER", "kafka_oauth_token_file": "/nowhere/token"},
            "CATALOGUE_KAFKA_OAUTH_TOKEN_FILE",
        ),
        ({"kafka_ca_file": "/nowhere/ca.pem"}, "CATALOGUE_KAFKA_CA_FILE"),
        ({"kafka_ca_file": __file__}, "CATALOGUE_KAFKA_CA_FILE"),
        ({"kafka_certificate_file": "/nowhere/client.pem"}, "CATALOGUE_KAFKA_CERTIFICATE_FILE"),
        ({"kafka_certificate_file": __file__}, "CATALOGUE_KAFKA_CERTIFICATE_FILE"),
    ],
)
def test_a_security_setting_that_can_not_be_is_refused_by_its_name(changed: dict[str, Any], setting: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{setting}") as caught:
        opening.open_writer(Settings(events_url="kafka://host/topic", **(SASL | changed)))
    assert "secret" not in str(caught.value)


def test_the_client_gets_what_the_settings_say() -> None:
    options = client_options(["host:9092"], Settings(**SASL, kafka_sasl_mechanism="PLAIN"))
    assert options["security_protocol"] == "SASL_SSL"
    assert options["ssl_context"].check_hostname
    assert (options["sasl_mechanism"], options["sasl_plain_username"], options["sasl_plain_password"]) == (
        "PLAIN",
        "user",
        "secret",
    )
    plain = client_options(["host:9092"], Settings())
    assert plain["security_protocol"] == "PLAINTEXT"
    assert not {"ssl_context", "sasl_mechanism"} & set(plain)
