"""Posts go only where pictures may come from, follow no redirect, and end in time."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shared.errors import RejectedError, RejectionReason
from shared.images.fetcher import FetchLimits, Poster
from shared.settings import Settings


class Receiver(ThreadingHTTPServer):
    """Answers /NUMBER with that status, and /slow not at all until it closes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: list[tuple[str, bytes, str]] = []
        self.closing = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        self.server.posted.append((self.path, content, self.headers["webhook-id"]))
        if self.path == "/slow":
            self.server.closing.wait(20)
            return
        self.send_response(int(self.path[1:]))
        self.send_header("Location", "/204")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the parameter's name)
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.closing.set()
        server.shutdown()


def limits(*allowed_hosts: str) -> FetchLimits:
    return FetchLimits.of(Settings(_env_file=None, fetch_allowed_hosts=allowed_hosts))


async def test_a_post_gives_the_status_and_follows_no_redirect(receiver: Receiver) -> None:
    host = f"127.0.0.1:{receiver.server_address[1]}"
    async with Poster(limits(host), 10) as poster:
        for status in (204, 500, 307):
            assert await poster.post(f"http://{host}/{status}", b"{}", {"webhook-id": "one"}) == status
    assert receiver.posted == [(f"/{status}", b"{}", "one") for status in (204, 500, 307)]


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/", "file:///etc/passwd"])
async def test_a_private_receiver_that_is_not_named_is_not_asked(url: str) -> None:
    async with Poster(limits(), 10) as poster:
        with pytest.raises(RejectedError) as refused:
            await poster.post(url, b"{}", {})
    assert refused.value.reason is RejectionReason.URL_FORBIDDEN


async def test_a_receiver_that_does_not_answer_is_left(receiver: Receiver) -> None:
    host = f"127.0.0.1:{receiver.server_address[1]}"
    async with Poster(limits(host), 0.2) as poster:
        with pytest.raises(RejectedError, match="takes too long"):
            await poster.post(f"http://{host}/slow", b"{}", {"webhook-id": "one"})
