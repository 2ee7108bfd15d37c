"""Where other teams' detectors run, and which of their versions are installed there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from tocsin.dump_detectors.installed import VersionOf, installed_version
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.pool import WorkerPool
from tocsin.dump_detectors.steps import Stepper


@dataclass(frozen=True, slots=True)
class DetectorHost:
    """`worker` starts one that does a step at a time; `version_of` is as `installed_version`."""

    worker: Callable[[StepLimits], Stepper]
    version_of: VersionOf


PROCESSES: Final = DetectorHost(partial(WorkerPool, 1), installed_version)
"""Worker processes on this machine."""
