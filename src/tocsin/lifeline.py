"""What ties a child process to its server: the socket on which it is asked."""

from __future__ import annotations

import os
import select
import socket
import threading


def end_with(channel: socket.socket) -> None:
    """End this process once nobody has the socket's other end, even in the middle of its work.

    A server that was killed leaves no process behind. Returns at once; a thread of its own looks after it.
    """
    threading.Thread(target=_end_when_closed, args=(channel.fileno(),), daemon=True).start()


def _end_when_closed(descriptor: int) -> None:
    poller = select.poll()
    poller.register(descriptor, select.POLLHUP)
    while not poller.poll():
        pass
    os._exit(0)
