"""The command line: one file a command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import gc
import signal
import threading
from types import FrameType
from typing import Final

from tocsin.ending import SwiftEnd

_IMPORTING: Final = "<frozen importlib._bootstrap>"
_OBJECTS_BETWEEN_COLLECTIONS: Final = 20_000
"""Modules are objects that stay: looking for garbage among them takes a seventh of the start of a command."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; the entry point of the `tocsin` script.

    Without arguments it takes those of the process, which ends with that code.
    Ctrl-C while something is imported ends the process as it ends any program, without a traceback.
    """
    end = None
    if arguments is None:
        end = SwiftEnd()
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    if _is_default():
        signal.signal(signal.SIGINT, _interrupted)
    from tocsin.cli.app import main as run

    try:
        code = run(arguments)
    finally:
        if signal.getsignal(signal.SIGINT) is _interrupted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    return code if end is None else end.say(code)


def _is_default() -> bool:
    """Whether Ctrl-C would raise KeyboardInterrupt here; who starts us in the background has it ignored."""
    hears = threading.current_thread() is threading.main_thread()
    return hears and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but not into an import: libraries in C abort then, or stay half loaded.

    Ending at once is as safe as a power cut, also where stores are open by then.
    """
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTING:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        frame = frame.f_back
    raise KeyboardInterrupt
