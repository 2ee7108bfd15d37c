"""Moves records from the log into the lake: live ones soon, imported history in large parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tocsin.lake.abstract import Lake
from tocsin.log.abstract import Log, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushPolicy:
    """When waiting records are appended, and how many at once.

    As soon as `rows` offsets wait, or the oldest has waited for `age_s` (under the promised minute, so
    that the append itself has time). An append takes at most `bytes_max` of payload, and a record more.
    """

    rows: int = 1_000_000
    age_s: float = 45.0
    bytes_max: int = 128 << 20


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the lake is behind the log: offsets, and the age of the oldest waiting record."""

    offsets: int
    age_s: float


class LakeWriter:
    """Tails every partition from the lake's positions on; one thread calls `run_once` again and again."""

    def __init__(self, lake: Lake, log: Log, policy: FlushPolicy | None = None) -> None:
        self._lake: Final = lake
        self._log: Final = log
        self._policy: Final = policy or FlushPolicy()

    def lag(self, now_ms: int) -> Lag:
        """What waits now; reads the first waiting record of each partition."""
        starts = self._starts()
        offsets = sum(self._log.end(partition) - offset for partition, offset in starts.items())
        arrivals = [
            self._log.read(partition, offset, bytes_max=1)[0].arrival_ms
            for partition, offset in starts.items()
        ]
        return Lag(offsets, (now_ms - min(arrivals)) / 1000 if arrivals else 0.0)

    def run_once(self, now_ms: int, *, force: bool = False) -> int:
        """Append one part if it is time (or `force`); offsets appended, 0 = nothing was due.

        More may be due afterwards: call again until it returns 0.
        """
        lag = self.lag(now_ms)
        due = lag.offsets >= self._policy.rows or lag.age_s >= self._policy.age_s or force
        if not lag.offsets or not due:
            return 0
        records = self._read()
        self._lake.append(records)
        return sum(record.count for record in records)

    def _starts(self) -> dict[int, int]:
        """The next offset of every partition that has more than the lake."""
        reached = self._lake.positions()
        starts = {
            partition: reached.get(partition) or self._log.begin(partition)
            for partition in range(self._log.partitions)
        }
        return {partition: at for partition, at in starts.items() if at < self._log.end(partition)}

    def _read(self) -> list[Record]:
        """Records of all partitions in turn, so that none starves, within the bound."""
        starts = self._starts()
        records: list[Record] = []
        left_bytes = self._policy.bytes_max
        while starts and left_bytes > 0:
            share_bytes = max(1, min(left_bytes // len(starts), 8 << 20))
            for partition, offset in list(starts.items()):
                found = self._log.read(partition, offset, bytes_max=share_bytes)
                records.extend(found)
                left_bytes -= sum(len(record.payload) for record in found)
                starts[partition] = found[-1].next_offset if found else offset
                if not found or starts[partition] >= self._log.end(partition):
                    del starts[partition]
        return records
