"""A local image host that costs next to nothing, so that a benchmark times who asks, not who answers.

`python deploy/bench/picture_host.py DIR` serves the files below DIR from memory, prints its port, and ends with its
standard input.
"""

import asyncio
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Serve until standard input ends."""
    pictures = sorted(folder.rglob("*.jpg"))
    asyncio.run(_serve({f"/{path.relative_to(folder)}".encode(): _answer(path.read_bytes()) for path in pictures}))


async def _serve(answers: dict[bytes, bytes]) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(answers), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


class _Connection(asyncio.Protocol):
    """Answers requests without a body, one after another on a connection that stays open."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self._answers = answers
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            self._transport.write(self._answers.get(request.split(b" ", 2)[1], _NOT_FOUND))


def _answer(content: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

if __name__ == "__main__":
    main(Path(sys.argv[1]))
