"""Tables that grow: what was in them stays, what is new is zero, and room costs no memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.memory import zeroed
from tocsin.processing.rows import POLICY
from tocsin.processing.tables import Table, grow

CELL = np.dtype([("mean", "f8"), ("deviation", "f4"), ("visits", "u1")])
DTYPES = st.sampled_from([np.dtype("u1"), np.dtype("f8"), CELL, POLICY])
SHAPES = st.sampled_from([(), (0,), (1,), (168,)])


def resident_bytes() -> int:
    """Of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@settings(deadline=None, max_examples=50)  # the first example compiles
@given(
    dtype=DTYPES, shape=SHAPES, steps=st.lists(st.integers(1, 20_000), max_size=6), seed=st.integers(0, 100)
)
def test_growing_keeps_what_was_there_and_adds_zeroes(
    dtype: np.dtype[Any], shape: tuple[int, ...], steps: list[int], seed: int
) -> None:
    """Byte by byte, small or large, whatever the steps."""
    rng = np.random.default_rng(seed)
    rows, size, value = np.zeros((1, *shape), dtype), 0, 0
    for step in steps:
        needed = size // max(rows.nbytes // len(rows), 1) + step
        rows = grow(rows, needed)
        assert len(rows) >= needed
        raw = rows.view(np.uint8).reshape(-1)
        written = raw[: size // 2 : 4097]
        assert (written == value).all()
        written[:] = 0
        assert raw.max(initial=0) == 0  # nothing but what was written, neither in the old part nor the new
        size, value = len(raw), int(rng.integers(0, 256, dtype=np.uint8))
        raw[: size // 2 : 4097] = value  # leaves pages of zeroes between


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux how much memory is in use")
def test_rows_that_nobody_writes_take_up_no_memory() -> None:
    """A hundred MiB of policies that never ran, grown in steps with one that did, are hardly there."""
    warm = Table(POLICY)
    warm.extend(20_000)  # compiles what moves rows
    warm.extend(20_000)
    before_bytes = resident_bytes()
    table = Table(POLICY)
    table.extend(100)
    table.rows["readings"][3] = 1
    while table.used.nbytes < 100 << 20:
        table.extend(10_000)
    assert table.rows["readings"].sum() == 1
    assert resident_bytes() - before_bytes < 10 << 20


def test_zeroes_may_be_written_like_any_array() -> None:
    """They have the shape and type asked for."""
    rows = zeroed((1000, 168), CELL)
    assert (rows.shape, rows.dtype, rows.flags.c_contiguous, rows.flags.aligned) == (
        (1000, 168),
        CELL,
        True,
        True,
    )
    rows["mean"][999, 167] = 1.5
    assert rows["mean"].sum() == 1.5


def test_zeroes_for_which_there_is_no_memory_are_refused_as_any_memory_is() -> None:
    """More than a machine can address: as NumPy says it, so that whoever runs short of memory is told so."""
    with pytest.raises(MemoryError):
        zeroed((1 << 54,), np.dtype("u1"))
