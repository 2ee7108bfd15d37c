"""How long a worker is waited for: what it spends waiting for a processor is no fault of its detector."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

_WAITED_MAX: Final = 9.0
_NS_PER_S: Final = 1e9


class Patience:
    """Ends after `seconds`, plus what the process has waited for a processor meanwhile, at most 9 times that.

    So a busy machine stops no detector, while one that sleeps, stands still or computes for ever is noticed.
    """

    def __init__(self, pid: int, seconds: float) -> None:
        self._pid: Final = pid
        self._until_s: Final = time.monotonic() + seconds
        self._waited_max_s: Final = _WAITED_MAX * seconds
        self._waited_before_s: Final = waited_s(pid)

    def left_s(self) -> float:
        """Seconds until the end, as far as can be told now; 0 or less once it has come."""
        waited = min(max(0.0, waited_s(self._pid) - self._waited_before_s), self._waited_max_s)
        return self._until_s + waited - time.monotonic()


def waited_s(pid: int) -> float:
    """How long the first thread of a process has waited for a processor so far; 0 where nothing tells."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / _NS_PER_S
    except (OSError, ValueError, IndexError):
        return 0.0
