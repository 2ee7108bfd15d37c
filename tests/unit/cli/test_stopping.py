"""How commands end when somebody tells them to: in order, in bounded time, and without a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLOW = """
import signal, threading, time
from tocsin.cli.serve import end_on_signals

class Slow:
    ended = threading.Event()
    def end(self):
        self.ended.set()

end_on_signals(Slow(), {stop_s})
print("ready", flush=True)
while not Slow.ended.wait(0.1):
    pass
print("stopping", flush=True)
time.sleep(300)
"""


def stopping(stop_s: float, number: int) -> subprocess.Popen[str]:
    """A process that has been told to stop, and takes its time."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW.format(stop_s=stop_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == "stopping\n"
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_that_takes_too_long_is_cut_off(number: int) -> None:
    """After its time the process ends, says why, and what that means."""
    process = stopping(0.5, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "took longer than 0.5 s, ended at once; what was acknowledged is safe" in err


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(first: int, second: int) -> None:
    """Whichever comes second, nothing is waited for."""
    process = stopping(300, first)
    process.send_signal(second)
    process.communicate(timeout=60)
    assert process.returncode == -second


INTERRUPTED = """
import signal, sys
sys.path.insert(0, {folder!r})
import tocsin.cli.app

def interrupt():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        print("raised", flush=True)
    return 0

tocsin.cli.app.main = lambda _: __import__("library") and 0 if {importing} else interrupt()
sys.exit(tocsin.cli.main([]))
"""


@pytest.mark.parametrize(("importing", "expected"), [(True, (-signal.SIGINT, "")), (False, (0, "raised\n"))])
def test_no_library_is_interrupted_while_it_is_imported(
    tmp_path: Path, importing: bool, expected: tuple[int, str]
) -> None:
    """Those in C abort with a traceback of their own, or stay half loaded: the process ends instead."""
    (tmp_path / "library.py").write_text("from __main__ import interrupt\ninterrupt()\n")
    script = INTERRUPTED.format(folder=str(tmp_path), importing=importing)
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (*expected, "")


@pytest.mark.parametrize("after_s", [0.8, 1.5, 3.0, 5.0])
def test_the_demo_ends_without_a_traceback_whenever_it_is_told_to(tmp_path: Path, after_s: float) -> None:
    """From when the interpreter runs our code, Ctrl-C is no error; it says where the data lie."""
    script = Path(sys.executable).parent / "tocsin"
    process = subprocess.Popen(
        [script, "demo", "--data", tmp_path / "demo", "--stations", "2", "--days", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    assert process.returncode in {0, 130, -signal.SIGINT}
    if (tmp_path / "demo").exists():
        assert f"Goodbye. The data lie in {tmp_path / 'demo'}" in err or process.returncode < 0
