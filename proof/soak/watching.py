"""What is seen of a running process, and where that is going."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look; `life` counts the processes, since a new one starts small."""

    at_s: float
    life: int
    rss_bytes: int
    open_files: int
    threads: int
    disk_bytes: int
    lag_records: float


def look(pid: int, data: Path, *, at_s: float, life: int, lag_records: float) -> Sample:
    """A look at a process and its folder; OSError if the process is gone."""
    process = Path(f"/proc/{pid}")
    return Sample(
        at_s=at_s,
        life=life,
        rss_bytes=int((process / "statm").read_text().split()[1]) * _PAGE_BYTES,
        open_files=sum(1 for _ in (process / "fd").iterdir()),
        threads=sum(1 for _ in (process / "task").iterdir()),
        disk_bytes=disk_bytes(data),
        lag_records=lag_records,
    )


def disk_bytes(folder: Path) -> int:
    """Bytes that a folder's files take; one that goes meanwhile counts nothing."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(Path(root) / name).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def per_hour(samples: Iterable[Sample], value: Callable[[Sample], float]) -> float | None:
    """By how much a value grows in an hour within lives: least squares, each life with a level of its own.

    None when no life was looked at twice.
    """
    lives: dict[int, list[Sample]] = {}
    for sample in samples:
        lives.setdefault(sample.life, []).append(sample)
    above = below = 0.0
    for life in lives.values():
        at_s, level = _mean([each.at_s for each in life]), _mean([value(each) for each in life])
        above += sum((each.at_s - at_s) * (value(each) - level) for each in life)
        below += sum((each.at_s - at_s) ** 2 for each in life)
    return above / below * _HOUR_S if below else None


def settled(samples: Sequence[Sample], warm_up_s: float) -> list[Sample]:
    """The samples without the first `warm_up_s` of each life, in which caches fill."""
    began_s: dict[int, float] = {}
    for sample in samples:
        began_s.setdefault(sample.life, sample.at_s)
    return [sample for sample in samples if sample.at_s - began_s[sample.life] >= warm_up_s]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
