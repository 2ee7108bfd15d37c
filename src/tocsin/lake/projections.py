"""Rows of other stores as tables of the lake, each row once however often it is offered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tocsin.commit.abstract import OutboxRow
from tocsin.lake.columns import arrow_times
from tocsin.lake.schemas import DEAD_LETTERS, EPISODES, TIME
from tocsin.lake.store import LakeStore
from tocsin.lake.tables import append_table
from tocsin.log.abstract import StoredDeadLetter

OUTBOX_WRITER: Final = "outbox"
DEAD_LETTER_WRITER: Final = "dead-letters"

_EPISODE_TIMES: Final = {
    "started": "started_ms",
    "opened": "opened_ms",
    "ended": "end_ms",
    "last_abnormal": "last_abnormal_ms",
    "peak": "peak_ms",
}


def append_episodes(store: LakeStore, rows: Sequence[OutboxRow]) -> int:
    """Add outbox rows above the last sequence that the lake has; how many were new. Ascending rows only."""
    reached = store.table(EPISODES.name).writers.get(OUTBOX_WRITER, 0)
    fresh = [row for row in rows if row.sequence > reached]
    if fresh:
        table = _table(EPISODES.schema, [_episode(row) for row in fresh])
        append_table(store, EPISODES.name, table, writer=OUTBOX_WRITER, version=fresh[-1].sequence)
    return len(fresh)


def append_dead_letters(store: LakeStore, letters: Sequence[StoredDeadLetter]) -> int:
    """Add dead letters of one tenant that the lake lacks; how many were new. Ascending ids only."""
    fresh = [letter for letter in letters if letter.id > dead_letters_reached(store, letter.letter.tenant)]
    if fresh:
        table = _table(DEAD_LETTERS.schema, [_dead_letter(letter) for letter in fresh])
        writer = f"{DEAD_LETTER_WRITER}-{fresh[0].letter.tenant}"
        append_table(store, DEAD_LETTERS.name, table, writer=writer, version=fresh[-1].id)
    return len(fresh)


def dead_letters_reached(store: LakeStore, tenant: str) -> int:
    """The id of the tenant's newest dead letter in the lake."""
    return store.table(DEAD_LETTERS.name).writers.get(f"{DEAD_LETTER_WRITER}-{tenant}", 0)


def _episode(row: OutboxRow) -> Callable[[str], Any]:
    """What maintenance keeps back is no episode to whoever counts: it is as retracted, and says why."""
    episode = row.episode

    def field(name: str) -> Any:
        if name == "sequence":
            return row.sequence
        if episode.suppressed and name == "retracted":
            return True
        if episode.suppressed and name == "explanation":
            return f"kept back by maintenance {episode.suppressed}: {episode.explanation}"
        return getattr(episode, _EPISODE_TIMES.get(name, name))

    return field


def _dead_letter(stored: StoredDeadLetter) -> Callable[[str], Any]:
    def field(name: str) -> Any:
        if name == "id":
            return stored.id
        return getattr(stored.letter, {"arrival": "arrival_ms"}.get(name, name))

    return field


def _table(schema: pa.Schema, rows: Sequence[Callable[[str], Any]]) -> pa.Table:
    arrays = [_column(column, [field(column.name) for field in rows]) for column in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _column(column: pa.Field, values: list[Any]) -> pa.Array:
    if column.type != TIME:
        return pa.array(values, column.type)
    missing = np.array([value is None for value in values])
    times = arrow_times(np.array([value or 0 for value in values], np.int64))
    return pa.array(times.to_pylist(), TIME, mask=missing) if missing.any() else times
