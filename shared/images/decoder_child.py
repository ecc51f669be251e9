"""The child process that decodes: reads pictures from its standard input (a socket), answers on the same socket.

Run as `python -m shared.images.decoder_child LIMITS [copy-codes]` by `decoder.DecoderPool`, LIMITS being the fields of
a `DecodeLimits` as JSON; with the second argument each picture gets its copy code. It ends when the other end of the
socket is closed.

The frames, all numbers big-endian. First the child sends READY. A request is REQUEST (bytes of the picture, whether a
thumbnail is wanted, left, top, right, bottom of the crop), then the picture. A reply is REPLY (status, width, height,
bytes of the thumbnail or 0, bytes of the copy code or 0); with status DECODED the pixels, the thumbnail and the copy
code follow, any other status is the place of a `Refusal`, counted from 1.
"""

import json
import math
import os
import resource
import signal
import socket
import struct
import sys
from io import BufferedRWPair

from PIL import Image

from shared.images.picture import CopyCodeOf, DecodeLimits, Picture, PictureRefusedError, Refusal, decode

READY = b"\x01"
REQUEST = struct.Struct(">I?4d")
REPLY = struct.Struct(">BIIII")
DECODED = 0
REFUSALS = tuple(Refusal)
COPY_CODES = "copy-codes"

_NICENESS = 10


def main() -> None:
    """Confine this process, then decode until the parent closes the socket."""
    limits = DecodeLimits(**json.loads(sys.argv[1]))
    copy_code_of = _copy_code_of() if COPY_CODES in sys.argv[2:] else None
    _confine(limits)
    # Where cores are short the network should have them: it is what a full pipeline waits for, with decoded pictures
    # ahead of it. Where it waits for pictures, the cores are free.
    os.nice(_NICENESS)
    with socket.socket(fileno=0) as connection, connection.makefile("rwb") as stream:
        try:
            stream.write(READY)
            stream.flush()
            while _serve_one(stream, limits, copy_code_of):
                pass
        except ConnectionError:
            # The parent is gone, and nobody is left who wants the answer.
            os._exit(0)


def _copy_code_of() -> CopyCodeOf:
    # NumPy doubles the time that a start takes, so only who needs it imports it.
    from shared.encoding.copy_code_pdq import copy_code_of  # noqa: PLC0415

    return copy_code_of


def _confine(limits: DecodeLimits) -> None:
    # Ctrl-C goes to every process of a terminal and SIGTERM to every process of a service, but the parent still drains
    # what is in flight and needs its children for that. They end when it does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _limit(resource.RLIMIT_AS, limits.memory_bytes)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    Image.MAX_IMAGE_PIXELS = limits.pixels_max
    # Until here an error should be seen; from here on the parsers' libraries have nothing to say to a person.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stderr.fileno())


def _serve_one(stream: BufferedRWPair, limits: DecodeLimits, copy_code_of: CopyCodeOf | None) -> bool:
    header = stream.read(REQUEST.size)
    if len(header) < REQUEST.size:
        return False
    size, thumbnail, left, top, right, bottom = REQUEST.unpack(header)
    content = stream.read(size)
    if len(content) < size:
        return False
    _grant_seconds(limits.seconds)
    try:
        crop = (left, top, right, bottom)
        _send(stream, decode(content, limits, thumbnail=thumbnail, crop=crop, copy_code_of=copy_code_of))
    except PictureRefusedError as error:
        stream.write(REPLY.pack(1 + REFUSALS.index(error.refusal), 0, 0, 0, 0))
    stream.flush()
    return True


def _grant_seconds(seconds: float) -> None:
    """Let the kernel end this process if one picture takes more processor time than it may.

    The parent kills a slow child anyway; this holds where the parent is gone and a parser loops for ever.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    _limit(resource.RLIMIT_CPU, math.ceil(used + seconds) + 1)


def _limit(which: int, value: int) -> None:
    """Set a limit of this process, or leave the stricter one that the machine's owner has set."""
    hard = resource.getrlimit(which)[1]
    resource.setrlimit(which, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _send(stream: BufferedRWPair, picture: Picture) -> None:
    thumbnail, copy_code = picture.thumbnail or b"", picture.copy_code or b""
    stream.write(REPLY.pack(DECODED, picture.width, picture.height, len(thumbnail), len(copy_code)))
    stream.write(picture.pixels)
    stream.write(thumbnail)
    stream.write(copy_code)


if __name__ == "__main__":
    main()
