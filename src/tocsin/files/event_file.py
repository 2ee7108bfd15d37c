"""What an opened file of readings gives: chunks of events, and a report of what became of the rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tocsin.events import I64, EventBatch
from tocsin.files.mapping import Columns
from tocsin.files.tables import Bools
from tocsin.files.time_look import TimeLook

_EXAMPLES_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Chunk:
    """Events in the order of the file: event i stood in row `row[i]` (from 0), arrived at `arrival_ms[i]`."""

    batch: EventBatch
    arrival_ms: I64
    row: I64

    def __len__(self) -> int:
        return len(self.batch)

    def take(self, rows: I64) -> Chunk:
        """The events at `rows` of this chunk, in that order."""
        return Chunk(self.batch.take(rows), self.arrival_ms[rows], self.row[rows])


@dataclass(slots=True)
class Report:
    """What became of the rows so far: rows = events + empty (no value at all) + refused.

    `refused` counts by code; `examples` holds the row numbers (from 0) of the first ones of each code, and
    `cells`, where one was refused for a cell, what is in it and its column.
    """

    rows: int = 0
    events: int = 0
    readings: int = 0
    empty: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[int]] = field(default_factory=dict)
    cells: dict[str, tuple[str, str]] = field(default_factory=dict)

    def outcome(self) -> dict[str, int]:
        """Rows read, those without a value, and those refused by code."""
        return {"read": self.rows, "empty": self.empty, **self.refused}

    def refuse(self, code: str, rows: list[int]) -> None:
        """Count rows that are refused for one reason."""
        self.refused[code] = self.refused.get(code, 0) + len(rows)
        seen = self.examples.setdefault(code, [])
        seen.extend(rows[: _EXAMPLES_MAX - len(seen)])


class EventFile(ABC):
    """An opened file: what is read from it, then its events, once. `report` grows while it is read.

    `notes` say what was found out about the file that not every file has; `warnings`, that what was found
    can hardly be meant. Both are sentences for people, and stand before the first event is read.
    """

    columns: Columns
    rows: int | None  # None = not known before the end

    def __init__(self, device: str) -> None:
        self.device: Final = device
        self.notes: Final[list[str]] = []
        self.warnings: Final[list[str]] = []
        self.report: Final = Report()

    def describe(self) -> str:
        """Which columns are what, in one line for people."""
        columns = self.columns
        device = columns.device or f"{self.device!r} (the file's name)"
        arrival = f"; arrival: {columns.arrival}" if columns.arrival else ""
        parameters = ", ".join(columns.parameters) or "all fields"
        return f"device: {device}; time: {columns.time or 'counted'}{arrival}; parameters: {parameters}"

    def _tell(self, look: TimeLook) -> None:
        self.notes.extend(look.notes)
        self.warnings.extend(look.warnings)

    def _count(self, batch: EventBatch) -> Bools:
        """Enter events into the report; True for those with any value, since the others say nothing."""
        width = np.diff(batch.reading_offsets)
        something: Bools = (width > 0) | (batch.text_count > 0)
        self.report.empty += int((~something).sum())
        self.report.events += int(something.sum())
        self.report.readings += int(width.sum())
        return something

    @abstractmethod
    def chunks(self, batch_rows: int) -> Iterator[Chunk]:
        """The events in pieces of `batch_rows` rows of the file; pieces without an event are left out."""
