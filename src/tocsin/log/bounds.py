"""How much of what was refused is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterBounds:
    """Of each tenant the newest dead letters outlive their segment: so many, and so many bytes of them."""

    letters_max: int = 100_000
    bytes_max: int = 256 << 20
