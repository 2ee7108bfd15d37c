"""A package with a detector that does what the test asks for, and dumps to show it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.dump_kit import good_archive
from tocsin.dump_detectors.steps import DumpFacts, Task

MODULE = """
import ctypes, os, socket, sys, time
from tocsin.dump_detectors.abstract import DumpDetector, Finding
from tocsin.model import Severity

class Counting(DumpDetector):
    name = "counting"
    version = "2"

    def setup(self, config):
        unknown = config.keys() - {"do", "at", "in"}
        if unknown:
            raise ValueError(f"unknown: {sorted(unknown)}")
        self.do, self.at, self.method = config.get("do", ""), config.get("at", 2), config.get("in", "process")
        self.act("setup")

    def start(self, device):
        self.device, self.lines, self.dumps, self.fresh = device, 0, 0, True
        self.act("start")

    def act(self, method):
        if method == self.method and (method in ("setup", "start") or self.dumps + 1 >= self.at):
            if self.do not in ("tell", "endless", "huge"):
                exec(self.do, {**globals(), "self": self})

    def process(self, dump):
        if self.do and self.method == "process" and self.dumps + 1 == self.at:
            if self.do == "endless":
                while True:
                    yield self.finding(dump, 0)
            self.act("process")
        count = sum(1 for member in dump.members() for _ in member.lines())
        self.lines += count
        self.dumps += 1
        yield self.finding(dump, count)

    def finding(self, dump, count):
        return Finding(component="engine", code="lines", severity=Severity.INFO, score=1.5, from_ms=0,
            to_ms=1, reason=f"dump {dump.sequence} of {self.device.device} makes {self.lines} lines",
            evidence={"kept": not self.fresh, "pid": os.getpid()} if self.do == "tell" else {})

    def save(self):
        self.act("save")
        if self.do == "huge":
            return bytes(64 << 20)
        self.fresh = False
        return f"{self.lines} {self.dumps}".encode()

    def load(self, state, version):
        self.lines, self.dumps = map(int, state.split())
        self.act("load")

    def migrate(self, state, version):
        self.act("migrate")
        if version != "1":
            return super().migrate(state, version)
        return state.replace(b",", b" ")
"""


def install(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str = MODULE,
    announced: str = "counting_kit:Counting",
) -> None:
    """Have it found by this process and by those that it starts, as an installed package is.

    What an earlier test has imported under that name is forgotten.
    """
    monkeypatch.delitem(sys.modules, announced.partition(":")[0], raising=False)
    made = folder / "installed"
    made.mkdir()
    (made / "counting_kit.py").write_text(module)
    about = made / "counting_kit-2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: counting-kit\nVersion: 2\n")
    (about / "entry_points.txt").write_text(f"[tocsin.dump_detectors]\ncounting = {announced}\n")
    monkeypatch.syspath_prepend(str(made))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(made), os.environ.get("PYTHONPATH", "")]))


def task(folder: Path, sequence: int = 1, **changes: Any) -> Task:
    """A step with dump `sequence` of the device pump-7: so many lines in it."""
    path = folder / f"{sequence}.zip"
    if not path.exists():
        path.write_bytes(good_archive({"engine/engine.log": b"x\n" * sequence}))
    made: dict[str, Any] = {
        "tenant": "acme",
        "device": "pump-7",
        "detector": "counting",
        "archive": path,
        "dump": DumpFacts(sequence=sequence, sha256="0" * 64),
    }
    return Task(**made | changes)
