"""Every setting of both processes: name, unit, default and reason. One `.env` serves both.

Only `__main__` builds a Settings; nothing else reads the environment. Precedence: a flag, then the environment, then
`.env`, then the default. A secret may come from a file: `CATALOGUE_KAFKA_PASSWORD_FILE` in place of
`CATALOGUE_KAFKA_PASSWORD`.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.errors import ConfigurationError
from shared.hash_code import validate_bits

MEBIBYTE = 1024 * 1024
ENV_FILE = ".env"
_SECRETS = ("kafka_password", "elasticsearch_api_key", "workbench_password", "webhook_secret")

Names = Annotated[tuple[str, ...], NoDecode]
"""A comma-separated list in the environment, a tuple in the code."""


class Settings(BaseSettings):
    """The settings; the README's table is made of these descriptions."""

    model_config = SettingsConfigDict(
        env_prefix="CATALOGUE_", env_file=ENV_FILE, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    # Where things are
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

    # Encoder
    embedder: str = Field(
        "vgg16",
        description="Network: vgg16 (layer fc7), vgg16:fc8, torchvision:NAME[#layer], timm:NAME, onnx:PATH[#output], "
        "classic (gradient and colour histograms, no weights), or bovw:PATH (a bag of visual words, PATH being what "
        "`indexer vocabulary` wrote).",
    )
    weights: str = Field(
        "imagenet",
        description="Weights of vgg16, torchvision: and timm: networks: imagenet (cached or downloaded), a path (a "
        "state dict, also as .safetensors), or random:SEED (for tests).",
    )
    onnx_pixels: Literal["signed", "unit", "imagenet"] = Field(
        "signed",
        description="What an ONNX network expects: signed (x/127.5-1), unit (x/255) or imagenet (unit, then mean and "
        "deviation of ImageNet).",
    )
    compute: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Number format of these networks when an encoder is fitted; auto: bfloat16 where the processor has "
        "it.",
    )
    device: str = Field(
        "auto", description="Device of these networks: auto (CUDA where there is one), cpu, cuda, cuda:1."
    )
    batch_size: int = Field(
        0,
        ge=0,
        le=4096,
        description="Pictures embedded at once; 0: what suits the network (VGG16: 8 on a CPU, 256 on a GPU). Equal in "
        "both processes.",
    )
    threads: int = Field(0, ge=0, le=1024, description="Threads of the network on a CPU; 0: one for each core.")

    colour_weight: float = Field(
        0,
        ge=0,
        le=4,
        description="Length of a colour histogram put beside the network's embedding, relative to it; 0: none. "
        ".5 to .7 finds the same article in the same colour. Equal in both processes.",
    )
    embedding_cache: Path | None = Field(
        None,
        description="File in which embeddings are kept and looked up, so that the same pictures cost the network once, "
        "whichever command embeds them; for one machine, any number of processes.",
    )
    embedding_cache_bytes_max: int = Field(
        4 * 1024**3,
        ge=MEBIBYTE,
        description="Bytes of that file, 3.1 KB a picture at 768 dimensions, 16.4 KB at 4,096; at this size nothing is "
        "added any more.",
    )

    # The worker's bounds
    in_flight_records_max: int = Field(
        512, ge=1, le=100_000, description="Records read and not yet done; at this number the reader pauses."
    )
    redone_records_max: int = Field(
        8192,
        ge=1,
        le=1_000_000,
        description="Records read and not yet committed, done or not: what a crash makes a worker redo at most. They "
        "add up behind a slow picture, and for a commit interval; at this number the reader pauses.",
    )
    in_flight_bytes_max: int = Field(
        256 * MEBIBYTE, ge=MEBIBYTE, description="Bytes of the records in flight; above it the reader pauses."
    )
    linger_seconds: float = Field(
        0.05, ge=0, le=10, description="Seconds that a batch waits for more records before it goes on unfilled."
    )
    write_linger_seconds: float = Field(
        0.15,
        ge=0,
        le=10,
        description="The same for a write: a request costs the store far more than a document in it.",
    )
    write_batch_size: int = Field(256, ge=1, le=10_000, description="Documents written at once, at most.")
    commit_interval_seconds: float = Field(
        1.0, ge=0, le=60, description="Seconds between commits: what a crash in between makes a worker do again."
    )
    drain_seconds: float = Field(25.0, ge=0, le=600, description="Seconds that SIGTERM leaves for records in flight.")
    retry_seconds_max: float = Field(
        10.0, gt=0, le=600, description="Longest pause between tries while a server is away."
    )
    event_bytes_max: int = Field(
        16 * MEBIBYTE,
        ge=1024,
        le=256 * MEBIBYTE,
        description="A larger event is a dead letter (an inline picture of 10 MiB takes 13.4 MiB).",
    )
    copy_codes: bool = Field(
        False,
        description="Keep a copy code (PDQ, 256 bits) with each image, by which `searcher duplicates` finds the same "
        "photo; needs the extra `copies`. It takes 5 to 10 ms of a decoding child for each picture.",
    )
    thumbnails: bool = Field(True, description="Keep a WebP thumbnail (longest side 256 pixels) with each image.")

    # Fetching and decoding
    fetch_allowed_hosts: Names = Field(
        (),
        description="Hosts that may resolve to private addresses, as host or host:port, separated by commas. Ports "
        "other than 80 and 443 are allowed for these only.",
    )
    fetch_public_hosts: bool = Field(
        True, description="Allow every host with a public address; false: only the named ones."
    )
    fetch_allowed_roots: Names = Field((), description="Folders that file: URLs of events may point into, with commas.")
    fetch_bytes_max: int = Field(10 * MEBIBYTE, ge=1024, le=256 * MEBIBYTE, description="Largest picture, in bytes.")
    fetch_seconds: float = Field(15.0, gt=0, le=300, description="Seconds for one whole fetch, redirects included.")
    fetch_connect_seconds: float = Field(5.0, gt=0, le=60, description="Seconds to connect.")
    fetch_redirects_max: int = Field(
        3, ge=0, le=10, description="Redirects followed; each is checked like a first URL."
    )
    fetch_concurrency: int = Field(64, ge=1, le=1000, description="Fetches at once.")
    fetch_concurrency_per_host: int = Field(8, ge=1, le=1000, description="Fetches at once from one host.")
    fetch_tries: int = Field(
        3, ge=1, le=20, description="Tries of a fetch that may succeed later (timeouts, 429, 5xx)."
    )
    fetch_retry_seconds: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="Seconds until a record whose tries failed so is tried again; no other record waits for it.",
    )
    fetch_retries: int = Field(
        5,
        ge=0,
        le=1000,
        description="How often; then it is a dead letter. Five, a minute apart, outlast a host's restart. 0: never.",
    )
    fetch_host_failures_max: int = Field(
        5, ge=1, le=1000, description="Such failures in a row after which a host is left alone for a while."
    )
    fetch_host_pause_seconds: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="For so many seconds; its fetches fail at once meanwhile, then a single one finds out how it is.",
    )
    image_pixels_max: int = Field(40_000_000, ge=10_000, le=200_000_000, description="Largest picture, in pixels.")
    decode_processes: int = Field(
        0, ge=0, le=256, description="Child processes that decode pictures; 0: one for each core."
    )
    decode_seconds: float = Field(
        10.0, gt=0, le=300, description="Seconds for one picture; a child that needs longer is killed."
    )
    decode_memory_bytes: int = Field(
        1024 * MEBIBYTE, ge=256 * MEBIBYTE, description="Address space of one decoding child."
    )

    # Searcher
    http_host: str = Field(
        "127.0.0.1",
        description="Address that the searcher listens on; another than loopback only once there is a key "
        "(`searcher keys create`), or behind a trusted proxy.",
    )
    http_port: int = Field(8080, ge=0, le=65535, description="Port that the searcher listens on; 0: any free one.")
    neighbours_max: int = Field(1000, ge=1, le=10_000, description="Largest k of a query.")
    upload_bytes_max: int = Field(
        16 * MEBIBYTE, ge=1024, le=256 * MEBIBYTE, description="Largest request body, in bytes."
    )
    search_seconds: float = Field(10.0, gt=0, le=300, description="Seconds that a query may wait for the store.")
    http_requests_max: int = Field(
        128, ge=1, le=10_000, description="Requests that the searcher answers at once; further ones get a 503."
    )
    trusted_proxies: Names = Field(
        (),
        description="Addresses or ranges (10.1.2.0/28), separated by commas, of a proxy that signs people in (such as "
        "oauth2-proxy) and says in headers who asks; from elsewhere these headers count for nothing.",
    )
    user_header: str = Field(
        "X-Forwarded-User", min_length=1, description="Header in which a trusted proxy names the user."
    )
    groups_header: str = Field(
        "X-Forwarded-Groups", min_length=1, description="Header in which it names the user's groups, with commas."
    )
    group_scopes: Names = Field(
        ("*=read",),
        description="What those groups may do: GROUP=SCOPE, separated by commas, with read, judge or administer; * is "
        "everybody whom the proxy lets in. The highest of a user's counts.",
    )

    # Watching
    metrics_host: str = Field("127.0.0.1", description="Address of the worker's /metrics, /livez and /readyz.")
    metrics_port: int = Field(9108, ge=0, le=65535, description="Port of the worker's /metrics, /livez and /readyz.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: readable on a terminal, JSON otherwise."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")

    # Kafka
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
    dead_letter_bytes_max: int = Field(
        64 * MEBIBYTE, ge=MEBIBYTE, description="Largest record that the dead letters take; beyond it the worker halts."
    )
    dead_letters_consecutive_max: int = Field(
        100,
        ge=0,
        le=1_000_000,
        description="Dead letters in a row after which the worker halts (exit 4): a producer's bad release, or a shop "
        "whose pictures are all gone, must not empty the source into the dead letters unseen. 0: no limit.",
    )
    dead_letters_share_max: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of dead letters among the last 1,000 records done above which it halts, too: a good record "
        "now and then hides no bad release. 0 or 1: no limit.",
    )

    # Elasticsearch
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

    # Searching in memory
    resident: bool = Field(
        True, description="Whether `searcher serve` keeps the window's codes in memory and searches there."
    )
    resident_bytes_max: int = Field(
        2 * 1024**3,
        ge=1024**2,
        le=1024**4,
        description="Bytes of memory for that, about 90 an image with codes of 256 bits; where the window needs more, "
        "the store is searched.",
    )
    resident_fields: Names = Field(
        (),
        description="Attributes, separated by commas, that are kept beside the codes, 4 bytes each an image, so that "
        "queries with filters on these alone are answered from memory too.",
    )
    resident_documents_bytes_max: int = Field(
        4 * 1024**3,
        ge=0,
        le=32 * 1024**3,
        description="Bytes of a file in which what hits show (item id, URL, attributes) is kept beside the codes, some "
        "100 to 300 an image, so that the store is not asked for it, and hits have it during an outage too. The store "
        "is asked for what does not fit; with 0 for all of it.",
    )
    resident_documents_folder: Path | None = Field(
        None,
        description="Folder of that file, by default the system's for temporary files; better on a disk than in memory "
        "(tmpfs). The file has no name, and goes with the process.",
    )
    resident_poll_seconds: float = Field(
        0.5, gt=0, le=60, description="Seconds between two looks for what changed in the store."
    )

    hold_back_file: Path | None = Field(
        None,
        description="File with image ids, one a line, that are left out of all hits: placeholders and others that are "
        "near very many images (`searcher hubs` finds them). Read at the start.",
    )

    # Workbench
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

    # Webhooks
    webhook_urls: Names = Field(
        (),
        description="URLs that alerts and decisions are posted to, separated by commas. They are shown and logged, so "
        "they hold no secret; private addresses must be named in CATALOGUE_FETCH_ALLOWED_HOSTS.",
    )
    webhook_secret: SecretStr | None = Field(
        None, description="What they are signed with: whsec_ and 24 to 64 random bytes in base64 (Standard Webhooks)."
    )
    webhook_secret_file: Path | None = Field(None, description="File that holds it.")
    webhook_seconds: float = Field(10.0, gt=0, le=60, description="Seconds that a receiver may take to answer.")
    webhook_tries: int = Field(
        10,
        ge=1,
        le=1000,
        description="Tries of a delivery, with pauses that double from 5 s; then it is kept as failed. Ten take 43 "
        "minutes.",
    )
    webhook_pause_seconds_max: float = Field(3600.0, gt=0, le=86_400, description="Longest of these pauses.")

    # Fitting
    bits: int = Field(256, description="Bits of a hash code, a multiple of 16 up to 4096; used by fit.")
    binarizer: Literal["itq", "pca-rotation", "hyperplanes", "hyperplanes-centred", "median"] = Field(
        "itq", description="How fit turns embeddings into bits."
    )

    @field_validator(
        "fetch_allowed_hosts",
        "fetch_allowed_roots",
        "resident_fields",
        "webhook_urls",
        "trusted_proxies",
        "group_scopes",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("bits")
    @classmethod
    def _multiple_of_a_subcode(cls, value: int) -> int:
        return validate_bits(value)

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in _SECRETS:
            path = values.get(f"{name}_file")
            if values.get(name):
                # The file is not where the secret comes from, and must not be read later either.
                values[f"{name}_file"] = None
            elif path:
                try:
                    values[name] = Path(path).read_text().strip()
                except OSError as error:
                    raise ValueError(f"{name}_file: {error.strerror}: {path}") from error
        return values

    def secret(
        self, name: Literal["kafka_password", "elasticsearch_api_key", "workbench_password", "webhook_secret"]
    ) -> str | None:
        """A secret as it is now: its file is read again, so that what an operator renews is used without a restart."""
        path: Path | None = getattr(self, f"{name}_file")
        known: SecretStr | None = getattr(self, name)
        if path is not None:
            # While a file is replaced it may be missing, or empty; then what was read at the start must do.
            with suppress(OSError):
                if text := path.read_text().strip():
                    return text
        return None if known is None else known.get_secret_value()


def load_settings(overrides: dict[str, Any]) -> Settings:
    """Settings from `overrides` (flags), the environment and `.env`; ConfigurationError names the first wrong one."""
    _refuse_unknown_variables()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        where = f"CATALOGUE_{name.removeprefix('CATALOGUE_')}: " if name else ""
        raise ConfigurationError(f"{where}{first['msg'].removeprefix('Value error, ')}") from error


def _refuse_unknown_variables() -> None:
    """Refuse a misspelt setting; other names in `.env` belong to the other programs that read it (docker compose)."""
    known = {f"CATALOGUE_{name}".upper() for name in Settings.model_fields}
    given = {*os.environ, *dotenv_values(ENV_FILE)}
    unknown = sorted(name for name in given if name.startswith("CATALOGUE_") and name not in known)
    # The test suite's own variable is no setting of the product.
    unknown = [name for name in unknown if name != "CATALOGUE_TEST_DATA"]
    if unknown:
        raise ConfigurationError(f"{unknown[0]}: there is no such setting; `--help` lists them")


def settings_table() -> str:
    """The README's table of settings, as Markdown."""
    rows = ["| setting | default | meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "", ()) else f"`{plain(field.default)}`"
        rows.append(f"| `CATALOGUE_{name.upper()}` | {default} | {field.description} |".replace("|  |", "| |"))
    return "\n".join(rows)


def plain(default: object) -> str:
    """A setting's default as it would be written in `.env`."""
    if isinstance(default, tuple):
        return ",".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default)


if __name__ == "__main__":
    print(settings_table())  # noqa: T201 (what this is run for)
