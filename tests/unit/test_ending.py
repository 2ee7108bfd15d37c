"""A command ends with its code and all of its output, and is not taken apart first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

PROGRAM = """
import atexit
import os
import sys
from tocsin.ending import SwiftEnd

class Held:
    def __del__(self, write=os.write):
        write(2, b"taken apart")

end = SwiftEnd()
atexit.register(print, "all were called")
held = Held()
print("said")
"""
FULL = Path("/dev/full")


def ended(rest: str, stdout: int | IO[str] = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + rest],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )


def test_who_waits_for_the_end_is_called_and_nothing_is_taken_apart() -> None:
    """What was written is there, also what is written in the end; the code is the one that was said."""
    done = ended("sys.exit(end.say(3))")
    assert (done.returncode, done.stdout, done.stderr) == (3, "said\nall were called\n", "")


def test_a_process_that_says_no_code_ends_as_any() -> None:
    """Such as one that an error ended."""
    done = ended("raise SystemExit('wrong')")
    assert (done.returncode, done.stdout) == (1, "said\nall were called\n")
    assert done.stderr == "wrong\ntaken apart"


@pytest.mark.skipif(not FULL.exists(), reason="needs Linux")
def test_output_that_can_not_be_written_is_told() -> None:
    """By Python, with its own code."""
    with FULL.open("w") as full:
        done = ended("sys.exit(end.say(0))", stdout=full)
    assert done.returncode == 120
    assert "No space left on device" in done.stderr
