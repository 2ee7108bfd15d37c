"""Compiled reading of numbers, exact where it answers at all (Clinger 1990, the fast case)."""

from __future__ import annotations

from typing import Final

import numba as nb

from tocsin.ingest.parsing import _slots as slot
from tocsin.intrinsics import load_f64, load_u8

_DIGITS_MAX: Final = 18
_EXACT_MAX: Final = 2**53
_POWER_MAX: Final = 22
_EXPONENT_DIGITS_MAX: Final = 3


@nb.njit(cache=True, nogil=True)
def scan_number(at: int, block: int) -> tuple[int, float]:
    """The place after the JSON number at `at`, and its value; place 0 = the careful reader must look.

    A mantissa up to 2^53 and a power of ten up to 10^22 are both exact float64s, so that one product or
    quotient rounds once, as the definition does.
    """
    negative = load_u8(at) == 0x2D
    at += negative
    start = at
    mantissa, at = scan_digits(at, 0)
    digits = at - start
    if digits == 0 or (digits > 1 and load_u8(start) == 0x30):
        return 0, 0.0
    power = 0
    if load_u8(at) == 0x2E:
        point = at + 1
        mantissa, at = scan_digits(point, mantissa)
        power = point - at
        digits -= power
        if power == 0:
            return 0, 0.0
    if load_u8(at) | 0x20 == 0x65:
        exponent, at = _scan_exponent(at + 1)
        power += exponent
        if at == 0:
            return 0, 0.0
    if digits > _DIGITS_MAX or mantissa > _EXACT_MAX or power > _POWER_MAX or power < -_POWER_MAX:
        return 0, 0.0
    return at, _scaled(float(mantissa), power, negative, block)


@nb.njit(cache=True, nogil=True)
def _scaled(mantissa: float, power: int, negative: bool, block: int) -> float:
    value = mantissa
    if power < 0:
        value = mantissa / load_f64(block + 8 * (slot.POWERS - power))
    elif power > 0:
        value = mantissa * load_f64(block + 8 * (slot.POWERS + power))
    return -value + 0.0 if negative else value  # adding 0.0 makes -0.0 positive


@nb.njit(cache=True, nogil=True)
def scan_digits(at: int, number: int) -> tuple[int, int]:
    """`number` with the digits at `at` appended (it wraps beyond 18 of them), and the place after them."""
    while True:
        digit = load_u8(at) - 0x30
        if digit < 0 or digit > 9:
            return number, at
        number = number * 10 + digit
        at += 1


@nb.njit(cache=True, nogil=True)
def _scan_exponent(at: int) -> tuple[int, int]:
    """The exponent after its letter, and the place after it, 0 if it is none or has many digits."""
    sign = load_u8(at)
    at += sign in (0x2D, 0x2B)
    exponent, end = scan_digits(at, 0)
    if end == at or end - at > _EXPONENT_DIGITS_MAX:
        return 0, 0
    return (-exponent if sign == 0x2D else exponent), end
