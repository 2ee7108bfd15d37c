"""Closes connections that hold a place and do nothing with it.

The server accepts so many connections and lets others wait; one that never sends a byte would keep its place
for ever, since the server waits for the first bytes without a limit. So whoever opens enough of them would
shut everybody out, without any credential. The kernel knows how long each connection has been idle.
"""

from __future__ import annotations

import os
import resource
import socket
import struct
import sys
import time
from collections.abc import Iterable, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from tocsin import threads
from tocsin.access.shares import Shares
from tocsin.errors import StorageUnavailableError
from tocsin.observability.logging import get_logger
from tocsin.services.addresses import network_of

FILES_KEPT: Final = 256
_CONNECTIONS_MIN: Final = 64
_FILES_MANY: Final = 1 << 20
_SWEEP_S: Final = 1.0
_CROWDED_S: Final = 0.1
_CROWD: Final = 0.75
_PAUSE_RATIO: Final = 20  # of a pause to the time that a sweep took: a crowd must not pay for its own count
_ACTIVE_S: Final = 1.0
_INFO_BYTES: Final = 136
_UNACKED_AT: Final = 24
_AGES_AT: Final = 44  # milliseconds since data were sent, an acknowledgement was sent, data came, one came
_RECEIVED_AT: Final = 128
_log: Final = get_logger("http")


Peer = tuple[str, int]
"""Address and port of the other end."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An accepted connection; `idle_s` is the time since data went or came, `silent` if none ever came."""

    descriptor: int
    peer: Peer
    network: str
    idle_s: float
    silent: bool
    unanswered_s: float


class ConnectionWarden:
    """Looks at the connections of `port` in this process once a second, in a crowd more often.

    Closed are: those that have not sent a byte for `silent_s`; those without a byte either way for `idle_s`;
    those whose other end has not acknowledged for `idle_s` what was sent. When three quarters of
    `connections_max` are taken, networks with more than a fair share lose what is idle for a second or more,
    the longest idle first; not those whose request waits for its turn here, as `waiting` tells, which others
    may change meanwhile. Does nothing where the kernel does not tell (it does on Linux).
    """

    def __init__(
        self, port: int, waiting: Set[Peer], *, connections_max: int, silent_s: float, idle_s: float
    ) -> None:
        self._port = port
        self._waiting = waiting
        self._connections_max = connections_max
        self._silent_s = silent_s
        self._idle_s = idle_s
        self._stopping = threads.event()

    def start(self) -> None:
        """Sweep until `stop`, in a thread."""
        if sys.platform == "linux":
            threads.start("connections", self._run)

    def stop(self) -> None:
        """End the thread soon; idempotent."""
        self._stopping.set()

    def sweep(self) -> int:
        """Close what has to go; how many are left."""
        connections = connections_of(self._port)
        stale = [connection for connection in connections if self._stale(connection)]
        left = [connection for connection in connections if not self._stale(connection)]
        surplus = self._surplus(left) if len(left) >= _CROWD * self._connections_max else []
        for connection in (*stale, *surplus):
            shut(connection.descriptor)
        if surplus:
            _log.warning("connections_closed", reason="crowd", connections=len(surplus))
        return len(left) - len(surplus)

    def _stale(self, connection: Connection) -> bool:
        limit_s = self._silent_s if connection.silent else self._idle_s
        return connection.idle_s >= limit_s or connection.unanswered_s >= self._idle_s

    def _surplus(self, connections: list[Connection]) -> list[Connection]:
        """What networks hold beyond the share that they get when all come anew, the busiest ones first."""
        shares = Shares(self._connections_max)
        refused = [
            connection
            for connection in sorted(connections, key=lambda each: each.idle_s)
            if not shares.take(connection.network)
        ]
        return [
            connection
            for connection in refused
            if connection.idle_s >= _ACTIVE_S and connection.peer not in self._waiting
        ]

    def _run(self) -> None:
        pause_s = _SWEEP_S
        while not self._stopping.wait(pause_s):
            began_s = time.thread_time()
            crowded = self.sweep() >= _CROWD * self._connections_max
            took_s = time.thread_time() - began_s
            pause_s = max(_CROWDED_S if crowded else _SWEEP_S, _PAUSE_RATIO * took_s)


def connections_of(port: int) -> list[Connection]:
    """The TCP connections of this process to its port.

    Descriptors are looked at without a copy, since there may be none left to copy to. Another thread may
    close one meanwhile; then at worst a connection that has just come is taken for it, and comes again.
    """
    found = []
    for descriptor in _descriptors():
        with suppress(OSError):
            connection = _look(descriptor, port)
            if connection is not None:
                found.append(connection)
    return found


def _descriptors() -> Iterable[int]:
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208 - numbers, not paths
    except OSError:  # no descriptor left to read the folder with: all of them are in use
        return range(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def shut(descriptor: int) -> None:
    """End the connection for both sides; the server notices and closes it."""
    with suppress(OSError):
        borrowed = socket.socket(fileno=descriptor)
        try:
            borrowed.shutdown(socket.SHUT_RDWR)
        finally:
            borrowed.detach()


def files_left() -> int:
    """How many connections may be open so that the stores still find files.

    StorageUnavailableError if there is no room for any worth the name.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    left = _FILES_MANY if most == resource.RLIM_INFINITY else most - FILES_KEPT
    if left < _CONNECTIONS_MIN:
        raise StorageUnavailableError(
            f"only {most} files may be open: allow at least {FILES_KEPT + _CONNECTIONS_MIN} (ulimit -n)"
        )
    return left


def _look(descriptor: int, port: int) -> Connection | None:
    borrowed = socket.socket(fileno=descriptor)  # OSError for what is no socket
    try:
        if borrowed.family not in {socket.AF_INET, socket.AF_INET6} or borrowed.getsockname()[1] != port:
            return None
        peer = borrowed.getpeername()[:2]
        info = borrowed.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    finally:
        borrowed.detach()
    if len(info) < _INFO_BYTES:
        return None
    (unacked,) = struct.unpack_from("=I", info, _UNACKED_AT)
    sent_ms, _, came_ms, acknowledged_ms = struct.unpack_from("=4I", info, _AGES_AT)
    (received,) = struct.unpack_from("=Q", info, _RECEIVED_AT)
    return Connection(
        descriptor,
        peer,
        network_of(peer[0]),
        min(sent_ms, came_ms) / 1000,
        received == 0,
        acknowledged_ms / 1000 if unacked else 0.0,
    )
