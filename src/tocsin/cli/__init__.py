"""The command line: one file a command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import signal
import threading


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; the entry point of the `tocsin` script.

    Ctrl-C before anything has begun ends the process as it ends any program, without a traceback.
    """
    hears = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, signal.SIG_DFL) if hears else None
    from tocsin.cli.app import main as run

    if hears:
        signal.signal(signal.SIGINT, before)
    return run(arguments)
