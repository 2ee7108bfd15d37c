"""What a rehearsal has compiled ahead of the first step."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
from numba.core.dispatcher import Dispatcher

from tests.kit import LogHistory, fleet, log_of
from tests.unit.test_processor import controls_amid, late, run, split
from tocsin.processing.processor import process
from tocsin.processing.rehearsal import rehearse
from tocsin.processing.snapshots import occupied, snapshot_shards
from tocsin.processing.state import PartitionState, digest_sums

ROOT = Path(__file__).parents[2]


def compiled() -> dict[str, int]:
    """By kernel of Tocsin's: for how many kinds of arguments it is compiled."""
    gc.unfreeze()  # what is frozen is not among the objects
    kernels = [each for each in gc.get_objects() if isinstance(each, Dispatcher)]
    return {f"{each.py_func.__module__}.{each.py_func.__name__}": len(each.signatures) for each in kernels}


def compiled_by_steps() -> list[str]:
    """Kernels that steps, checkpoints and digests compile although there was a rehearsal."""
    rehearse()
    before = compiled()
    for seed in range(8):
        rows = late(fleet(seed, steps=400), seed)
        state, _ = run(controls_amid(split(rows, 50), seed))
        state.totals()
        snapshot_shards(state, np.flatnonzero(occupied(state)).astype(np.int64))
        for tenant in state.tenants.values():
            digest_sums(tenant)
    many = log_of(
        split([(f"d{n}", ts, values) for n, (_, ts, values) in enumerate(fleet(1, steps=2000))], 500)
    )
    process(many, PartitionState(0), LogHistory(many))
    return sorted(name for name, kinds in compiled().items() if kinds != before.get(name, 0))


def test_steps_compile_nothing_after_a_rehearsal() -> None:
    """Shifts, silences, late and repeated readings, corrections and thousands of names find all ready."""
    code = "from tests.unit.test_rehearsal import compiled_by_steps as found; print(found())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stdout + done.stderr
