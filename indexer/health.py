"""The worker's own small HTTP server: /metrics, /livez and /readyz."""

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from shared.errors import ConfigurationError

Answer = tuple[HTTPStatus, bytes, str]
"""Status, body and content type."""


class HealthServer:
    """Answers in threads of its own while the `with` block runs.

    `/livez` tells whether the loop still turns (a supervisor restarts the worker otherwise) and asks no dependency;
    `/readyz` tells whether records are being processed.
    """

    def __init__(
        self, host: str, port: int, registry: CollectorRegistry, live: Callable[[], bool], ready: Callable[[], bool]
    ) -> None:
        answers: dict[str, Callable[[], Answer]] = {
            "/metrics": lambda: (HTTPStatus.OK, generate_latest(registry), CONTENT_TYPE_LATEST),
            "/livez": lambda: _verdict(live()),
            "/readyz": lambda: _verdict(ready()),
        }

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                answer = answers.get(self.path.partition("?")[0])
                status, body, content_type = (
                    answer() if answer else (HTTPStatus.NOT_FOUND, b"not found\n", "text/plain")
                )
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
                """Say nothing of each look."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise ConfigurationError(f"CATALOGUE_METRICS_PORT: {host}:{port}: {error.strerror}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._server.server_address[1])

    def __enter__(self) -> "HealthServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _verdict(good: bool) -> Answer:
    if good:
        return HTTPStatus.OK, b"ok\n", "text/plain"
    return HTTPStatus.SERVICE_UNAVAILABLE, b"not now\n", "text/plain"
