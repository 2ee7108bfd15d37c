"""How much one body may hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseLimits:
    """Bounds of one body; over the first two the whole body is refused, over the others a line.

    `body_bytes` also holds after decompression. `lines` bounds what the answers to a body full of bad
    lines cost. `depth` counts the event's own object as 1. `name_characters` binds device, application,
    version, id and field names.
    """

    body_bytes: int = 16 << 20
    lines: int = 100_000
    line_bytes: int = 256 << 10
    depth: int = 32
    name_characters: int = 256
