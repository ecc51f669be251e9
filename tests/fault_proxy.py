"""An HTTP proxy in front of Elasticsearch whose faults can be set at any time: overload, of a whole request or of
single items of a bulk, refused credentials, lost replies, delays, changed replies.

It counts what passes and what does not, item by item. Needs no pytest: the soak uses it too. All methods may be called
from any thread, and one `fault` takes the place of another at once.
"""

import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

_SERVER_SECONDS = 60.0
_TOO_MANY = 429
_ERROR_TYPES = {401: "security_exception", 403: "security_exception", _TOO_MANY: "es_rejected_execution_exception"}
# What belongs to one connection only, or is written anew.
_NOT_FORWARDED = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})


@dataclass(frozen=True, slots=True)
class HttpFault:
    """What is wrong; faults combine, and touch only requests whose path contains `path`.

    A request meets `status` with the probability `share` and does not reach the server; one without the `api_key`,
    where one is set, meets 401. Of the items of a bulk, each is answered 429 with the probability `item_share`, unseen
    by the server. With the probability `lose_replies` the connection is closed once the server has answered.
    `delay_seconds` holds up each request. `rewrite` changes the bodies of good replies.
    """

    status: int = 0
    share: float = 1.0
    item_share: float = 0.0
    lose_replies: float = 0.0
    delay_seconds: float = 0.0
    rewrite: Callable[[Any], Any] | None = None
    api_key: str = ""
    path: str = ""


NO_HTTP_FAULT = HttpFault()

BulkItem = tuple[str, str, int]
"""Index, document id and version of an item of a bulk."""


@dataclass(slots=True)
class HttpCounts:
    """What has passed so far. Items are counted each time that they come; `forwarded` ones reached the server."""

    requests: int = 0
    refused_requests: int = 0
    lost_replies: int = 0
    refused_items: Counter[BulkItem] = field(default_factory=Counter)
    forwarded_items: Counter[BulkItem] = field(default_factory=Counter)


class ElasticsearchProxy:
    """Forwards `port` (on the loopback address) to Elasticsearch, with the `fault` that is set.

    Connections are accepted at once; while the server is away they are closed without an answer.
    """

    def __init__(self, host: str, port: int, seed: int = 0) -> None:
        """Forward to http://host:port; `seed` decides which requests and items meet a fault of a share."""
        self._target = (host, port)
        self._generator = random.Random(seed)
        self._lock = threading.Lock()
        self.fault = NO_HTTP_FAULT
        self.counts = HttpCounts()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> "ElasticsearchProxy":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Accept no more connections."""
        self._server.shutdown()
        self._server.server_close()

    def take_counts(self) -> HttpCounts:
        """What has been counted since this was last called."""
        with self._lock:
            counts, self.counts = self.counts, HttpCounts()
            return counts

    def answer(self, handler: "_Handler") -> None:
        """Answer one request, or close its connection."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        fault = self.fault if self.fault.path in handler.path else NO_HTTP_FAULT
        status = fault.status
        if fault.api_key and handler.headers.get("Authorization") != f"ApiKey {fault.api_key}":
            status = 401
        with self._lock:
            self.counts.requests += 1
            refused = bool(status) and self._happens(fault.share)
            self.counts.refused_requests += refused
        if fault.delay_seconds:
            time.sleep(fault.delay_seconds)
        if refused:
            handler.reply(status, json.dumps(_refusal(status)).encode())
            return
        try:
            status, headers, content = self._answer_of_server(handler, body, fault)
        except (OSError, http.client.HTTPException):
            handler.hang_up()
            return
        if self._loses_reply(fault):
            handler.hang_up()
            return
        if fault.rewrite is not None and status < 300 and handler.command != "HEAD":
            content = json.dumps(fault.rewrite(json.loads(content))).encode()
        handler.reply(status, content, headers)

    def _answer_of_server(self, handler: "_Handler", body: bytes, fault: HttpFault) -> "_Answer":
        if "_bulk" in handler.path.partition("?")[0]:
            return self._answer_of_bulk(handler, body, fault)
        return self._ask(handler, body)

    def _answer_of_bulk(self, handler: "_Handler", body: bytes, fault: HttpFault) -> "_Answer":
        """Refuse some items, let the server answer for the others, and put the answers into the items' order."""
        items = _bulk_items(body)
        with self._lock:
            refused = [bool(fault.item_share) and self._happens(fault.item_share) for _ in items]
            for (item, _), is_refused in zip(items, refused, strict=True):
                (self.counts.refused_items if is_refused else self.counts.forwarded_items)[item] += 1
        if not any(refused):
            return self._ask(handler, body)
        rest = b"".join(lines for (_, lines), is_refused in zip(items, refused, strict=True) if not is_refused)
        answers: list[Any] = []
        if rest:
            status, headers, content = self._ask(handler, rest)
            if status != 200:
                return status, headers, content
            answers = json.loads(content)["items"]
        given = iter(answers)
        merged = [{"index": _refusal(_TOO_MANY)} if is_refused else next(given) for is_refused in refused]
        return 200, _HEADERS, json.dumps({"errors": True, "items": merged}).encode()

    def _ask(self, handler: "_Handler", body: bytes) -> "_Answer":
        """What the server says, over a connection of this request alone: no other one's end is met."""
        connection = http.client.HTTPConnection(*self._target, timeout=_SERVER_SECONDS)
        try:
            sent = {name: value for name, value in handler.headers.items() if name.lower() not in _NOT_FORWARDED}
            connection.request(handler.command, handler.path, body or None, sent)
            answer = connection.getresponse()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _NOT_FORWARDED]
            return answer.status, kept, answer.read()
        finally:
            connection.close()

    def _loses_reply(self, fault: HttpFault) -> bool:
        with self._lock:
            loses = bool(fault.lose_replies) and self._happens(fault.lose_replies)
            self.counts.lost_replies += loses
            return loses

    def _happens(self, probability: float) -> bool:
        return self._generator.random() < probability


_Answer = tuple[int, Sequence[tuple[str, str]], bytes]
_HEADERS = [
    ("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9"),
    ("X-Elastic-Product", "Elasticsearch"),
]


def _refusal(status: int) -> dict[str, Any]:
    error_type = _ERROR_TYPES.get(status, "unavailable_exception")
    return {"error": {"type": error_type, "reason": f"a fault of the test: {status}"}, "status": status}


def _bulk_items(body: bytes) -> list[tuple[BulkItem, bytes]]:
    """Each item of a bulk that only indexes, and its two lines as they came."""
    lines = body.splitlines(keepends=True)
    items = []
    for action, source in zip(lines[::2], lines[1::2], strict=True):
        (described,) = json.loads(action).values()
        items.append(((described["_index"], described["_id"], described["version"]), action + source))
    return items


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Answers are small and must not wait for the client's delayed acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1
    server: "_Server"

    def do_GET(self) -> None:
        self.server.proxy.answer(self)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def reply(self, status: int, content: bytes, headers: Sequence[tuple[str, str]] = _HEADERS) -> None:
        """Send an answer."""
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def hang_up(self) -> None:
        """Close the connection without an answer."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    proxy: ElasticsearchProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is what the tests want to see."""
