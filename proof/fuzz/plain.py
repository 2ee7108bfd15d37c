"""The machine operations of `tocsin.intrinsics` in plain Python, for kernels that are not compiled.

With NUMBA_DISABLE_JIT a kernel is an ordinary function, in which branches can be counted, but what Numba
builds from machine code has no body. These do the same at the same addresses, a thousand times slower.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Final

import numba as nb
import numpy as np

_WORD: Final = 1 << 64


def _loader(kind: type[Any], result: Callable[[Any], Any] = lambda value: value) -> Callable[[Any], Any]:
    return lambda address: result(kind.from_address(int(address)).value)


def _storer(kind: type[Any], number: Callable[[Any], Any]) -> Callable[[Any, Any], None]:
    def store(address: Any, value: Any) -> None:
        kind.from_address(int(address)).value = number(value)

    return store


def fold_product(left: Any, right: Any) -> Any:
    """The upper half of the 128-bit product, xor its lower half."""
    product = int(left) * int(right)
    return np.uint64((product >> 64) ^ (product % _WORD))


def count_trailing_zeros(word: Any) -> int:
    """How many low bits are 0; 64 for 0."""
    number = int(word)
    return (number & -number).bit_length() - 1 if number else 64


OPERATIONS: Final[dict[str, Callable[..., Any]]] = {
    "address_of": lambda array: array.ctypes.data,
    "load_u8": _loader(ctypes.c_uint8),
    "load_i32": _loader(ctypes.c_int32),
    "load_i64": _loader(ctypes.c_int64),
    "load_u64": _loader(ctypes.c_uint64, np.uint64),
    "load_f64": _loader(ctypes.c_double),
    "store_u8": _storer(ctypes.c_uint8, int),
    "store_i32": _storer(ctypes.c_int32, int),
    "store_i64": _storer(ctypes.c_int64, int),
    "store_u64": _storer(ctypes.c_uint64, int),
    "store_f64": _storer(ctypes.c_double, float),
    "fold_product": fold_product,
    "prefetch": lambda _address: None,
    "count_trailing_zeros": count_trailing_zeros,
}


def signed(value: Any) -> int:
    """What compiled code makes of a number that is taken for a signed one of 64 bits."""
    return (int(value) + _WORD // 2) % _WORD - _WORD // 2


def unsigned(value: Any) -> Any:
    """The same for an unsigned one; numbers of 64 bits go on wrapping in what is computed from it."""
    return np.uint64(int(value) % _WORD)


def install() -> None:
    """Put them into this process, before any kernel is imported; there is no way back."""
    if not vars(nb.config)["DISABLE_JIT"]:
        raise RuntimeError("kernels would be compiled: set NUMBA_DISABLE_JIT=1")
    from tocsin import intrinsics  # noqa: PLC0415 - nothing of Tocsin may be imported before

    vars(intrinsics).update(OPERATIONS)
    vars(nb).update(int64=signed, uint64=unsigned)
    np.seterr(over="ignore")  # as in compiled code, numbers of 64 bits wrap
