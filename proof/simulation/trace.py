"""What happened in a simulation, as one hash: the same seed must give the same."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Final

import xxhash

KEPT: Final = 400
AT_ONCE: Final = 200


class Trace:
    """Every scheduling point enters the hash. `now_s` tells the time; the last few entries are kept."""

    def __init__(self, now_s: Callable[[], float] = lambda: 0.0) -> None:
        self.now_s = now_s
        self.points = 0
        self.faults: Counter[str] = Counter()
        self._hash = xxhash.xxh3_128()
        self._waiting: list[str] = []
        self.last: deque[tuple[float, str, str]] = deque(maxlen=KEPT)

    def note(self, who: str, what: str) -> None:
        """Somebody came to a point where another may go on, or something was decided."""
        self.points += 1
        moment_s = self.now_s()
        self._waiting.append(f"{moment_s} {who} {what}\n")
        if len(self._waiting) == AT_ONCE:
            self._take()
        self.last.append((moment_s, who, what))

    def fault(self, kind: str, where: str = "") -> None:
        """A fault was let loose."""
        self.faults[kind] += 1
        self.note("fault", f"{kind} {where}")

    def digest(self) -> str:
        """The hash so far."""
        self._take()
        return self._hash.hexdigest()

    def _take(self) -> None:
        """Hash what waits, many entries at a time."""
        self._hash.update("".join(self._waiting).encode())
        self._waiting.clear()
