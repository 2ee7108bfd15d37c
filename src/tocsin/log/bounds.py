"""How much is kept of what was refused and what was answered."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterBounds:
    """Of each tenant the newest dead letters outlive their segment: so many, and so many bytes of them."""

    letters_max: int = 100_000
    bytes_max: int = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerBounds:
    """So many bytes of each tenant's answers are kept for their 24 hours; then new keys are refused.

    It must leave room for those of two segments, since answers are forgotten from sealed ones only.
    """

    bytes_max: int = 16 << 30


@dataclass(frozen=True, slots=True)
class Bounds:
    """All of them."""

    dead_letters: DeadLetterBounds
    answers: AnswerBounds
