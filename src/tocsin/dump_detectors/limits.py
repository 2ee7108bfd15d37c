"""How much a step may use and give."""

from __future__ import annotations

import msgspec


class StepLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one worker and of one step; beyond them the step fails with a reason.

    `wall_s` runs from handing over the task to its answer, but for what the worker waits for a processor.
    `memory_bytes` is address space beyond what a
    worker holds when it is ready. `files_max` counts open files, `file_bytes_max` is the largest file that
    it may write. Findings are counted as they come, their bytes as JSON. A worker keeps the instances of
    at most `kept_devices_max` devices whose saved states have at most `kept_bytes_max`.
    """

    wall_s: float = 60.0
    memory_bytes: int = 1 << 30
    files_max: int = 128
    file_bytes_max: int = 64 << 20
    findings_max: int = 1_000
    findings_bytes_max: int = 1 << 20
    state_bytes_max: int = 16 << 20
    kept_devices_max: int = 256
    kept_bytes_max: int = 128 << 20
    start_s: float = 60.0
