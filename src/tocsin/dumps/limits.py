"""How much an archive may hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """Bounds of one archive. What its headers claim is held against them before anything is unpacked.

    `bytes_max` and `member_bytes_max` count unpacked bytes, those out of nested .gz members too. A member of
    more than `ratio_from_bytes` may be `ratio_max` times as large as it is packed: logs reach 60, a bomb
    needs 1,000. `nesting_max` is how many .gz lie within each other inside a member, `gz_streams_max` how
    many gzip streams all of them have, empty ones too. `window_bytes_max` bounds the memory that a zstd
    frame may ask for.
    """

    members_max: int = 10_000
    directory_bytes_max: int = 16 << 20
    bytes_max: int = 16 << 30
    member_bytes_max: int = 8 << 30
    ratio_max: int = 250
    ratio_from_bytes: int = 1 << 20
    name_bytes_max: int = 1024
    name_parts_max: int = 32
    nesting_max: int = 1
    gz_streams_max: int = 500_000
    window_bytes_max: int = 32 << 20
    line_bytes_max: int = 256 << 10
