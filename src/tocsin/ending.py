"""Lets a command end without being taken apart object by object, a fourth of the time of a short one."""

from __future__ import annotations

import atexit
import os
import sys


class SwiftEnd:
    """Ends the process at once when all who wait for its end have been called, with the code that was said.

    To be made first: who registers first is called last. Threads that matter have ended by then. A process
    for which no code was said, or whose output can't be written, ends as Python ends any.
    """

    def __init__(self) -> None:
        self._code: int | None = None
        atexit.register(self._end)

    def say(self, code: int) -> int:
        """The process is to end with `code`, which is given back."""
        self._code = code
        return code

    def _end(self) -> None:
        if self._code is None:
            return
        try:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:  # a process may be started without
                    stream.flush()
        except (OSError, ValueError):
            return
        os._exit(self._code)
