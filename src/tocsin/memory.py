"""Memory that the process has taken from the system and does not use: kept small, given back after bursts.

Speaks to the C library and the kernel of Linux; with others every function does nothing. No verdict depends
on it.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import math
import mmap
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tocsin.clock import Clock

ARENAS_MAX: Final = 2
IDLE_FREE_BYTES_MAX: Final = 64 << 20
BUSY_FREE_BYTES_MAX: Final = 512 << 20
WARM_UP_S: Final = 300.0
_YOUNG_MIDDLE_OLD: Final = (700, 10, 10)
"""What has to be made before each generation is looked at, as Python 3.11 has it."""
_FULL: Final = 2  # the generation of a full collection
_BUSY_SHARE: Final = 0.5  # of one core
_M_ARENA_MAX: Final = -8
_PR_SET_THP_DISABLE: Final = 41
_MALLINFO2: Final = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


class _Mallinfo2(ctypes.Structure):
    """As malloc.h has it."""

    _fields_ = [(name, ctypes.c_size_t) for name in _MALLINFO2]


@cache
def _libc() -> ctypes.CDLL | None:
    """The C library, if it is glibc 2.33 or newer."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallinfo2.restype = _Mallinfo2
        libc.malloc_trim.argtypes = [ctypes.c_size_t]
    except (OSError, AttributeError):
        return None
    return libc


def be_thrifty() -> None:
    """Take memory in small pages and few arenas; for a whole process, before it starts its threads.

    Each thread would get an arena of its own, and what one has freed no other can use. Huge pages, which
    NumPy asks for, are worth little here and cost much: the kernel moves other memory about until it has
    one, while the thread waits, and a table of which little is used takes all its room.
    """
    if (libc := _libc()) is not None:
        libc.mallopt(_M_ARENA_MAX, ARENAS_MAX)
        libc.prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def keep_collections_short(clock: Clock, warm_up_s: float = WARM_UP_S) -> None:
    """Let Python's garbage collector pass over what a process has made to work with; once it has started.

    A full collection looks at every object of every module and kernel while all threads stand still: 180 ms,
    and what began it is whoever happened to make some dictionaries. Kernels are loaded as they are first
    needed, so what full collections find in use during the warm-up is passed over as well. Such an object
    that becomes garbage with a cycle is freed when the process ends; there is a bounded number of them. From
    here on Python looks for garbage as often as it does by itself: each look at the young takes microseconds.
    """
    gc.set_threshold(*_YOUNG_MIDDLE_OLD)
    gc.freeze()  # without a collection first: modules and what a start makes leave no garbage to speak of
    end_s = clock.monotonic_s() + warm_up_s

    def freeze(phase: str, info: dict[str, int]) -> None:
        if clock.monotonic_s() > end_s:
            gc.callbacks.remove(freeze)
        elif phase == "stop" and info["generation"] == _FULL:
            gc.freeze()

    def thaw() -> None:
        """So that the interpreter can end with nothing left: libraries written in C++ complain of leaks."""
        if freeze in gc.callbacks:
            gc.callbacks.remove(freeze)
        gc.unfreeze()

    gc.callbacks.append(freeze)
    atexit.register(thaw)


def zeroed(shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Zeroes that take up no memory until they are written, page by page, and none once nobody has them.

    NumPy's own do so only from some size on, which changes as the process goes on. For tables of 1 MiB and
    more: each is a mapping, of which a process may have some ten thousand. MemoryError where there is none.
    """
    count = math.prod(shape)
    try:
        memory = mmap.mmap(-1, count * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:  # of no file: what is lacking is memory
        raise MemoryError(f"no memory for an array of {shape} {dtype}") from error
    return np.frombuffer(memory, dtype, count).reshape(shape)


def free_bytes() -> int:
    """What the C library holds for the next allocation; 0 where it can't be asked. Some milliseconds."""
    libc = _libc()
    return 0 if libc is None else int(libc.mallinfo2().fordblks)


class Returning:
    """Gives back what bursts have left, when called now and then. Not thread-safe.

    A busy process soon needs again what it has freed, and would pay for it anew, so it may keep more.
    `release` is for what libraries with allocators of their own keep; called then too, and at rest.
    """

    def __init__(self, clock: Clock, release: Callable[[], None] = lambda: None) -> None:
        self._clock: Final = clock
        self._release: Final = release
        self._looked_s = clock.monotonic_s()
        self._used_s = time.process_time()

    def __call__(self) -> None:
        """Blocks for some 50 ms a GiB that is given back; whoever allocates meanwhile may wait as long."""
        now_s, used_s = self._clock.monotonic_s(), time.process_time()
        busy = used_s - self._used_s > _BUSY_SHARE * (now_s - self._looked_s)
        self._looked_s, self._used_s = now_s, used_s
        libc = _libc()
        full = free_bytes() > (BUSY_FREE_BYTES_MAX if busy else IDLE_FREE_BYTES_MAX)
        if libc is not None and full:
            libc.malloc_trim(0)
        if full or not busy:
            self._release()
