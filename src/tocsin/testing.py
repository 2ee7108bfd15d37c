"""For tests and benchmarks of whole systems: a Tocsin server as a real process, that can be killed."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

COMMAND: Final = Path(sys.executable).parent / "tocsin"
_KEY: Final = re.compile(r"\btcs_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")


def free_port() -> int:
    """A TCP port of this machine that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`tocsin serve` on a folder and a port of its own; starting it again keeps both.

    What it prints goes to `log`. `under` is a command that starts it, such as `prlimit`. `key` is the admin
    key that the first start prints. Not thread-safe.
    """

    def __init__(
        self, data: Path, settings: Mapping[str, str] | None = None, *, under: Sequence[str] = ()
    ) -> None:
        self.data = data
        self.log = data.with_name(data.name + ".log")
        self.key = ""
        self._port = free_port()
        self._settings = dict(settings or {})
        self._under = tuple(under)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def environment(self) -> dict[str, str]:
        """What the server and commands beside it need to find each other."""
        return os.environ | {
            "TOCSIN_DATA": str(self.data),
            "TOCSIN_HTTP__PORT": str(self._port),
            "TOCSIN_URL": self.url,
            "TOCSIN_TOKEN": self.key,
            **self._settings,
        }

    def spawn(self) -> None:
        """Start the process; return at once."""
        self.data.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._under, COMMAND, "serve"],
                env=self.environment(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def start(self, timeout_s: float = 120) -> float:
        """Start, wait until it is ready; the seconds that took."""
        started_s = time.monotonic()
        self.spawn()
        while not self.ready():
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"the server ended before it was ready:\n{self._tail()}")
            if time.monotonic() - started_s > timeout_s:
                self.kill()
                raise TimeoutError(f"not ready after {timeout_s} s:\n{self._tail()}")
            time.sleep(0.02)
        took_s = time.monotonic() - started_s
        if not self.key and (found := _KEY.search(self.log.read_text(errors="replace"))):
            self.key = found[0]
        return took_s

    def ready(self) -> bool:
        """Whether it says so itself."""
        try:
            return self._ask("/readyz")[0] == HTTPStatus.OK
        except (OSError, HTTPException):
            return False

    def stop(self, timeout_s: float = 60) -> int:
        """End it as Ctrl-C does, wait; the exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """End it as a power cut ends it, as far as a process can tell."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def get(self, path: str, **query: str) -> Any:
        """The JSON answer to an authorised GET; an error status raises."""
        status, body = self._ask(path + ("?" + urlencode(query) if query else ""))
        if status != HTTPStatus.OK:
            raise RuntimeError(f"{path} gave {status}: {body[:1000]!r}")
        return json.loads(body)

    def metric(self, name: str) -> float:
        """A metric by its Prometheus name, summed over its attributes."""
        text = self._ask("/metrics")[1].decode()
        values = re.findall(rf"^{name}(?:\{{[^}}]*\}})? ([0-9.e+-]+)$", text, re.MULTILINE)
        if not values:
            raise RuntimeError(f"no metric {name}")
        return sum(float(value) for value in values)

    def digest(self, timeout_s: float = 600) -> dict[str, Any]:
        """The digests, once everything is processed and every correction has run.

        A step that compiles its kernels on a busy machine takes minutes, and the answer meanwhile is 503.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            status, body = self._ask("/v1/digest")
            if status not in {HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE}:
                raise RuntimeError(f"/v1/digest gave {status}: {body[:1000]!r}")
            found: dict[str, Any] = json.loads(body)
            if status == HTTPStatus.OK and found["caught_up"] and not found["pending"]:
                return found
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not settled after {timeout_s} s: {found}")
            time.sleep(0.2)

    def run(self, *arguments: str | Path, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """A `tocsin` command against this server; a failure raises with what it printed."""
        done = subprocess.run(
            [COMMAND, *arguments],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"tocsin {arguments[0]} gave {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def _ask(self, target: str) -> tuple[int, bytes]:
        """One GET on a connection of its own; no HTTP client, whose start would cost more than the answer."""
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request("GET", target, headers={"Authorization": f"Bearer {self.key}"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]
