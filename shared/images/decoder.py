"""Decoded pictures from picture bytes, through a pool of expendable child processes.

A parser of pictures reads hostile bytes in C code. Here it may crash, loop or eat memory: that ends one child, and one
picture is refused.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np

import shared
from shared.errors import DependencyUnavailableError, QueryInvalidError
from shared.images.decoded import SIDE, DecodedImage
from shared.images.decoder_child import COPY_CODES, DECODED, READY, REFUSALS, REPLY, REQUEST
from shared.images.picture import WHOLE, Crop, DecodeLimits, PictureRefusedError, Refusal

# What a parser leaks, and what a picture that took over its child can do to later pictures, ends after so many. A start
# takes 0.1 s, which is 0.1 ms for each picture.
PICTURES_PER_CHILD = 1000

_START_SECONDS = 60.0
_PIXEL_BYTES = SIDE * SIDE * 3
_THUMBNAIL_BYTES_MAX = 1024 * 1024
_COPY_CODE_BYTES_MAX = 64


class DecoderPool:
    """Decodes as many pictures at once as it has children; further ones wait for a free child, the oldest first."""

    def __init__(
        self, limits: DecodeLimits, *, pictures_per_child: int = PICTURES_PER_CHILD, copy_codes: bool = False
    ) -> None:
        """With `copy_codes` each decoded picture comes with its copy code; the extra `copies` must be installed."""
        self._limits = limits
        self._children = [_Child(limits, pictures_per_child, copy_codes) for _ in range(limits.processes)]
        # The last one back goes first, so that a searcher's few pictures meet a warm child.
        self._idle: asyncio.LifoQueue[_Child] = asyncio.LifoQueue()
        for child in self._children:
            self._idle.put_nowait(child)
        self._closed = False

    @property
    def process_ids(self) -> list[int]:
        """Process ids of the children that run now."""
        return [child.process_id for child in self._children if child.process_id is not None]

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Start all children; DependencyUnavailableError where none will run. Without it they start when needed."""
        await asyncio.gather(*(child.start() for child in self._children))

    async def close(self) -> None:
        """End all children, whatever they are at: a picture in work raises DependencyUnavailableError."""
        self._closed = True
        await asyncio.gather(*(child.stop() for child in self._children))

    async def decode(self, content: bytes, *, thumbnail: bool, crop: Crop | None = None) -> DecodedImage:
        """Decode one picture as `picture.decode` does.

        PictureRefusedError (a RejectedError) where it breaks a limit, is damaged, or its child dies or takes too long;
        QueryInvalidError where `crop` does not lie within the picture; DependencyUnavailableError where the machine
        does not start another process.
        """
        if crop is not None:
            _check_crop(crop)
        if len(content) > self._limits.bytes_max:
            raise PictureRefusedError(Refusal.BYTES)
        child = await self._idle.get()
        try:
            if self._closed:
                raise DependencyUnavailableError("the decoder is closed")
            return await child.decode(content, thumbnail, crop or WHOLE)
        except PictureRefusedError as error:
            if self._closed:
                raise DependencyUnavailableError("the decoder is closed") from error
            raise
        finally:
            self._idle.put_nowait(child)


def _check_crop(crop: Crop) -> None:
    left, top, right, bottom = crop
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise QueryInvalidError("crop is not left, top, right, bottom as fractions of the picture, from 0 to 1")


class _Child:
    """A place for one process, which is replaced when it has died, was killed, or has decoded enough."""

    def __init__(self, limits: DecodeLimits, pictures_max: int, copy_codes: bool) -> None:
        self._limits = limits
        self._pictures_max = pictures_max
        self._copy_codes = copy_codes
        self._process: _Process | None = None

    @property
    def process_id(self) -> int | None:
        """The process id, None while there is no process."""
        return None if self._process is None else self._process.popen.pid

    async def start(self) -> "_Process":
        """The process; a new one where none lives."""
        if self._process is None or self._process.reader.at_eof():
            await self.stop()
            self._process = await _start_process(self._limits, self._copy_codes)
        return self._process

    async def stop(self) -> None:
        """Kill the process; it holds nothing that would be lost."""
        process, self._process = self._process, None
        if process is not None:
            await process.kill()

    async def decode(self, content: bytes, thumbnail: bool, crop: Crop) -> DecodedImage:
        """Decode one picture; after any failure but an orderly refusal the process is gone."""
        process = await self.start()
        try:
            async with asyncio.timeout(self._limits.seconds):
                answer = await process.exchange(content, thumbnail, crop)
        except TimeoutError as error:
            await self.stop()
            raise PictureRefusedError(Refusal.SLOW) from error
        except (OSError, asyncio.IncompleteReadError, _NonsenseError) as error:
            await self.stop()
            raise PictureRefusedError(Refusal.FATAL) from error
        except asyncio.CancelledError:
            # Its answer would be taken for the next picture's.
            await self.stop()
            raise
        if process.pictures >= self._pictures_max:
            await self.stop()
        if isinstance(answer, Refusal):
            raise PictureRefusedError(answer)
        return answer


@dataclass(slots=True)
class _Process:
    """A running process, our end of its socket, and how many pictures it was given."""

    popen: "subprocess.Popen[bytes]"
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    pictures: int = 0

    async def exchange(self, content: bytes, thumbnail: bool, crop: Crop) -> DecodedImage | Refusal:
        self.pictures += 1
        self.writer.write(REQUEST.pack(len(content), thumbnail, *crop))
        self.writer.write(content)
        await self.writer.drain()
        status, width, height, thumbnail_bytes, copy_code_bytes = REPLY.unpack(
            await self.reader.readexactly(REPLY.size)
        )
        # The child has read hostile bytes, so what it says is not believed.
        too_long = thumbnail_bytes > _THUMBNAIL_BYTES_MAX or copy_code_bytes > _COPY_CODE_BYTES_MAX
        if status > len(REFUSALS) or too_long:
            raise _NonsenseError
        if status != DECODED:
            return REFUSALS[int(status) - 1]
        pixels = np.frombuffer(await self.reader.readexactly(_PIXEL_BYTES), np.uint8).reshape(SIDE, SIDE, 3)
        small = await self.reader.readexactly(thumbnail_bytes) if thumbnail_bytes else None
        copy_code = await self.reader.readexactly(copy_code_bytes) if copy_code_bytes else None
        return DecodedImage(pixels, small, width, height, copy_code)

    async def kill(self) -> None:
        self.popen.kill()
        self.writer.transport.abort()
        await asyncio.to_thread(self.popen.wait)


class _NonsenseError(Exception):
    """The child does not keep to the protocol."""


async def _start_process(limits: DecodeLimits, copy_codes: bool) -> _Process:
    ours, theirs = socket.socketpair()
    with theirs:
        reader, writer = await asyncio.open_connection(sock=ours, limit=2 * _PIXEL_BYTES)
        try:
            process = _Process(_popen(limits, copy_codes, theirs), reader, writer)
        except OSError as error:
            writer.transport.abort()
            raise DependencyUnavailableError(f"no process to decode pictures starts: {error.strerror}") from error
    try:
        async with asyncio.timeout(_START_SECONDS):
            await reader.readexactly(len(READY))
    except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
        await process.kill()
        raise DependencyUnavailableError("a process to decode pictures ended before it was ready") from error
    except asyncio.CancelledError:
        await process.kill()
        raise
    return process


def _popen(limits: DecodeLimits, copy_codes: bool, connection: socket.socket) -> "subprocess.Popen[bytes]":
    # -P keeps the working directory off the module path, and the parent's environment (it may hold secrets) stays here.
    # A session of its own keeps the terminal's Ctrl-C away.
    environment = {"PYTHONPATH": str(Path(shared.__file__).parents[1])}
    if copy_codes:
        # NumPy's linear algebra, which is not used, would take address space for each core.
        environment["OPENBLAS_NUM_THREADS"] = "1"
    if "LD_LIBRARY_PATH" in os.environ:
        environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-m",
            "shared.images.decoder_child",
            json.dumps(asdict(limits)),
            *([COPY_CODES] if copy_codes else []),
        ],
        stdin=connection.fileno(),
        stdout=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
