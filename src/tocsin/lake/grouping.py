"""Which rows go into which partition, so that no request can make more files than the bound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from tocsin.events import I32, I64
from tocsin.lake.columns import EventColumns
from tocsin.lake.feed import Feed
from tocsin.lake.names import has_own_partition
from tocsin.lake.schemas import OVERFLOW_DATE

DAY_MS: Final = 86_400_000
PLAUSIBLE_FROM_MS: Final = 946_684_800_000  # 2000-01-01
PLAUSIBLE_AHEAD_MS: Final = DAY_MS
GROUPS_MAX: Final = 64

OVERFLOW: Final = -1
_DENSE_SPAN_MAX: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one partition; `rows` None = all of them. `key` is -1 for the overflow."""

    key: int
    rows: I64 | None


def group_rows(keys: I64, groups_max: int = GROUPS_MAX) -> Iterator[Group]:
    """Split rows by key, each group in row order; -1 and all but the largest groups are the overflow.

    At most `groups_max` groups and the overflow, whatever the keys are.
    """
    if not len(keys):
        return
    lowest, highest = int(keys.min()), int(keys.max())
    if lowest == highest:
        yield Group(lowest, None)
        return
    values, codes, counts = _numbered(keys, lowest, highest)
    chosen = np.argsort(-counts, kind="stable")
    chosen = chosen[values[chosen] != OVERFLOW][:groups_max]
    target = np.zeros(len(values), np.uint16)
    target[np.sort(chosen)] = np.arange(1, len(chosen) + 1)
    order = np.argsort(target[codes], kind="stable")
    sizes = np.bincount(target[codes], minlength=len(chosen) + 1)
    for group_key, rows in zip(
        [OVERFLOW, *values[np.sort(chosen)].tolist()], np.split(order, np.cumsum(sizes)[:-1]), strict=True
    ):
        if len(rows):
            yield Group(group_key, rows)


def _numbered(keys: I64, lowest: int, highest: int) -> tuple[I64, I64, I64]:
    """Distinct keys, the index of each row's key among them, and how often each occurs."""
    if highest - lowest > _DENSE_SPAN_MAX:
        return np.unique(keys, return_inverse=True, return_counts=True)
    counts = np.bincount(keys - lowest)
    present = np.flatnonzero(counts)
    index = np.zeros(len(counts), np.int64)
    index[present] = np.arange(len(present))
    return present + lowest, index[keys - lowest], counts[present]


def plausible(ts: I64, arrival: I64) -> npt.NDArray[np.bool_]:
    """Which stamps may name a partition: not before 2000, at most a day after arrival."""
    return (ts >= PLAUSIBLE_FROM_MS) & (ts <= arrival + PLAUSIBLE_AHEAD_MS)


class EventGroups:
    """Which partitions the events of a feed go to: the largest ones, and the overflow for the rest."""

    def __init__(self, feed: Feed) -> None:
        self._feed: Final = feed
        self._own: Final = np.array([all(map(has_own_partition, pair)) for pair in feed.streams], np.bool_)
        counts = self._counts()
        self._only: Final = next(iter(counts)) if len(counts) == 1 else None
        largest = [key for key, _ in counts.most_common() if key != OVERFLOW][:GROUPS_MAX]
        self._chosen: Final = np.array(largest, np.int64)

    @property
    def single(self) -> bool:
        """Whether all events go to one partition."""
        return self._only is not None

    def of(self, columns: EventColumns) -> Iterator[Group]:
        """The groups of a block of the feed."""
        if self._only is not None:
            yield Group(self._only, None)
            return
        keys = self.keys(columns.ts, columns.arrival, columns.stream)
        keys[~np.isin(keys, self._chosen)] = OVERFLOW
        yield from group_rows(keys)

    def keys(self, ts: I64, arrival: I64, stream: I32) -> I64:
        """A number per event that is the same for events of one stream and day."""
        keys: I64 = ts // DAY_MS * len(self._own) + stream
        keys[~plausible(ts, arrival) | ~self._own[stream]] = OVERFLOW
        return keys

    def partition(self, key: int) -> dict[str, str]:
        """The partition of `events` that a key stands for."""
        application, version, day = "", "", OVERFLOW_DATE
        if key != OVERFLOW:
            application, version = self._feed.streams[key % len(self._own)]
            day = date(1970, 1, 1) + timedelta(days=key // len(self._own))
        return {
            "tenant": self._feed.tenant,
            "application": application,
            "version": version,
            "date": day.isoformat(),
        }

    def _counts(self) -> Counter[int]:
        """Events by key; a block within one day and stream is counted without a look at its rows."""
        counts: Counter[int] = Counter()
        for block in self._feed.blocks:
            first, last = block.span_ms
            if len(self._own) == 1 and first // DAY_MS == last // DAY_MS and _plausible(block):
                counts[first // DAY_MS if self._own[0] else OVERFLOW] += len(block)
                continue
            keys = self.keys(block.ts, block.arrival, block.stream)
            for key, count in zip(*np.unique(keys, return_counts=True), strict=True):
                counts[int(key)] += int(count)
        return counts


def _plausible(block: EventColumns) -> bool:
    """Whether all stamps of a block may name a partition, by its first arrival."""
    first, last = block.span_ms
    return first >= PLAUSIBLE_FROM_MS and last <= int(block.arrival.min()) + PLAUSIBLE_AHEAD_MS
