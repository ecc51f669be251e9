"""Where events, images and cases are kept, and how to get in."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr


class ServerSettings(BaseModel):
    """Where events, images and cases are kept, and how to get in."""

    events_url: str = Field(
        "file:catalogue/events.jsonl",
        description="Event source: kafka://host:9092/topic (several hosts with commas) or file:///path/events.jsonl.",
    )
    store_url: str = Field(
        "sqlite:catalogue/catalogue.db",
        description="Store: elasticsearch://host:9200 (elasticsearchs:// with TLS, several hosts with commas) or "
        "sqlite:///path/catalogue.db.",
    )
    group: str = Field(
        "catalogue-indexer", min_length=1, description="Consumer group; workers of one group share the work."
    )
    window_months: int = Field(3, ge=1, le=120, description="Calendar months for which an image stays visible.")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism, where the protocol has SASL."
    )
    kafka_username: str | None = Field(None, description="User for PLAIN and SCRAM.")
    kafka_password: SecretStr | None = Field(None, description="Password for PLAIN and SCRAM.")
    kafka_password_file: Path | None = Field(None, description="File that holds the password.")
    kafka_oauth_token_file: Path | None = Field(
        None, description="File that holds the OAUTHBEARER token; read again whenever a token is needed."
    )
    kafka_ca_file: Path | None = Field(None, description="Certificates that sign the brokers'; default: the system's.")
    kafka_certificate_file: Path | None = Field(None, description="Client certificate (mutual TLS).")
    kafka_key_file: Path | None = Field(None, description="Client key (mutual TLS).")
    kafka_session_seconds: float = Field(
        10.0, ge=6, le=300, description="A worker silent for so long loses its partitions to the others."
    )
    kafka_partitions: int = Field(6, ge=1, le=10_000, description="Partitions of a topic that produce has to make.")
    kafka_replication: int = Field(
        -1, ge=-1, le=10, description="Replicas of a topic that is made; -1: the broker's default."
    )
    elasticsearch_api_key: SecretStr | None = Field(None, description="API key.")
    elasticsearch_api_key_file: Path | None = Field(None, description="File that holds the API key.")
    elasticsearch_ca_file: Path | None = Field(
        None, description="Certificates that sign the servers'; default: the system's."
    )
    elasticsearch_seconds: float = Field(30.0, gt=0, le=600, description="Seconds for one request.")
    elasticsearch_replicas: str = Field(
        "0-1",
        pattern=r"^\d+(-\d+)?$",
        description="Replicas of a monthly index: a count, or a range that follows the nodes.",
    )
    elasticsearch_hnsw: bool = Field(
        False,
        description="Whether monthly indices that are made from now on keep a graph for approximate searches beside "
        "the exact codes (strategy `hnsw`); writing becomes several times slower.",
    )
    workbench_url: str = Field(
        "sqlite:catalogue/workbench.db",
        description="Database of the searcher's cases and judgements: sqlite:///path/workbench.db, or "
        "postgresql://user@host/database where several searchers run.",
    )
    workbench_password: SecretStr | None = Field(None, description="Password for PostgreSQL.")
    workbench_password_file: Path | None = Field(None, description="File that holds the password.")
    workbench_seconds: float = Field(
        5.0, gt=0, le=300, description="Seconds that a request may wait for that database."
    )
