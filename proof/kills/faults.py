"""Errors of the disk that a life is given, and how it must end then."""

from __future__ import annotations

import errno
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proof.shim.control import Control
from proof.shim.event import Kind
from tocsin.storage.faults import EXIT_STATUS


@dataclass(frozen=True, slots=True)
class Fault:
    """Calls of some kinds fail with an error, for a while. `ends`: the process has to end by itself."""

    name: str
    kinds: Sequence[Kind]
    error: int
    calls_max: int
    ends: bool

    def inject(self, control: Control, rng: random.Random, after_max: int) -> None:
        """From a random call on, for a random number of calls."""
        count = rng.randint(1, self.calls_max)
        control.fail(self.kinds, self.error, after=rng.randrange(after_max), count=count)


FAULTS: Final = (
    Fault("fsync_eio", (Kind.SYNC,), errno.EIO, 1, ends=True),
    # SQLite passes over a sync of a folder that failed after it made a file (`unixSync` in its os_unix.c);
    # only Tocsin's own sync of the folder, which follows, ends the process.
    Fault("folder_eio", (Kind.SYNC_DIRECTORY,), errno.EIO, 25, ends=False),
    Fault("disk_full", (Kind.WRITE, Kind.CREATE, Kind.TRUNCATE, Kind.MKDIR), errno.ENOSPC, 60, ends=False),
    Fault("write_eio", (Kind.WRITE,), errno.EIO, 3, ends=False),
    Fault("too_many_files", (Kind.OPEN,), errno.EMFILE, 25, ends=False),
)
SYNC_FAILED: Final = EXIT_STATUS
