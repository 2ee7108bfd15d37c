"""What stands in for machine operations where kernels are not compiled does the same as they do."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proof.fuzz.plain import OPERATIONS, signed, unsigned
from tocsin import intrinsics

WORDS = st.integers(0, 2**64 - 1)
LOADS = ("load_u8", "load_i32", "load_i64", "load_u64", "load_f64")
STORES = ("store_u8", "store_i32", "store_i64", "store_u64", "store_f64")


@nb.njit
def _loads(address: int) -> Any:
    return (
        intrinsics.load_u8(address),
        intrinsics.load_i32(address),
        intrinsics.load_i64(address),
        intrinsics.load_u64(address),
        intrinsics.load_f64(address),
    )


@nb.njit
def _stores(address: int, word: Any, number: float) -> None:
    intrinsics.store_u8(address, nb.int64(word))
    intrinsics.store_i32(address + 8, nb.int64(word))
    intrinsics.store_i64(address + 16, nb.int64(word))
    intrinsics.store_u64(address + 24, word)
    intrinsics.store_f64(address + 32, number)


@nb.njit
def _computed(left: Any, right: Any) -> Any:
    return intrinsics.fold_product(left, right), intrinsics.count_trailing_zeros(left)


@settings(deadline=None)
@given(word=WORDS)
def test_loads_are_the_same(word: int) -> None:
    """Narrow numbers are widened with their sign, or without one."""
    place = np.array([word], np.uint64)
    found = [OPERATIONS[name](place.ctypes.data) for name in LOADS]
    for one, other in zip(found, _loads(place.ctypes.data), strict=True):
        assert np.array(one).tobytes() == np.array(other, np.array(one).dtype).tobytes()


@settings(deadline=None)
@given(word=WORDS, number=st.floats(width=64))
def test_stores_are_the_same(word: int, number: float) -> None:
    """Numbers that are too wide are cut off."""
    compiled, plain = np.zeros(5, np.uint64), np.zeros(5, np.uint64)
    _stores(compiled.ctypes.data, np.uint64(word), number)
    values = (word, signed(word), signed(word), word, number)
    for place, (name, value) in enumerate(zip(STORES, values, strict=True)):
        OPERATIONS[name](plain.ctypes.data + 8 * place, value)
    assert plain.tobytes() == compiled.tobytes()


@settings(deadline=None)
@given(left=WORDS, right=WORDS)
def test_products_and_zeros_are_the_same(left: int, right: int) -> None:
    """The 128-bit product folded, and the low bits that are 0."""
    found = OPERATIONS["fold_product"](left, right), OPERATIONS["count_trailing_zeros"](left)
    assert found == _computed(np.uint64(left), np.uint64(right))


@pytest.mark.parametrize("word", [0, 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_numbers_wrap(word: int) -> None:
    """As those of compiled code do, both ways."""
    assert unsigned(signed(word)) == word
    assert -(2**63) <= signed(word) < 2**63
