"""Two machine operations that Numba has no words for: an unaligned 8-byte load and a 128-bit product.

No bounds are checked: a caller passes only places that have 8 bytes left.
"""

from __future__ import annotations

from typing import Any

import numba as nb
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


def _load_u64(_typing: Any, data: Any, index: Any) -> Any:
    """The 8 bytes of a byte array from `index` on, little-endian, as an unsigned number."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        place = builder.gep(array.data, [builder.sext(args[1], ir.IntType(64))])
        word = builder.load(builder.bitcast(place, ir.PointerType(ir.IntType(64))))
        word.align = 1
        return word

    return types.uint64(data, types.int64), build


def _fold_product(_typing: Any, left: Any, right: Any) -> Any:
    """The upper half of the 128-bit product of two unsigned numbers, xor its lower half."""

    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        upper = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))
        return builder.xor(upper, builder.trunc(product, ir.IntType(64)))

    return types.uint64(types.uint64, types.uint64), build


load_u64: Any = intrinsic(_load_u64)
fold_product: Any = intrinsic(_fold_product)


@nb.njit(cache=True, nogil=True, inline="always")
def load_tail(data: Any, start: int, length: int) -> Any:
    """The `length` < 8 bytes from `start` on as an unsigned number; reads nothing beyond the array."""
    if start + 8 <= len(data):
        return load_u64(data, start) & ((nb.uint64(1) << nb.uint64(8 * length)) - nb.uint64(1))
    word = nb.uint64(0)
    for i in range(length):
        word |= nb.uint64(data[start + i]) << nb.uint64(8 * i)
    return word
