"""What a fuzzer calls: bytes in; a return or a clear refusal is fine, any other exception is a find."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


class FoundError(Exception):
    """Two readers differ, a bound was broken, or what was written can't be read back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`run` must return for every input, after some milliseconds at most; `seeds` are what it starts from."""

    name: str
    run: Callable[[bytes], None]
    seeds: Sequence[bytes]
    bytes_max: int = 4096
