"""One fuzzer at work on one target: how long, how many executions, what was found."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_EXECUTIONS: Final = re.compile(r"stat::number_of_executed_units: (\d+)")
_START_S: Final = 300
"""Imports and, the first time, compiling kernels; then the fuzzer ends by itself when its time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`found` are files with the inputs that were refused in no proper way; `output` says how."""

    target: str
    executions: int
    found: tuple[Path, ...]
    ended_well: bool
    output: str

    @property
    def failed(self) -> bool:
        """Whether anything was found, or the fuzzer itself broke."""
        return bool(self.found) or not self.ended_well


def fuzz(target: str, folder: Path, seconds: int, seed: int) -> Session:
    """Fuzz for so long, going on from the corpus that earlier sessions left in `folder`."""
    before = set(_found(folder, target))
    command = [sys.executable, "-m", "proof.fuzz.worker", target, str(folder / target)]
    done = subprocess.run(
        [*command, "--seconds", str(seconds), "--seed", str(seed)],
        capture_output=True,
        check=False,
        timeout=seconds + _START_S,
    )
    output = done.stderr.decode(errors="replace")
    executions = _EXECUTIONS.search(output)
    return Session(
        target=target,
        executions=int(executions[1]) if executions else 0,
        found=tuple(sorted(set(_found(folder, target)) - before)),
        ended_well=done.returncode == 0,
        output=output[-4000:],
    )


def _found(folder: Path, target: str) -> list[Path]:
    return list((folder / "found").glob(f"{target}-*"))
