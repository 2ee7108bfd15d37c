"""A child process ends when the server that started it has gone."""

from __future__ import annotations

import socket
import subprocess
import sys

CHILD = """
import socket, sys, time
from tocsin.lifeline import end_with
channel = socket.socket(fileno=int(sys.argv[1]))
end_with(channel)
channel.sendall(b"?")
time.sleep(600)
"""


def test_a_child_ends_with_the_other_end_of_its_socket_in_the_middle_of_its_work() -> None:
    """It is busy and reads nothing; what is left of it is an exit without an error."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-c", CHILD, str(theirs.fileno())]
        child = subprocess.Popen(command, pass_fds=[theirs.fileno()])
    try:
        assert ours.recv(1) == b"?"
        assert child.poll() is None
        ours.close()
        assert child.wait(60) == 0
    finally:
        child.kill()
        child.wait()
