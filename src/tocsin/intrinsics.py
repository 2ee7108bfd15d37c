"""Machine operations that Numba has no words for: loads from an address and a 128-bit product.

Kernels take addresses where they call small functions in a loop, since handing over an array counts
references each time, which costs more than the work itself. Whoever takes an address keeps the array
alive, and nothing checks bounds.
"""

from __future__ import annotations

from typing import Any

import numba as nb
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

import tocsin.kernels  # noqa: F401 - before the first kernel runs


def _load(builder: Any, address: Any, bits: int) -> Any:
    place = builder.inttoptr(address, ir.PointerType(ir.IntType(bits)))
    word = builder.load(place)
    word.align = 1
    return word


def _address_of(_typing: Any, array: Any) -> Any:
    """Where the array's first element lies."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        proxy = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        return builder.ptrtoint(proxy.data, ir.IntType(64))

    return types.int64(array), build


def _loader(bits: int, result: Any, sign: str = "") -> Any:
    """An operation that reads `bits` at an address; narrow ones are widened to the 64-bit `result`."""

    def load(_typing: Any, _address: Any) -> Any:
        def build(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            word = _load(builder, args[0], bits)
            if bits < 64:
                return (builder.sext if sign else builder.zext)(word, ir.IntType(64))
            return builder.bitcast(word, context.get_value_type(result))

        return result(types.int64), build

    return intrinsic(load)


def _storer(bits: int, source: Any) -> Any:
    """An operation that writes the low `bits` of a value to an address."""

    def store(_typing: Any, _address: Any, _value: Any) -> Any:
        def build(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            word = builder.bitcast(args[1], ir.IntType(64))
            if bits < 64:
                word = builder.trunc(word, ir.IntType(bits))
            place = builder.inttoptr(args[0], ir.PointerType(ir.IntType(bits)))
            builder.store(word, place).align = 1
            return context.get_dummy_value()

        return types.void(types.int64, source), build

    return intrinsic(store)


def _fold_product(_typing: Any, _left: Any, _right: Any) -> Any:
    """The upper half of the 128-bit product of two unsigned numbers, xor its lower half."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        upper = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))
        return builder.xor(upper, builder.trunc(product, ir.IntType(64)))

    return types.uint64(types.uint64, types.uint64), build


def _count_trailing_zeros(_typing: Any, _word: Any) -> Any:
    """How many low bits of an unsigned number are 0; 64 for 0."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), build


def _pointer_to(_typing: Any, _address: Any) -> Any:
    """An address as a pointer to bytes."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.PointerType(ir.IntType(8)))

    return types.CPointer(types.uint8)(types.int64), build


address_of: Any = intrinsic(_address_of)


def _prefetch(_typing: Any, _address: Any) -> Any:
    """Ask for the cache line at an address, which may be anywhere; changes nothing but the time taken."""

    def build(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.PointerType(ir.IntType(8)))
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, flag, flag, flag])
        call = builder.module.declare_intrinsic("llvm.prefetch", [place.type], fnty=kind)
        builder.call(call, [place, flag(0), flag(3), flag(1)])  # to read, to keep, data
        return context.get_dummy_value()

    return types.void(types.int64), build


load_u8: Any = _loader(8, types.int64)
load_i32: Any = _loader(32, types.int64, sign="signed")
load_i64: Any = _loader(64, types.int64)
load_u64: Any = _loader(64, types.uint64)
load_f64: Any = _loader(64, types.float64)
store_u8: Any = _storer(8, types.int64)
store_i32: Any = _storer(32, types.int64)
store_i64: Any = _storer(64, types.int64)
store_u64: Any = _storer(64, types.uint64)
store_f64: Any = _storer(64, types.float64)
fold_product: Any = intrinsic(_fold_product)
_pointer_to_bytes: Any = intrinsic(_pointer_to)
prefetch: Any = intrinsic(_prefetch)
count_trailing_zeros: Any = intrinsic(_count_trailing_zeros)


@nb.njit(cache=True, nogil=True)
def load_short(address: int, length: int) -> Any:
    """`length` < 8 bytes as a number that differs wherever bytes of that length differ.

    Touches nothing outside: the two halves overlap in the middle.
    """
    if length >= 4:
        upper = nb.uint64(load_i32(address + length - 4)) << nb.uint64(32)
        return upper ^ (nb.uint64(load_i32(address)) & nb.uint64(0xFFFFFFFF))
    if length == 0:
        return nb.uint64(0)
    middle = load_u8(address + (length >> 1)) << 8
    return nb.uint64(load_u8(address) << 16 | middle | load_u8(address + length - 1))


@nb.njit(cache=True, nogil=True)
def bytes_at(address: int, length: int) -> Any:
    """The bytes at an address as an array, which counts no references."""
    return carray(_pointer_to_bytes(address), (length,))
