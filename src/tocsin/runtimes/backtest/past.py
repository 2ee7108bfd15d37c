"""The records a backtest has fed, so that corrections can derive devices again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tocsin.events import I64, Strings, concat_events, no_events
from tocsin.interning import Interner
from tocsin.processing.batching import Events
from tocsin.processing.judging import Judged
from tocsin.processing.processor import History


@dataclass(frozen=True, slots=True)
class _Index:
    """Rows of a partition's events, grouped by device: those of device d are `rows[first[d]:first[d+1]]`."""

    events: Events
    names: Interner
    rows: I64
    first: I64


class Past(History):
    """All events of one partition in memory, in the order of the log. About 60 bytes a reading."""

    def __init__(self) -> None:
        self._judged: list[Judged] = []
        self._index: _Index | None = None

    def add(self, judged: list[Judged]) -> None:
        """Remember what was just processed."""
        self._judged += judged
        self._index = None

    def __call__(self, tenant: str, device: str, before_offset: int) -> Events:
        if not self._judged:
            return Events(tenant, np.zeros(0, np.int64), no_events())
        if self._index is None:
            self._index = self._build(tenant)
        index = self._index
        number = int(index.names.find(Strings.of([device]))[0])
        if number < 0:  # known by its dumps alone
            return Events(tenant, np.zeros(0, np.int64), no_events())
        rows = index.rows[index.first[number] : index.first[number + 1]]
        rows = rows[index.events.offsets[rows] < before_offset]
        return Events(tenant, index.events.offsets[rows], index.events.batch.take(rows))

    def _build(self, tenant: str) -> _Index:
        batch = concat_events([judged.batch for judged in self._judged])
        offsets = np.concatenate([judged.offsets for judged in self._judged])
        names = Interner()
        numbers = names.intern(batch.device)
        first = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=len(names)))])
        rows = np.argsort(numbers, kind="stable").astype(np.int64)
        return _Index(Events(tenant, offsets, batch), names, rows, first.astype(np.int64))
