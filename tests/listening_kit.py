"""A server of the standard library that answers as a test wants, for clients to talk to."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Listening(ABC):
    """Runs in a thread from its making to `close`; make it when all that the handler needs is there."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    @abstractmethod
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers a request."""

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
