"""Parquet and CSV files as events."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from tocsin.files.event_file import Chunk, EventFile
from tocsin.files.mapping import Mapping, choose_columns
from tocsin.files.rows import RowConverter
from tocsin.files.tables import Table, parse_numbers
from tocsin.files.time_look import look_at_times
from tocsin.visible import visible

_BLOCK_ROWS: Final = 65_536
_MANY: Final = 0.1
_SEVERAL: Final = 50


class TableFile(EventFile):
    """Parquet or CSV. What a row becomes depends on neither the pieces nor the rows around it."""

    def __init__(self, table: Table, mapping: Mapping, device: str) -> None:
        super().__init__(device)
        self._table = table
        self.rows = table.rows
        if mapping.parameters is not None:
            table.expect_numbers([name for name in mapping.parameters if name in table.names])
        self._mapping = mapping
        self.columns = choose_columns(mapping, table.names, table.numeric, table.why_text)
        self.notes.extend(table.notes())
        self._converter = RowConverter(mapping, self.columns, table.numbers, device, self._units())
        self._warn_of_many_devices()
        self._warn_of_same_times()

    def _units(self) -> dict[str, str]:
        """The unit of each column of times, none where time is counted."""
        counted = self._mapping.step_seconds is not None
        units = {}
        for name in (None if counted else self.columns.time, self.columns.arrival):
            if name is not None:
                look = look_at_times(self._first(name), name, self._mapping)
                self._tell(look)
                units[name] = look.unit
        return units

    def _warn_of_many_devices(self) -> None:
        """Where all rows are of one device, but have times of others."""
        time = self.columns.time
        if self.columns.device is not None or time is None:
            return
        first = self._table.sample(time).drop_null()
        if again := len(first) - len(first.unique()):
            self.warnings.append(
                f"{again} of the first {len(first)} times in {visible(time)!r} are there already, though all "
                f"rows are taken to be of one device, {visible(self.device)!r}: if they are of several, say "
                "--device-column"
            )

    def _warn_of_same_times(self) -> None:
        """Where many rows have device and time of a row before; times that are doubted already explain it."""
        device, time = self.columns.device, self.columns.time
        counted = self._mapping.step_seconds is not None
        if device is None or time is None or counted or self.warnings:
            return
        names = ["device", "time"]
        first = pa.table([self._table.sample(device), self._table.sample(time)], names).drop_null()
        again = len(first) - len(first.group_by(names).aggregate([]))
        if again > max(_MANY * len(first), _SEVERAL):
            self.warnings.append(
                f"{again} of the first {len(first)} rows have {visible(device)!r} and {visible(time)!r} of a "
                "row before, and will be conflicts or repeats: if the time of day stands in another column, "
                "or each row holds another parameter, put them together first"
            )

    def _first(self, name: str) -> pa.Array:
        """The first cells of a column of times: as text where a format was given, else typed."""
        kind, column = self._table.numbers[name], self._table.sample(name)
        return column if kind is None or self._mapping.time_format else parse_numbers(column, kind)[0]

    def describe(self) -> str:
        """Also which columns are left out, and why, unless the parameters were named."""
        left_out = [] if self._mapping.parameters else [*self._left_out()]
        return super().describe() + (f"; left out: {', '.join(left_out)}" if left_out else "")

    def _left_out(self) -> Iterator[str]:
        for name in self._table.names:
            if name in self._mapping.exclude:
                yield f"{visible(name)} (excluded)"
            elif name in self.columns.used:
                continue
            elif not name:
                yield "the column without a name"
            elif name not in self._table.numeric:
                yield f"{visible(name)} ({self._table.why_text(name)})"
            else:
                yield f"{visible(name)} (events use that name)"

    def chunks(self, batch_rows: int) -> Iterator[Chunk]:
        whole_batches = max(1, _BLOCK_ROWS // batch_rows) * batch_rows
        for block in self._table.batches(self.columns.used, whole_batches):
            first = self.report.rows
            batch, arrival_ms, refusals = self._converter.convert(block)
            piece = Chunk(batch, arrival_ms, first + np.arange(len(batch), dtype=np.int64))
            for code, refused in refusals.by_code().items():
                self.report.refuse(code, (first + refused).tolist())
                if code in refusals.cells:
                    self.report.cells.setdefault(code, refusals.cells[code])
            self.report.rows += len(batch)
            kept = np.flatnonzero(refusals.kept)
            kept = kept[self._count(batch.take(kept))]
            bounds = np.searchsorted(kept, np.arange(0, len(batch) + batch_rows, batch_rows))
            for begin, end in itertools.pairwise(bounds.tolist()):
                if begin < end:
                    yield piece.take(kept[begin:end])
