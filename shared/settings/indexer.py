"""A worker's bounds, and what it keeps of an image beside its code."""

from pydantic import BaseModel, Field

from shared.settings.kinds import MEBIBYTE


class IndexerSettings(BaseModel):
    """A worker's bounds, and what it keeps of an image beside its code."""

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
        description="The same for a write while more than half of CATALOGUE_IN_FLIGHT_RECORDS_MAX are in flight: what "
        "queues waits anyway, and a request costs the store far more than a document in it.",
    )
    write_batch_size: int = Field(
        256,
        ge=1,
        le=10_000,
        description="Documents written at once, at most; and at most a quarter of CATALOGUE_IN_FLIGHT_RECORDS_MAX.",
    )
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
