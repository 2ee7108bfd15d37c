"""The simulated directory over HTTP, on this machine."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from tocsin import threads
from tocsin.simulate.directory.service import Reply, SimulatedService

_PIECE_S: Final = 0.05


class SimulatedDirectoryServer:
    """Serves from threads of its own within a `with` block; `url` is where.

    A request that is slow holds a thread and nothing else. Leaving the block ends pauses early.
    """

    def __init__(self, service: SimulatedService, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._ending = threads.event()
        self._server = _Server((host, port), _handler(service, self._ending))
        self._thread: threads.Running | None = None
        self.url: Final = f"http://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threads.start("simulated-directory", self._server.serve_forever)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error of a server whose clients lose patience by design."""


def _handler(service: SimulatedService, ending: threads.Event) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
            reply = service.answer(self.path, token)
            if reply.delay_s and ending.wait(reply.delay_s):
                self.close_connection = True
                return
            if reply.cut and not reply.sent:
                self._cut()
                return
            self._send(reply)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            """Nothing: whoever wants to see requests asks the service what it was asked."""

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(reply.body)))
            for name, value in reply.headers:
                self.send_header(name, value)
            self.end_headers()
            if reply.pause_s:
                self._trickle(reply)
            elif reply.cut:
                self.wfile.write(reply.body[: reply.sent])
                self._cut()
            else:
                self.wfile.write(reply.body)

        def _trickle(self, reply: Reply) -> None:
            size = max(1, round(_PIECE_S / reply.pause_s))
            for start in range(0, len(reply.body), size):
                if ending.wait(reply.pause_s * size):
                    self.close_connection = True
                    return
                self.wfile.write(reply.body[start : start + size])

        def _cut(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    return Handler
