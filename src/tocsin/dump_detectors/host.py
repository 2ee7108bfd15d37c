"""Where other teams' detectors run, and which of their versions are installed there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from tocsin.dump_detectors.installed import AskVersion, ask_installed
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.pool import WorkerPool
from tocsin.dump_detectors.steps import Stepper


@dataclass(frozen=True, slots=True)
class DetectorHost:
    """`worker` starts one that does a step at a time; `ask_version` is as `ask_installed`."""

    worker: Callable[[StepLimits], Stepper]
    ask_version: AskVersion


PROCESSES: Final = DetectorHost(partial(WorkerPool, 1), ask_installed)
"""Worker processes on this machine."""
