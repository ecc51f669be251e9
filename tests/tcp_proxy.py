"""A TCP proxy whose faults can be set at any time: the server behind it is away, slow, or its replies get lost.

Needs no pytest: the soak uses it too. All methods may be called from any thread.
"""

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass
from types import TracebackType

_CHUNK_BYTES = 65536
# Closing with this sends a reset, not an end of the stream.
_RESET = struct.pack("ii", 1, 0)
_CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class TcpFault:
    """What is wrong with the network; faults combine.

    `latency_seconds` holds up every chunk, in both directions, and `bytes_per_second` (0: no limit) bounds each
    direction of each connection. `lose_replies` resets a connection as soon as the server answers on it: the server has
    done what was asked, and the client can't know. `stalled` lets connections stay open and forwards nothing.
    """

    latency_seconds: float = 0.0
    bytes_per_second: float = 0.0
    lose_replies: bool = False
    stalled: bool = False


NO_TCP_FAULT = TcpFault()


class TcpProxy:
    """Forwards `port` (on the loopback address) to a server while `open` was called last, with the `fault` that is set.

    The server may be away: connections are then accepted and reset.
    """

    def __init__(self, host: str, port: int, listen_port: int = 0) -> None:
        """Forward to host:port; `listen_port` 0 takes a free one. Closed until `open`."""
        self._target = (host, port)
        self._listener: socket.socket | None = None
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.fault = NO_TCP_FAULT
        self.connections = 0
        if listen_port == 0:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                listen_port = int(probe.getsockname()[1])
        self.port = listen_port

    def __enter__(self) -> "TcpProxy":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()

    def open(self) -> None:
        """Accept connections."""
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Refuse new connections and end those that there are."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # A thread that waits in accept is woken by a shutdown, not by a close.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for each in self._open_sockets():
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Reset the connections that there are; new ones are accepted."""
        for each in self._open_sockets():
            _reset(each)

    def _open_sockets(self) -> list[socket.socket]:
        with self._lock:
            return list(self._sockets)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=_CONNECT_SECONDS)
        except OSError:
            _reset(client)
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            self._sockets |= {client, server}
        ways = [
            threading.Thread(target=self._forward, args=(client, server, False), daemon=True),
            threading.Thread(target=self._forward, args=(server, client, True), daemon=True),
        ]
        for way in ways:
            way.start()
        for way in ways:
            way.join()
        with self._lock:
            self._sockets -= {client, server}
        client.close()
        server.close()

    def _forward(self, source: socket.socket, sink: socket.socket, is_reply: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                if is_reply and self.fault.lose_replies:
                    _reset(sink)
                    break
                self._hold_up(len(data))
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _hold_up(self, size_bytes: int) -> None:
        fault = self.fault
        if fault.latency_seconds:
            time.sleep(fault.latency_seconds)
        if fault.bytes_per_second:
            time.sleep(size_bytes / fault.bytes_per_second)
        while self.fault.stalled:
            time.sleep(0.02)


def _reset(connection: socket.socket) -> None:
    """End a connection with a reset. It stays to be closed: another thread may be reading from it."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        connection.shutdown(socket.SHUT_RDWR)
