"""Weights as files: their digests, and ImageNet's from the cache or the network."""

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from shared.errors import ConfigurationError, DependencyUnavailableError

_CHUNK_BYTES = 1 << 20
_NETWORK_SECONDS = 5.0
"""For connecting and for each read, so that a machine without internet is told so within seconds."""


def file_sha256(path: Path) -> str:
    """The digest of a file's bytes in hexadecimal; ConfigurationError where it can't be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def cached_download(url: str, sha256: str, path: Path) -> Path:
    """Give `path` back, downloaded from `url` first where it is missing; its digest is checked before it gets its name.

    DependencyUnavailableError where it can't be downloaded now; ConfigurationError where what came has another digest
    (a file that is there already is for its reader to check).
    """
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, partial_name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".partial")
    except OSError as error:
        raise ConfigurationError(f"{path.parent}: weights can't be kept there: {error.strerror}") from error
    partial = Path(partial_name)
    try:
        actual = _download(url, descriptor)
        if not actual.startswith(sha256):
            raise ConfigurationError(f"{url}: the download is damaged (expected sha256 {sha256}, actual {actual})")
        partial.replace(path)
    except OSError as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise DependencyUnavailableError(f"{url} can't be downloaded ({reason})") from error
    finally:
        partial.unlink(missing_ok=True)
    return path


def _download(url: str, descriptor: int) -> str:
    """Write what `url` gives to the descriptor, close it, and give the digest."""
    digest = hashlib.sha256()
    with os.fdopen(descriptor, "wb") as partial, urllib.request.urlopen(url, timeout=_NETWORK_SECONDS) as response:
        while chunk := response.read(_CHUNK_BYTES):
            digest.update(chunk)
            partial.write(chunk)
    return digest.hexdigest()
