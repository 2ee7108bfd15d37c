"""Memory is taken in small pages, and goes back to the system after bursts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tocsin import memory

_BURST = """
import time
from pathlib import Path
from tocsin.clock import SystemClock
from tocsin.memory import Returning, free_bytes

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

libraries = []
give_back = Returning(SystemClock(), lambda: libraries.append(1))
burst = [b"x" * (100_000 + n) for n in range(3000)]
kept = burst[::100]  # what lies above the holes keeps the C library from closing them
del burst
held, before = free_bytes(), resident_bytes()
time.sleep(1)  # a busy process may keep more
give_back()
print(held >> 20, (before - resident_bytes()) >> 20, len(kept), len(libraries))
"""
_HUGE_PAGES = """
import ctypes
from tocsin.memory import be_thrifty

ctypes.CDLL(None).prctl(41, 0, 0, 0, 0)  # PR_SET_THP_DISABLE: inherited where whoever starts this is thrifty
asked = ctypes.CDLL(None).prctl(42, 0, 0, 0, 0)  # PR_GET_THP_DISABLE
be_thrifty()
print(asked, ctypes.CDLL(None).prctl(42, 0, 0, 0, 0))
"""
_COLLECTIONS = """
import gc
from tocsin.memory import keep_collections_short

class Clock:
    now_s = 0.0

    def monotonic_s(self):
        return self.now_s

clock = Clock()
keep_collections_short(clock, warm_up_s=10)
started = gc.get_freeze_count()
kernels = [{number: {}} for number in range(1000)]
gc.collect()
warm = gc.get_freeze_count() - started
clock.now_s = 11.0
later = [{number: {}} for number in range(1000)]
gc.collect()
print(started > 10_000, warm >= 1000, gc.get_freeze_count() - started - warm, len(gc.callbacks))
"""
_ENDING = """
import os
from tocsin.clock import SystemClock
from tocsin.memory import keep_collections_short

class Held:
    def __init__(self):
        self.itself = self

    def __del__(self, write=os.write):
        write(1, b"freed")

held = Held()
keep_collections_short(SystemClock())
"""
_SELDOM = """
import gc
import sys
from tocsin.cli import main
from tocsin.clock import SystemClock
from tocsin.memory import keep_collections_short

before = gc.get_threshold()
main(["version"])
asked_in_a_program = gc.get_threshold() == before
sys.argv[1:] = ["version"]
main()
begun = gc.get_threshold()[0] >= 10 * before[0]
keep_collections_short(SystemClock())
print("x", asked_in_a_program, begun, gc.get_threshold()[0] < 10_000)
"""
_glibc = pytest.mark.skipif(memory.free_bytes() == 0, reason="the C library can't be asked")


def _printed(script: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return [int(word) if word.isdigit() else word == "True" for word in done.stdout.split()]


@_glibc
def test_what_a_burst_has_left_goes_back() -> None:
    """Of what was freed in pieces, with some in use between them, nearly all; and libraries are told."""
    held_mib, returned_mib, kept, libraries = _printed(_BURST)
    assert (kept, libraries) == (30, 1)
    assert held_mib > 150
    assert returned_mib > 0.8 * held_mib


@_glibc
def test_huge_pages_are_off_in_a_thrifty_process() -> None:
    """Those that NumPy asks for by itself, too."""
    assert _printed(_HUGE_PAGES) == [0, 1]


def test_a_command_seldom_looks_for_garbage_and_a_server_often() -> None:
    """What is imported stays; what a server handles goes. A program that calls one keeps its own way."""
    assert _printed(_SELDOM)[-3:] == [True, True, True]


def test_full_collections_pass_over_what_was_there_at_the_start() -> None:
    """What a process made to work with, and what it made during the warm-up; nothing of later."""
    assert _printed(_COLLECTIONS) == [True, True, 0, 0]


def test_what_was_passed_over_is_freed_when_the_process_ends() -> None:
    """Else DuckDB finds its objects in use, and writes fifty lines about leaks behind the last word."""
    done = subprocess.run([sys.executable, "-c", _ENDING], capture_output=True, text=True, check=True)
    assert done.stdout == "freed"
