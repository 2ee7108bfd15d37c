"""Large dumps over a line that is cut again and again, to a real server that is killed in between."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from tocsin.testing import COMMAND, Server

pytestmark = [pytest.mark.services, pytest.mark.long]

ROOT: Final = Path(__file__).parents[2]
MIB: Final = int(os.environ.get("CUT_MIB", "24"))
DUMPS: Final = int(os.environ.get("CUT_DUMPS", "3"))
CUTS: Final = 20
HANGS_S: Final = 900 + 5 * MIB
_PIECE_BYTES: Final = 1 << 16


class CuttingLine:
    """Passes connections on to a server and cuts each after some bytes, until `cuts` are used up."""

    def __init__(self, port: int, cuts: int, bytes_max: int, seed: int) -> None:
        self._target = port
        self._bytes_max = bytes_max
        self._rng = random.Random(seed)
        self.cuts = cuts
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: Final = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:  # it has just been killed
            client.close()
            return
        with client, server:
            threading.Thread(target=_pass_on, args=(server, client, 1 << 60), daemon=True).start()
            with self._lock:
                left = self._rng.randrange(1, self._bytes_max) if self.cuts else 1 << 60
            if _pass_on(client, server, left):
                with self._lock:
                    self.cuts -= 1
            for end in (client, server):  # closing alone would not wake the thread that reads from it
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def _pass_on(source: socket.socket, target: socket.socket, left: int) -> bool:
    """Whether it was cut, instead of ended by one of the two."""
    try:
        while piece := source.recv(min(left, _PIECE_BYTES)):
            target.sendall(piece)
            left -= len(piece)
            if not left:
                return True
    except OSError:
        pass
    return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path / "data", {})
    running.start()
    yield running
    running.kill()


def dump(path: Path, seed: int) -> str:
    """An archive of bytes that can't be packed; its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive, archive.open("a.log", "w") as member:
        for _ in range(MIB):
            member.write(rng.randbytes(1 << 20))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def line_to(server: Server, seed: int) -> CuttingLine:
    """Its cuts leave an upload a third of the way."""
    return CuttingLine(int(server.url.rsplit(":", 1)[1]), CUTS, MIB * (1 << 20) // 15, seed)


def test_dumps_arrive_over_a_line_that_is_cut(server: Server, tmp_path: Path) -> None:
    """`tocsin upload` sends what is lacking, each time; nothing is decided twice, all bytes are right."""
    for number in range(1, 1 + DUMPS):
        file = tmp_path / f"only-{number}" / "press" / f"{number}.zip"
        digest = dump(file, number)
        line = line_to(server, number)
        environment = server.environment() | {"TOCSIN_URL": f"http://127.0.0.1:{line.port}"}
        subprocess.run(
            [COMMAND, "upload", str(file.parent.parent)], env=environment, check=True, timeout=HANGS_S
        )
        line.close()
        assert line.cuts == 0
        state = server.get(f"/v1/devices/press/dumps/{number}")
        assert (state["outcome"], state["sha256"]) == ("accepted", digest)
        file.unlink()  # twenty of 1 GiB would need the room twice


def test_a_client_of_the_standard_library_goes_on_after_a_kill(server: Server, tmp_path: Path) -> None:
    """The client for devices needs no memory of its own, and the server keeps what it had synced."""
    file = tmp_path / "dumps" / "1.zip"
    digest = dump(file, 1)
    line = line_to(server, 7)
    environment = server.environment() | {"TOCSIN_URL": f"http://127.0.0.1:{line.port}"}
    command = [sys.executable, str(ROOT / "examples/device_client/send_dump.py"), "press", "1", str(file)]
    sending = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    while line.cuts > CUTS // 2 and sending.poll() is None:
        threading.Event().wait(0.01)
    server.kill()
    server.start()
    said, _ = sending.communicate(timeout=HANGS_S)
    line.close()
    assert (sending.returncode, said) == (0, "press 1: accepted\n")
    assert server.get("/v1/devices/press/dumps/1")["sha256"] == digest
    again = subprocess.run(
        command, env=server.environment(), capture_output=True, text=True, check=True, timeout=HANGS_S
    )
    assert again.stdout == "press 1: duplicate\n"
