"""What the settings decide about a Kafka client, checked before a broker is asked."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import ConfigurationError
from shared.settings import Settings

# No call blocks for much longer than these, so that the caller can wait, stop, and say what it waits for.
BOOTSTRAP_SECONDS = 3.0
REQUEST_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class KafkaTopic:
    """A topic and how it is made where it is missing: `configs` are topic settings, sizes are in bytes."""

    servers: Sequence[str]
    name: str
    record_bytes_max: int
    configs: Mapping[str, str]

    @property
    def message_bytes_max(self) -> int:
        """A whole message: headers and framing come on top of a record's content."""
        return self.record_bytes_max + 1024 * 1024


def client_options(servers: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Options that every client shares; ConfigurationError names the setting that can't be."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(servers),
        "client_id": "catalogue",
        "bootstrap_timeout_ms": int(BOOTSTRAP_SECONDS * 1000),
        "request_timeout_ms": int(REQUEST_SECONDS * 1000),
        "reconnect_backoff_max_ms": 1000,
        # A topic or partition that is made later is found within this time.
        "metadata_max_age_ms": 5000,
        # A frame holds at least one record, however large; what a record may take is the topic's decision.
        "receive_message_max_bytes": 2**31 - 1,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = tls_context(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        if settings.kafka_sasl_mechanism == "OAUTHBEARER":
            _check_token_file(settings)
        else:
            options |= _password_options(settings)
    return options


def tls_context(settings: Settings) -> ssl.SSLContext:
    """TLS 1.2 or newer; the brokers' names and certificates are checked."""
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"CATALOGUE_KAFKA_CA_FILE: {settings.kafka_ca_file}: {error}") from error
    if settings.kafka_certificate_file is not None:
        try:
            context.load_cert_chain(settings.kafka_certificate_file, settings.kafka_key_file)
        except (OSError, ssl.SSLError) as error:
            files = f"{settings.kafka_certificate_file}, {settings.kafka_key_file}"
            raise ConfigurationError(
                f"CATALOGUE_KAFKA_CERTIFICATE_FILE, CATALOGUE_KAFKA_KEY_FILE: {files}: {error}"
            ) from error
    return context


def _check_token_file(settings: Settings) -> None:
    path = settings.kafka_oauth_token_file
    if path is None or not path.is_file():
        raise ConfigurationError(
            f"CATALOGUE_KAFKA_OAUTH_TOKEN_FILE: OAUTHBEARER needs a file with the token, not {path}"
        )


def _password_options(settings: Settings) -> dict[str, Any]:
    if settings.kafka_username is None:
        raise ConfigurationError(f"CATALOGUE_KAFKA_USERNAME: {settings.kafka_sasl_mechanism} needs one")
    if settings.kafka_password is None:
        raise ConfigurationError(f"CATALOGUE_KAFKA_PASSWORD: {settings.kafka_sasl_mechanism} needs one")
    return {
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": settings.kafka_password.get_secret_value(),
    }
