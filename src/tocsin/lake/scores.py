"""The table of scores: what waits in the store of findings, taken in once and then forgotten there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.clock import Clock
from tocsin.events import I64
from tocsin.lake.columns import arrow_times
from tocsin.lake.grouping import DAY_MS, PLAUSIBLE_AHEAD_MS, PLAUSIBLE_FROM_MS
from tocsin.lake.schemas import OVERFLOW_DATE, SCORES
from tocsin.lake.store import LakeStore
from tocsin.lake.tables import append_table
from tocsin.scores.abstract import AbnormalReadings, StoredScores

SCORE_COLUMNS: Final = pa.schema(
    [
        pa.field(field.name, pa.int64() if field.name == "ts" else field.type, nullable=field.nullable)
        for field in SCORES.schema
        if field.name not in SCORES.partition_by
    ]
)
"""The columns of a payload: those of the table's files, with times in milliseconds."""

CORRECTED: Final = "corrected"
"""The verdict of a row that says: what a device's records gave so far is given again, as this revision."""

_WRITER: Final = "scores"
_PAGE_BYTES: Final = 8 << 20
_OVERFLOW_DAY: Final = (OVERFLOW_DATE - date(1970, 1, 1)).days


class ScoreIntake:
    """Moves scores into the lake, page by page; one thread calls `take_in` again and again."""

    def __init__(self, store: LakeStore, source: AbnormalReadings, clock: Clock) -> None:
        self._store: Final = store
        self._source: Final = source
        self._clock: Final = clock
        if reached := self._reached():  # a crash may have come between an append and forgetting
            source.forget_scored(reached)

    def take_in(self) -> None:
        """Append what waits, synced, and forget it where it came from."""
        while page := self._source.scored(self._reached(), bytes_max=_PAGE_BYTES):
            rows = score_rows(page, self._clock.now_ms())
            append_table(self._store, SCORES.name, rows, writer=_WRITER, version=page[-1].sequence)
            self._source.forget_scored(page[-1].sequence)

    def _reached(self) -> int:
        return self._store.table(SCORES.name).writers.get(_WRITER, 0)


def score_rows(page: Sequence[StoredScores], now_ms: int) -> pa.Table:
    """Rows of the table; stamps that may name no partition get the date of the overflow."""
    tables = [pa.ipc.open_stream(part.payload).read_all() for part in page]
    tenants = [pa.repeat(part.tenant, table.num_rows) for part, table in zip(page, tables, strict=True)]
    rows = pa.concat_tables(tables).append_column("tenant", pa.chunked_array(tenants))
    ts: I64 = rows.column("ts").to_numpy()
    day = ts // DAY_MS
    day[(ts < PLAUSIBLE_FROM_MS) | (ts > now_ms + PLAUSIBLE_AHEAD_MS)] = _OVERFLOW_DAY
    at = rows.schema.get_field_index("ts")
    rows = rows.set_column(at, "ts", arrow_times(ts))
    return rows.append_column("date", pa.array(day.astype(np.int32)).cast(pa.date32()))
