"""A recorded server: a real process with the shim in it, that can be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from proof.shim.building import built
from proof.shim.control import Control
from proof.subject.haste import SETTINGS
from tocsin.testing import Server

ROOT: Final = Path(__file__).resolve().parents[2]
_TOLD_CHARACTERS: Final = 2000


class EndedError(Exception):
    """The server ended although nobody killed it; with the end of its log."""


class RecordedServer(Server):
    """Keeps all its files below `scratch`: `disk` is recorded into `trace`.

    `control` steers the shim in whatever process runs at the moment.
    """

    def __init__(self, scratch: Path, *, plant: str = "", settings: Mapping[str, str] | None = None) -> None:
        self.disk: Final = scratch / "disk"
        self.disk.mkdir()
        self.trace: Final = scratch / "trace"
        self.control: Final = Control(scratch / "control")
        super().__init__(
            self.disk / "var" / "data",
            {
                **SETTINGS,
                "LD_PRELOAD": str(built()),
                "PROOF_FOLDER": str(self.disk),
                "PROOF_TRACE": str(self.trace),
                "PROOF_CONTROL": str(self.control.path),
                "PROOF_PLANT": plant,
                **(settings or {}),
            },
        )
        self.log = scratch / "server.log"

    def spawn(self) -> None:
        """Start the process; return at once."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "proof.subject"],
                env=self.environment(),
                cwd=ROOT,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def exit_code(self, timeout_s: float = 60) -> int:
        """Wait for the process to end by itself."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    def check_alive(self, grace_s: float = 0.0) -> None:
        """EndedError if it runs no more, or ends within `grace_s`: a failing one hangs up before it goes."""
        until_s = time.monotonic() + grace_s
        while self.alive() and time.monotonic() < until_s:
            time.sleep(0.05)
        if not self.alive():
            said = self.log.read_text(errors="replace")[-_TOLD_CHARACTERS:]
            raise EndedError(f"the server ended by itself:\n{said}")

    def stacks(self) -> str:
        """What it said last, and what each thread does at the moment: for a server that does not answer."""
        assert self._process is not None
        said = self.log.read_text(errors="replace")
        self._process.send_signal(signal.SIGUSR1)
        time.sleep(1)
        return said[-_TOLD_CHARACTERS:] + self.log.read_text(errors="replace")[len(said) :]

    def environment(self) -> dict[str, str]:
        """As of any server, with the repository on the path."""
        path = os.environ.get("PYTHONPATH", "")
        return super().environment() | {"PYTHONPATH": f"{ROOT}{os.pathsep}{path}"}
