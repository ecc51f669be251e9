"""How pictures are fetched and decoded."""

from pydantic import BaseModel, Field

from shared.settings.kinds import MEBIBYTE, Names


class PictureSettings(BaseModel):
    """How pictures are fetched and decoded."""

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
