"""Serves the application over HTTP/1.1 and HTTP/2 inside this process: one worker, TLS by files."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from granian.constants import Interfaces
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server

from tocsin.api.connections import ConnectionWarden, files_left
from tocsin.config.errors import ConfigError
from tocsin.config.sections import HttpConfig
from tocsin.errors import InvalidInputError, TocsinError
from tocsin.observability.logging import get_logger
from tocsin.services.stream import ChangeStream

_HEADER_TIMEOUT_MS_MAX: Final = 60_000
_HEADERS_BYTES_MAX: Final = 64 << 10
_START_S: Final = 60.0
_STOP_S: Final = 5
STREAM_SILENCE_S: Final = 30.0  # twice what a live view may be silent
_log = get_logger("http")


class HttpServer:
    """Runs one event loop. `start` runs it in a thread of its own, `serve` in the calling coroutine.

    `on_bound` is called once the address is this server's, before any request is looked at; when it fails,
    the server does. If that thread fails, `failure` says why and `on_failure` is called in it.
    Connections that idle are closed: those without a byte after `body_idle_timeout_s`, others after
    `idle_s`, which must be longer than any request may take. Stopping takes no new connections, ends live
    views, lets requests finish, and gives up on those that take longer than `stop_s`.
    ConfigError for files of TLS that are not what they should be.
    """

    def __init__(
        self,
        app: FastAPI,
        config: HttpConfig,
        stream: ChangeStream,
        *,
        stop_s: int = _STOP_S,
        idle_s: float = 0.0,
    ) -> None:
        if config.tls_cert and config.tls_key:
            _require_certified(config.tls_cert, config.tls_key)
        self._stream = stream
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self.failure: BaseException | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self.on_bound: Callable[[], None] = lambda: None
        self._bound = threading.Event()
        self.host: Final = config.host
        self.port: Final = config.port or free_port(config.host)
        self._scheme = "https" if config.tls_cert else "http"
        timeout_ms = min(_HEADER_TIMEOUT_MS_MAX, round(config.request_timeout_s * 1000))
        connections_max = min(config.connections_max, files_left())
        self._warden = ConnectionWarden(
            self.port,
            app.state.waiting,
            connections_max=connections_max,
            silent_s=config.body_idle_timeout_s,
            idle_s=max(idle_s, config.request_timeout_s, STREAM_SILENCE_S),
        )
        self._server = Server(
            app,
            address=config.host,
            port=self.port,
            interface=Interfaces.ASGI,
            websockets=False,
            # The server accepts so many connections, no more, and lets others wait. The application refuses
            # what is too much with a 503, so more must come in than it works on.
            backpressure=connections_max,
            http1_settings=HTTP1Settings(header_read_timeout=timeout_ms),
            http2_settings=HTTP2Settings(max_headers_size=_HEADERS_BYTES_MAX),
            log_enabled=False,
            ssl_cert=_path(config.tls_cert),
            ssl_key=_path(config.tls_key),
        )
        self._server.workers_kill_timeout = stop_s
        self._server.on_startup(self._tell_bound)

    @property
    def url(self) -> str:
        """Where it listens, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self._scheme}://{host}:{self.port}"

    async def serve(self) -> None:
        """Serve until `stop` is called."""
        self._loop = asyncio.get_running_loop()
        self._warden.start()
        try:
            await self._server.serve()
        except TimeoutError:
            # the server's way to say that requests were still running after stop_s
            _log.warning("requests_cut", reason="they ran on after the server was told to stop")
        finally:
            self._warden.stop()

    def start(self, timeout_s: float = _START_S) -> None:
        """Serve in a thread; returns when connections are accepted, raises TocsinError when they are not.

        A machine that does much else may need long for it, the more so where `on_bound` does something.

        InvalidInputError for an address that can't be listened on, such as one that another program has; what
        `on_bound` refuses is raised as it is.
        """
        _require_free(self.host, self.port)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()
        if not self._accepts(timeout_s):
            if isinstance(self.failure, TocsinError):
                raise self.failure
            raise TocsinError(
                f"{self.url} does not accept connections, {self._excuse(timeout_s)}"
            ) from self.failure

    def stop(self) -> None:
        """End serving, from any thread; waits for the thread that `start` made. Idempotent."""
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(self._end)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        """A server that ends by itself is a failure, and a loud one: nobody could send any more."""
        try:
            asyncio.run(self.serve())
        except TocsinError as refusal:  # of `on_bound`, which says itself what is to be done
            self.failure = refusal
            self.on_failure()
        except BaseException as error:
            self.failure = error
            _log.exception("thread_failed", thread="http")
            self.on_failure()
            raise

    def _excuse(self, timeout_s: float) -> str:
        if self.failure is not None:
            return "the log says why"
        return f"not within {timeout_s:g} s: the machine may be busy, start it again"

    def _accepts(self, timeout_s: float) -> bool:
        # compared, not bound
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        deadline_s = time.monotonic() + timeout_s
        while self.failure is None and time.monotonic() < deadline_s:
            if not self._bound.wait(0.02):
                continue
            try:
                socket.create_connection((reachable, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return True
        return False

    def _tell_bound(self) -> None:
        self.on_bound()
        self._bound.set()

    def _end(self) -> None:
        self._stream.close()
        self._server.stop()  # type: ignore[no-untyped-call]


def free_port(host: str) -> int:
    """A port that nothing listens on now."""
    with _bound(host, 0) as probe:
        port: int = probe.getsockname()[1]
    return port


def _require_free(host: str, port: int) -> None:
    """Asked before, since the connection that tells whether we listen might be answered by another."""
    _bound(host, port).close()


def _bound(host: str, port: int) -> socket.socket:
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        probe.bind((host, port))
    except OSError as error:
        probe.close()
        raise InvalidInputError(
            f"can't listen on {host}, port {port}: {error.strerror}: choose another with --host and --port",
            field="http.port",
        ) from error
    return probe


def _require_certified(certificate: Path, key: Path) -> None:
    """Asked before, since the server's own words for it name no file, and it would ask for a passphrase."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(certificate)
    except OSError as error:
        raise ConfigError(
            f"http.tls_cert: {certificate} can't be read as certificates ({error.strerror or error}): "
            "name a PEM file",
            field="http.tls_cert",
        ) from error
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except OSError as error:
        raise ConfigError(
            f"http.tls_key: {key} can't be read as the key of {certificate} ({error.strerror or error}): "
            "name a PEM file without a passphrase",
            field="http.tls_key",
        ) from error


def _path(given: object) -> Path | None:
    return None if given is None else Path(str(given))
