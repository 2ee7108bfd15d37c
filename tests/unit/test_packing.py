"""Packed rows: what comes out is what went in, and pieces of another size are noticed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.processing.packing import pack_rows, unpack_rows

ITEM = np.dtype([("mean", "f8"), ("deviation", "f4"), ("visits", "u1")])
DTYPES = st.sampled_from([np.dtype("u1"), np.dtype("u2"), np.dtype("f8"), ITEM, np.dtype("V21")])
SHAPES = st.sampled_from([(), (0,), (1,), (7,), (8,), (9,), (168,)])


def rows_of(dtype: np.dtype[Any], shape: tuple[int, ...], seed: int) -> npt.NDArray[Any]:
    """Ten rows, most of whose bytes are zero."""
    rng = np.random.default_rng(seed)
    rows = np.zeros((10, *shape), dtype)
    raw = rows.view(np.uint8)
    raw[...] = np.where(rng.random(raw.shape) < rng.random(), 0, rng.integers(0, 256, raw.shape))
    return rows


@settings(deadline=None)  # the first example compiles
@given(dtype=DTYPES, shape=SHAPES, seed=st.integers(0, 1000), ends=st.lists(st.integers(0, 10), max_size=4))
def test_unpacked_rows_equal_those_that_were_packed(
    dtype: np.dtype[Any], shape: tuple[int, ...], seed: int, ends: list[int]
) -> None:
    """Byte by byte, for rows in any order, cut anywhere."""
    rows = rows_of(dtype, shape, seed)
    numbers = np.random.default_rng(seed).permutation(10).astype(np.int32)
    cuts = np.array([*sorted(ends), 10])
    pieces = pack_rows(rows, numbers, cuts)
    for piece, first, last in zip(pieces, [0, *cuts.tolist()], cuts.tolist(), strict=False):
        again = np.zeros((last - first, *shape), dtype)
        assert unpack_rows(piece, again)
        assert again.tobytes() == rows[numbers[first:last]].tobytes()


@pytest.mark.parametrize("cut", [slice(-1), slice(8), slice(0)])
def test_a_piece_of_another_size_is_noticed(cut: slice) -> None:
    """Too short, and, where it is read as fewer rows, too long."""
    rows = rows_of(ITEM, (168,), 1)
    (piece,) = pack_rows(rows, np.arange(10, dtype=np.int32), np.array([10]))
    assert not unpack_rows(piece[cut], np.zeros_like(rows))
    assert not unpack_rows(piece, np.zeros_like(rows[:9]))


def test_zeros_take_a_bit_each() -> None:
    """A series that has seen nothing takes 21 bytes for its 168 cells."""
    pieces = pack_rows(np.zeros((3, 168), ITEM), np.arange(3, dtype=np.int32), np.array([1, 3]))
    assert [len(piece) for piece in pieces] == [21, 42]
