"""Picture bytes behind the URLs of catalogue events: from the web, or from a file under an allowed root.

The searcher has a `Fetcher`, which knows no files, and it can't import this module: no query can read a file.
"""

import asyncio
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from yarl import URL

from shared.errors import RejectedError, RejectionReason
from shared.images.fetcher import Fetcher, too_large
from shared.images.url_rules import forbidden


class EventFetcher:
    """`fetch` as in `Fetcher`, and `file:` URLs of regular files below `roots`."""

    def __init__(self, web: Fetcher, roots: Sequence[str], bytes_max: int) -> None:
        """`roots` are folders, `~` and relative ones resolved now, once; a root that does not exist allows nothing."""
        self._web = web
        self._roots = tuple(Path(os.path.realpath(Path(root).expanduser())) for root in roots)
        self._bytes_max = bytes_max

    async def fetch(self, url: str) -> bytes:
        """The bytes behind a URL; RejectedError with the reasons of `Fetcher.fetch`."""
        if url[:5].lower() != "file:":
            return await self._web.fetch(url)
        path = _path_of(url)
        # A file may lie on a slow disk or a network, and the event loop must not wait for it.
        return await asyncio.to_thread(self._read, path)

    def _read(self, path: str) -> bytes:
        # Where a path is outside the roots, whether it exists must not show.
        real = os.path.realpath(path)
        if not any(Path(real).is_relative_to(root) for root in self._roots):
            raise forbidden("the file lies in no folder of CATALOGUE_FETCH_ALLOWED_ROOTS")
        try:
            with _open_regular(real) as file:
                content = file.read(self._bytes_max + 1)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RejectedError(RejectionReason.IMAGE_NOT_FOUND, "there is no such file") from error
        except OSError as error:
            retriable = not isinstance(error, PermissionError)
            raise RejectedError(
                RejectionReason.IMAGE_UNAVAILABLE, f"the file can't be read: {error.strerror}", retriable=retriable
            ) from error
        if len(content) > self._bytes_max:
            raise too_large()
        return content


def _open_regular(path: str) -> BinaryIO:
    # Non-blocking, or opening a named pipe would wait for a writer; no link, for one may have come since.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise forbidden("the path is no regular file")
    return os.fdopen(descriptor, "rb")


def _path_of(url: str) -> str:
    try:
        parsed = URL(url, encoded=url.isascii())
    except ValueError as error:
        raise forbidden("the URL is malformed") from error
    if parsed.raw_host not in (None, "", "localhost"):
        raise forbidden("the URL names a file of another machine")
    if parsed.raw_query_string or parsed.raw_fragment:
        raise forbidden("the file: URL has an unescaped ? or #")
    path = os.fsdecode(unquote_to_bytes(parsed.raw_path))
    if not path.startswith("/") or "\0" in path:
        raise forbidden("the file: URL has no absolute path")
    return path
