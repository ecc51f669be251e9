"""TLS and each SASL mechanism against a real broker, and what is said where one of them is wrong."""

import base64
import gc
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from kafka import KafkaAdminClient
from kafka.admin import UserScramCredentialUpsertion
from structlog import get_logger

from shared.errors import ConfigurationError, EventLogUnavailableError
from shared.event_log import NewRecord
from shared.event_log.kafka_options import KafkaTopic
from shared.event_log.kafka_reader import KafkaReader
from shared.event_log.kafka_scanner import KafkaScanner
from shared.event_log.kafka_writer import KafkaWriter
from shared.settings import Settings
from tests.conftest import free_port
from tests.kafka_server import SECRETS, KafkaServer, kafka_server
from tests.programs import get_status, metric, programs, until
from tests.tcp_proxy import TcpProxy

# The client leaves the sockets of failed connections to the garbage collector.
pytestmark = [pytest.mark.containers, pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")]

USER, PASSWORD = "catalogue", "correct horse"
PLAIN = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
OPTIONS = {
    "KAFKA_LISTENER_NAME_SECURE_SSL_KEYSTORE_TYPE": "PEM",
    "KAFKA_LISTENER_NAME_SECURE_SSL_KEYSTORE_LOCATION": f"{SECRETS}/broker.pem",
    "KAFKA_LISTENER_NAME_SECURE_SASL_ENABLED_MECHANISMS": "PLAIN,SCRAM-SHA-512,OAUTHBEARER",
    "KAFKA_LISTENER_NAME_SECURE_PLAIN_SASL_JAAS_CONFIG": PLAIN,
    "KAFKA_LISTENER_NAME_SECURE_SCRAM___SHA___512_SASL_JAAS_CONFIG": (
        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    ),
    "KAFKA_LISTENER_NAME_SECURE_OAUTHBEARER_SASL_JAAS_CONFIG": (
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
        'unsecuredLoginStringClaim_sub="broker";'
    ),
}


@pytest.fixture(autouse=True)
def collected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Collect such sockets while their warning is ignored; records of the client's log would keep them."""
    with caplog.at_level(logging.CRITICAL, "kafka"):
        yield
    gc.collect()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secured(
    docker: None, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[KafkaServer, TcpProxy]]:
    """A broker, and the network between its secure listener and the clients."""
    secrets = tmp_path_factory.mktemp("secrets")
    certificate = authority.issue_cert("127.0.0.1")
    key = load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    # Kafka reads PKCS #8 only; its user in the container is another than ours.
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (secrets / "broker.pem").write_bytes(pem + b"".join(part.bytes() for part in certificate.cert_chain_pems))
    secrets.chmod(0o755)
    (secrets / "broker.pem").chmod(0o644)
    port = free_port()
    with kafka_server(secrets, OPTIONS, advertised_secure_port=port) as started:
        with closing(KafkaAdminClient(bootstrap_servers=started.plain)) as admin:
            admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, "SCRAM-SHA-512", PASSWORD)])
        with TcpProxy("127.0.0.1", int(started.secure.rpartition(":")[2]), port) as network:
            network.open()
            yield replace(started, secure=f"127.0.0.1:{port}"), network


@pytest.fixture
def server(secured: tuple[KafkaServer, TcpProxy]) -> KafkaServer:
    return secured[0]


@pytest.fixture
def network(secured: tuple[KafkaServer, TcpProxy]) -> TcpProxy:
    return secured[1]


@pytest.fixture
def settings(authority: trustme.CA, tmp_path: Path) -> dict[str, Any]:
    """Right settings for PLAIN and SCRAM."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return {
        "kafka_security_protocol": "SASL_SSL",
        "kafka_ca_file": tmp_path / "ca.pem",
        "kafka_username": USER,
        "kafka_password": PASSWORD,
    }


def topic_of(server: KafkaServer) -> KafkaTopic:
    return KafkaTopic([server.secure], f"secure-{uuid.uuid4().hex}", 1024 * 1024, {})


def round_trip(topic: KafkaTopic, settings: Settings) -> list[bytes | None]:
    with closing(KafkaWriter(topic, settings)) as writer, closing(KafkaScanner(topic, settings)) as scanner:
        writer.append([NewRecord(b"key", b"value")])
        return [record.value for record in scanner.scan()]


def token(expires_in: float) -> str:
    """An unsigned token, which a broker without a validator of its own takes."""
    parts = ({"alg": "none"}, {"sub": USER, "iat": time.time() - 120, "exp": time.time() + expires_in})
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), ""])


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_password_goes_over_tls(server: KafkaServer, settings: dict[str, Any], mechanism: str) -> None:
    assert round_trip(topic_of(server), Settings(**settings, kafka_sasl_mechanism=mechanism)) == [b"value"]


def test_a_token_is_read_from_its_file_whenever_it_is_needed(
    server: KafkaServer, settings: dict[str, Any], tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(token(expires_in=-60))
    topic = topic_of(server)
    oauth = Settings(**settings, kafka_sasl_mechanism="OAUTHBEARER", kafka_oauth_token_file=token_file)
    with closing(KafkaWriter(topic, oauth)) as writer:
        with pytest.raises(EventLogUnavailableError, match="CATALOGUE_KAFKA_OAUTH_TOKEN_FILE"):
            writer.append([NewRecord(b"key", b"value")])
        token_file.write_text(token(expires_in=600))
        writer.append([NewRecord(b"key", b"value")])
    assert len(round_trip(topic, oauth)) == 2


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_wrong_password_is_told_by_the_names_of_the_settings(
    server: KafkaServer, settings: dict[str, Any], mechanism: str
) -> None:
    wrong = settings | {"kafka_password": "wrong", "kafka_sasl_mechanism": mechanism}
    with pytest.raises(ConfigurationError, match=r"^CATALOGUE_KAFKA_USERNAME, CATALOGUE_KAFKA_PASSWORD") as caught:
        round_trip(topic_of(server), Settings(**wrong))
    assert "wrong" not in str(caught.value)


def test_a_mechanism_that_the_broker_lacks_is_told_by_the_name_of_the_setting(
    server: KafkaServer, settings: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=r"^CATALOGUE_KAFKA_SASL_MECHANISM"):
        round_trip(topic_of(server), Settings(**settings, kafka_sasl_mechanism="SCRAM-SHA-256"))


def test_a_certificate_of_another_authority_is_told_by_the_name_of_the_setting(
    server: KafkaServer, settings: dict[str, Any], tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    with pytest.raises(ConfigurationError, match=r"^CATALOGUE_KAFKA_CA_FILE"):
        round_trip(topic_of(server), Settings(**(settings | {"kafka_ca_file": tmp_path / "other.pem"})))


# Credentials that are revoked later -----------------------------------------------------------------------------------


@pytest.fixture
def password(server: KafkaServer) -> Iterator[Callable[[str], None]]:
    """Change the password that the broker takes; the right one comes back after the test."""

    def change(password: str) -> None:
        with closing(KafkaAdminClient(bootstrap_servers=server.plain)) as admin:
            admin.alter_user_scram_credentials([UserScramCredentialUpsertion(USER, "SCRAM-SHA-512", password)])

    yield change
    change(PASSWORD)


def test_a_password_that_is_changed_freezes_a_worker_until_its_file_has_the_new_one(
    server: KafkaServer,
    network: TcpProxy,
    settings: dict[str, Any],
    password: Callable[[str], None],
    tmp_path: Path,
) -> None:
    """F09: the position holds, the worker says what it waits for, and goes on without a restart."""
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    topic = topic_of(server).name
    text = {name: str(value) for name, value in settings.items() if name != "kafka_password"}
    job = programs(
        tmp_path,
        events_url=f"kafka://{server.secure}/{topic}",
        kafka_password_file=str(file),
        kafka_session_seconds="6",
        retry_seconds_max="1",
        **text,
    )
    job.ok("indexer", "produce", "--demo", "8")
    job.ok("indexer", "fit", "--sample", "20")
    port = job.settings["metrics_port"]
    done = partial(metric, port, "catalogue_indexer_records_total")
    waiting = partial(metric, port, 'catalogue_indexer_waiting{dependency="event_log"}')
    with job.running("indexer", "run") as worker:
        until(lambda: done() > 0 and waiting() == 0, 60, "the records", worker)
        until(lambda: sum(committed(server, topic).values()) == done(), 60, "the commit", worker)
        before = committed(server, topic)
        password("changed")
        network.reset()
        until(lambda: waiting() == 1, 60, "the refusal", worker)
        assert get_status(f"http://127.0.0.1:{port}/readyz") == 503
        assert get_status(f"http://127.0.0.1:{port}/livez") == 200
        file.write_text("changed")
        job.ok("indexer", "produce", "--demo", "9")
        until(lambda: waiting() == 0 and done() > sum(before.values()), 60, "the records after it", worker)
    assert "CATALOGUE_KAFKA_PASSWORD_FILE is read again" in (tmp_path / "indexer.log").read_text()


def committed(server: KafkaServer, topic: str) -> dict[str, int]:
    """The committed offsets of the workers' group, asked without credentials."""
    plain = KafkaTopic([server.plain], topic, 1024 * 1024, {})
    with closing(KafkaReader(plain, "catalogue-indexer", Settings(), get_logger())) as reader:
        return dict(reader.committed_positions())


@pytest.mark.parametrize("let_in", [False, True])
def test_a_password_that_is_refused_later_is_an_outage_for_a_writer_too(
    server: KafkaServer, settings: dict[str, Any], password: Callable[[str], None], tmp_path: Path, let_in: bool
) -> None:
    """F09, for dead letters: a writer connects anew, or for the first time in a process where others have connected."""
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    made = Settings(**(settings | {"kafka_password": None, "kafka_password_file": file}))
    with closing(KafkaWriter(topic_of(server), made, let_in=let_in)) as writer:
        if not let_in:
            writer.append([NewRecord(b"key", b"1")])
            writer.close()
        password("changed")
        with pytest.raises(EventLogUnavailableError, match="CATALOGUE_KAFKA_PASSWORD_FILE is read again"):
            writer.append([NewRecord(b"key", b"2")])
        file.write_text("changed")
        writer.append([NewRecord(b"key", b"3")])
