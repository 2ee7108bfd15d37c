"""Row hashes of 128 bits and their sums modulo 2^128: the arithmetic of digests.

A row's hash is made in two 64-bit lanes. Each lane starts from its half of the series' key (xxh3_128 of
the names) and takes in the row's words one after another with a multiply-and-shift mix (the constants
are those of splitmix64, Steele et al. 2014). Sums make the digest a multiset hash: order does not matter,
repeats do, and a row can be taken out again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numba as nb
import numpy as np
import xxhash

from tocsin.model import SeriesKey

Halves = tuple[np.uint64, np.uint64]

MASK_64 = (1 << 64) - 1
MASK_128 = (1 << 128) - 1


def names_hash(*names: str) -> tuple[int, int]:
    """xxh3_128 of the length-prefixed names as (low, high) 64-bit halves."""
    encoded = [name.encode() for name in names]
    digest = xxhash.xxh3_128_intdigest(b"".join(len(part).to_bytes(4, "little") + part for part in encoded))
    return digest & MASK_64, digest >> 64


@nb.njit(cache=True, nogil=True, inline="always")
def mix(lane: np.uint64, word: np.uint64) -> np.uint64:
    """One word taken into one lane."""
    x = (lane ^ word) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@nb.njit(cache=True, nogil=True, inline="always")
def combine_keys(low: np.uint64, high: np.uint64, low_2: np.uint64, high_2: np.uint64) -> Halves:
    """The key of a series from that of its device and that of its application and parameter."""
    return mix(mix(low, low_2), high_2), mix(mix(high, high_2), low_2)


@nb.njit(cache=True, nogil=True, inline="always")
def raw_row(low: np.uint64, high: np.uint64, ts: int, value_bits: np.uint64) -> Halves:
    """Hash of an accepted reading of the series with this key."""
    stamp = np.uint64(ts)
    return mix(mix(low, stamp), value_bits), mix(mix(high, value_bits), stamp)


@nb.njit(cache=True, nogil=True, inline="always")
def verdict_row(
    low: np.uint64,
    high: np.uint64,
    ts: int,
    value_bits: np.uint64,
    label: np.uint64,
    score_bits: np.uint64,
) -> Halves:
    """Hash of a verdict; `label` is the detector's name hash plus the verdict."""
    stamp = np.uint64(ts)
    return (
        mix(mix(mix(mix(low, stamp), value_bits), label), score_bits),
        mix(mix(mix(mix(high, score_bits), label), value_bits), stamp),
    )


@nb.njit(cache=True, nogil=True, inline="always")
def add_128(low: np.uint64, high: np.uint64, low_2: np.uint64, high_2: np.uint64) -> Halves:
    """Sum modulo 2^128 of two numbers given as halves."""
    total = low + low_2
    carry = np.uint64(1) if total < low else np.uint64(0)
    return total, high + high_2 + carry


def join(low: int, high: int) -> int:
    """The 128-bit number with these halves."""
    return int(low) | int(high) << 64


def split(number: int) -> tuple[int, int]:
    """Halves of a number taken modulo 2^128.

    >>> split(join(3, 4)) == (3, 4)
    True
    """
    number &= MASK_128
    return number & MASK_64, number >> 64


def combine(sums: Iterable[tuple[SeriesKey, int]]) -> str:
    """One digest of many series' sums: SHA-256 over them in the order of their keys, as hex."""
    digest = hashlib.sha256()
    for key, total in sorted(sums):
        for name in (key.tenant, key.application, key.device, key.parameter):
            encoded = name.encode()
            digest.update(len(encoded).to_bytes(4, "little") + encoded)
        digest.update(total.to_bytes(16, "little"))
    return digest.hexdigest()
