"""Records of a segment follow one another without a gap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tocsin.errors import CorruptError
from tocsin.log.rows import record_of


class RecordOrder:
    """Checks rows of (partition, then the columns of `read_records`), by partition and offset.

    `finish` says which partitions ended before their end.
    """

    def __init__(self, begins: Sequence[int], ends: Sequence[int]) -> None:
        self._next = list(begins)
        self._ends = ends

    def check(self, row: tuple[Any, ...], place: str) -> None:
        """CorruptError when the record is altered or not the one that should come next."""
        partition, offset, count, *_ = row
        expected = self._next[partition]
        self._next[partition] = offset + count
        record_of(partition, row[1:], place)
        if offset != expected:
            raise CorruptError(f"{place}: partition {partition}, offset {expected}: the record is missing")

    def finish(self, place: str) -> list[str]:
        """One problem for each partition whose last records are missing."""
        return [
            f"{place}: partition {partition}, offset {reached}: records up to {end} are missing"
            for partition, (reached, end) in enumerate(zip(self._next, self._ends, strict=True))
            if reached < end
        ]
