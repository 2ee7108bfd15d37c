"""How long a sender goes on trying, and how it waits: as the server asks, and not against a closed door."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

REFUSED: Final = -1
"""The status of a try that met nobody: no process listened."""
_PAUSE_S: Final = 0.02
_PAUSE_REFUSED_S: Final = 0.1
_PAUSE_MAX_S: Final = 5.0
_TOLD_CHARACTERS: Final = 300


class Patience:
    """`listened_s` of trying while somebody listens, `s_max` in all; time without a server is the server's.

    Both are long: a killed server that starts again takes minutes on a loaded machine, and one whose kernels
    have to be compiled first answers 503 as long; senders that ask all the time make that longer.
    """

    def __init__(
        self,
        listened_s: float = 600.0,
        s_max: float = 1200.0,
        *,
        sleep: Callable[[float], object] = time.sleep,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._left_s = listened_s
        self._sleep = sleep
        self._now_s = now_s
        self._tried_s = now_s()
        self._until_s = self._tried_s + s_max
        self._statuses: Counter[int] = Counter()
        self._last = ""

    def lasts(self) -> bool:
        """Whether to try again."""
        return self._left_s > 0 and self._now_s() < self._until_s

    def wait(self, status: int, headers: Mapping[str, str], text: str) -> None:
        """After a try without success: note it, and wait as long as it asks."""
        self._statuses[status] += 1
        self._last = text[:_TOLD_CHARACTERS]
        asked = headers.get("retry-after", "")
        pause_s = _PAUSE_REFUSED_S if status == REFUSED else _PAUSE_S
        self._sleep(min(float(asked), _PAUSE_MAX_S) if asked.isdigit() else pause_s)
        now_s = self._now_s()
        if status != REFUSED:
            self._left_s -= now_s - self._tried_s
        self._tried_s = now_s

    def __str__(self) -> str:
        """What was met."""
        return f"tries by status: {dict(self._statuses)}, the last one: {self._last}"
