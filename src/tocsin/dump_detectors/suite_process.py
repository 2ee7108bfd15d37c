"""A process in which checks run, seen from the suite."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from typing import Final, Self

import msgspec

from tocsin.dump_detectors.suite_words import SuiteOrder, SuiteWord

_READ_BYTES: Final = 1 << 16
_WORDS: Final = msgspec.json.Decoder(SuiteWord)


class SuiteProcess:
    """A process that runs checks; its output is read line by line, with a bound on the time between two."""

    def __init__(self, order: SuiteOrder, *, seed: int, threads: int) -> None:
        settings = {
            "PYTHONHASHSEED": str(seed),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": str(threads),
        }
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tocsin.dump_detectors.suite_child"],
            env=os.environ | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._late = False
        self._order = msgspec.json.encode(order)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.kill()
        self._popen.communicate()

    def words(self, within_s: float) -> Iterator[SuiteWord]:
        """What it says, until it has said all or has been silent for too long."""
        stdin, stdout = self._popen.stdin, self._popen.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("a process without pipes, or one that was asked before")
        stdin.write(self._order)
        stdin.close()
        self._popen.stdin = None
        rest = b""
        while select.select([stdout], [], [], within_s)[0]:
            piece = os.read(stdout.fileno(), _READ_BYTES)
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            yield from map(_WORDS.decode, lines)
        self._late = True

    def end(self) -> str:
        """Why it did not come to its end, empty if it did."""
        if self._late:
            return "it takes too long: the check was ended"
        status = self._popen.wait()
        return f"the process ended with {status}" if status else ""
