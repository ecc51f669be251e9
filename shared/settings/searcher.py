"""What the searcher listens on, whom it believes, and what it keeps in memory."""

from pathlib import Path

from pydantic import BaseModel, Field

from shared.settings.kinds import MEBIBYTE, Names


class SearcherSettings(BaseModel):
    """What the searcher listens on, whom it believes, and what it keeps in memory."""

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
