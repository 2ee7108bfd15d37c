"""The page of memory through which a test steers the shim inside a process."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Final

from proof.shim.event import Kind

_FIELDS: Final = (
    "calls",
    "kill_at",
    "kill_torn",
    "fail_kinds",
    "fail_errno",
    "fail_after",
    "fail_count",
    "matched",
    "failed",
)
_WORD: Final = struct.Struct("=Q")
FOREVER: Final = 1 << 62


class Control(AbstractContextManager["Control"]):
    """Counts a process's changing calls, and says which of them ends it or fails."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        with path.open("w+b") as file:
            file.truncate(mmap.PAGESIZE)
            self._page = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._page.close()

    @property
    def calls(self) -> int:
        """Changing calls so far, over all processes that share the page."""
        return self._get("calls")

    @property
    def failed(self) -> int:
        """Calls that were made to fail."""
        return self._get("failed")

    def kill_at(self, call: int, *, torn: bool = False) -> None:
        """End the process before its call of that number, counted from now on; 0 = never.

        `torn`: if it is a write, half of it is done first.
        """
        self._set("calls", 0)
        self._set("kill_torn", int(torn))
        self._set("kill_at", call)

    def fail(self, kinds: Iterable[Kind], error: int, *, after: int = 0, count: int = FOREVER) -> None:
        """Let calls of these kinds fail with errno `error`, after so many that pass, from now on."""
        self._set("fail_count", 0)
        self._set("matched", 0)
        self._set("failed", 0)
        self._set("fail_errno", error)
        self._set("fail_after", after)
        self._set("fail_kinds", sum(1 << kind for kind in set(kinds)))
        self._set("fail_count", count)

    def heal(self) -> None:
        """Let every call pass again."""
        self._set("fail_kinds", 0)

    def _get(self, name: str) -> int:
        return int(_WORD.unpack_from(self._page, _FIELDS.index(name) * _WORD.size)[0])

    def _set(self, name: str, value: int) -> None:
        _WORD.pack_into(self._page, _FIELDS.index(name) * _WORD.size, value)
