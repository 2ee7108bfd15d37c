"""Inputs that a fuzzer has found, one file each, named TARGET-what-it-was.b64: none may be found again."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from proof.fuzz.targets import TARGETS

FOUND = sorted((Path(__file__).parent / "found").glob("*.b64"))
_RUN = "import sys; from proof.fuzz.targets import TARGETS; TARGETS[sys.argv[1]].run(sys.stdin.buffer.read())"


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)
def test_what_was_found_is_answered_now(path: Path) -> None:
    """In a process of its own, since some of them ended it."""
    target = path.stem.partition("-")[0]
    data = base64.b64decode(path.read_text())
    done = subprocess.run([sys.executable, "-c", _RUN, target], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-1000:]


@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_of_a_fuzzer_is_answered(name: str) -> None:
    """What a fuzzer starts from, and nothing at all, is no find."""
    for data in (b"", *TARGETS[name].seeds):
        TARGETS[name].run(data)
