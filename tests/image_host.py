"""A small image host on a free port of 127.0.0.1, well or badly behaved."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Send = Callable[[bytes], object]
Script = Callable[[Send, threading.Event], object]
"""Sends raw bytes, status line and headers included, and stops when the event is set (the host closes)."""


class ImageHost:
    """Serves pages by path; `requests` holds the path and headers of each request, in order of arrival."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.busy_max = 0
        self._busy = 0
        self._lock = threading.Lock()
        self._pages: dict[str, Script] = {}
        self._stopped = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.host = self
        self.port = self._server.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def serve(
        self, path: str, content: bytes = b"", *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> str:
        """Answer `path` with this from now on; gives its URL."""
        lines = {"Content-Type": "image/jpeg", "Content-Length": str(len(content))} | dict(headers or {})
        head = f"HTTP/1.1 {status} Status\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return self.script(path, lambda send, _: send(head.encode() + b"\r\n" + content))

    def redirect(self, path: str, location: str, status: int = 302) -> str:
        return self.serve(path, status=status, headers={"Location": location})

    def script(self, path: str, script: Script) -> str:
        """Let `script` answer `path`; gives its URL."""
        self._pages[path] = script
        return self.url(path)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        with self._lock:
            self.requests.append((handler.path, dict(handler.headers)))
            self._busy += 1
            self.busy_max = max(self.busy_max, self._busy)
        try:
            if path in self._pages:
                self._pages[path](handler.wfile.write, self._stopped)
            else:
                handler.send_error(404)
        finally:
            with self._lock:
                self._busy -= 1


def dripping(head: bytes, drop: bytes, seconds: float = 0.02) -> Script:
    """Send the head, then a drop again and again until the host closes or the client has gone."""

    def script(send: Send, stopped: threading.Event) -> None:
        send(head)
        while not stopped.wait(seconds):
            send(drop)

    return script


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        self.server.host.answer(self)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    host: ImageHost

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is what the tests want to see."""
