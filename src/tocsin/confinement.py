"""What a process that runs other people's SQL or code gives up: memory, files, the network, other programs.

A second wall behind the engine's own settings, for the case that these have a hole. Limits hold on any
Unix, the filter of system calls on Linux with x86-64 or ARM64; elsewhere the first wall stands alone.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_NICE: Final = 5
_NO_NEW_PRIVILEGES: Final = 38  # PR_SET_NO_NEW_PRIVS
_SET_FILTER: Final = 1  # SECCOMP_SET_MODE_FILTER
_ALL_THREADS: Final = 1  # SECCOMP_FILTER_FLAG_TSYNC
_THREAD: Final = 0x0001_0000  # CLONE_THREAD
_WRITE: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT

# By machine: audit architecture, the system call `seccomp`, and what is refused.
_MACHINES: Final = {
    "x86_64": (
        0xC000_003E,
        317,
        {
            "open": 2, "clone": 56, "openat": 257, "socket": 41, "socketpair": 53, "connect": 42, "bind": 49,
            "fork": 57, "vfork": 58, "execve": 59, "ptrace": 101, "truncate": 76, "rename": 82, "mkdir": 83,
            "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90, "chown": 92,
            "mount": 165, "mknod": 133, "mkdirat": 258, "mknodat": 259, "fchownat": 260, "unlinkat": 263,
            "renameat": 264, "linkat": 265, "symlinkat": 266, "fchmodat": 268, "unshare": 272, "setns": 308,
            "process_vm_readv": 310, "process_vm_writev": 311, "renameat2": 316, "bpf": 321, "execveat": 322,
            "io_uring_setup": 425, "clone3": 435, "openat2": 437,
        },
    ),
    "aarch64": (
        0xC000_00B7,
        277,
        {
            "clone": 220, "openat": 56, "socket": 198, "socketpair": 199, "connect": 203, "bind": 200,
            "execve": 221, "ptrace": 117, "truncate": 45, "mknodat": 33, "mkdirat": 34, "unlinkat": 35,
            "symlinkat": 36, "linkat": 37, "renameat": 38, "mount": 40, "fchmodat": 53, "fchownat": 54,
            "unshare": 97, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271,
            "renameat2": 276, "bpf": 280, "execveat": 281, "io_uring_setup": 425, "clone3": 435,
            "openat2": 437,
        },
    ),
}  # fmt: skip
# What opens a way to others; io_uring opens sockets beside the ordinary calls.
_NETWORK: Final = frozenset(
    {"socket", "connect", "bind", "ptrace", "process_vm_readv", "process_vm_writev", "setns", "unshare",
     "bpf", "io_uring_setup"}
)  # fmt: skip
# The C library falls back to the older call when it hears that the newer one does not exist.
_UNKNOWN: Final = frozenset({"clone3", "openat2", "io_uring_setup"})


def confine(memory_bytes: int) -> None:
    """Bound this process for good: `memory_bytes` more than it holds now, nothing written, nobody called."""
    os.nice(_NICE)
    with suppress(OSError):  # the kernel's choice when memory ends: this process first
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    _bound_memory(memory_bytes)
    _filter_calls()


def confine_worker(memory_bytes: int) -> bool:
    """Bound a process that runs another team's code: `memory_bytes` more than it holds now, no network.

    Files and programs are left to it, and inherit the limits. Gives whether the network is really out of
    reach: a system without filters of system calls has no way to take it from an ordinary process.
    """
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _bound_memory(memory_bytes)
    return _filter_calls(_NETWORK)


def allow_cpu(seconds: float) -> None:
    """End this process by SIGXCPU once it has used so much more processor time."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    until_s = int(usage.ru_utime + usage.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (until_s, resource.RLIM_INFINITY))


def _bound_memory(memory_bytes: int) -> None:
    held = _address_space_bytes()
    if held:
        resource.setrlimit(resource.RLIMIT_AS, (held + memory_bytes, resource.RLIM_INFINITY))


def _address_space_bytes() -> int:
    """0 where the system does not say; then the limit on the address space means little too."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()


def _filter_calls(names: frozenset[str] | None = None) -> bool:
    """Refuse the calls of these names, or all of the table; whether the kernel took the filter."""
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        return False
    architecture, call, every = machine
    numbers = {name: number for name, number in every.items() if names is None or name in names}
    program = b"".join(_instructions(architecture, numbers))
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    # a kernel without it refuses, and the first wall has to do
    return bool(library.syscall(call, _SET_FILTER, _ALL_THREADS, header) == 0)


def _instructions(architecture: int, numbers: dict[str, int]) -> Iterator[bytes]:
    """A classic BPF program over the call's number and arguments; whatever it does not name is allowed."""
    yield _load(4)
    yield from _unless_equal(architecture, [_answer_error(errno.EPERM)])
    yield _load(0)
    yield from _when_any_bit(0x4000_0000, [_answer_error(errno.EPERM)])  # x32, another table of numbers
    for name, number in numbers.items():
        match name:
            case "clone":
                refused = [_load(16), *_unless_any_bit(_THREAD, [_answer_error(errno.EPERM)]), _ALLOW]
            case "open" | "openat":
                flags = _load(24 if name == "open" else 32)
                refused = [flags, *_when_any_bit(_WRITE, [_answer_error(errno.EACCES)]), _ALLOW]
            case _:
                refused = [_answer_error(errno.ENOSYS if name in _UNKNOWN else errno.EPERM)]
        yield from _when_equal(number, refused)
    yield _ALLOW


def _load(offset: int) -> bytes:
    return struct.pack("HBBI", 0x20, 0, 0, offset)


def _answer_error(number: int) -> bytes:
    return struct.pack("HBBI", 0x06, 0, 0, 0x0005_0000 | number)


_ALLOW: Final = struct.pack("HBBI", 0x06, 0, 0, 0x7FFF_0000)


def _when_equal(value: int, then: Iterable[bytes]) -> list[bytes]:
    block = list(then)
    return [struct.pack("HBBI", 0x15, 0, len(block), value), *block]


def _unless_equal(value: int, then: Iterable[bytes]) -> list[bytes]:
    block = list(then)
    return [struct.pack("HBBI", 0x15, len(block), 0, value), *block]


def _when_any_bit(bits: int, then: Iterable[bytes]) -> list[bytes]:
    block = list(then)
    return [struct.pack("HBBI", 0x45, 0, len(block), bits), *block]


def _unless_any_bit(bits: int, then: Iterable[bytes]) -> list[bytes]:
    block = list(then)
    return [struct.pack("HBBI", 0x45, len(block), 0, bits), *block]
