"""Writes simulated events and their labels to files, in order of arrival; complete or not at all."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tocsin.errors import InvalidInputError
from tocsin.ndjson import encode_ndjson
from tocsin.simulate.faults import Label
from tocsin.simulate.simulator import Arrivals

ARRIVAL_COLUMN: Final = "arrival"
SUFFIXES: Final = (".parquet", ".csv", ".ndjson")

_LABELS: Final = pa.schema(
    [
        ("device", pa.string()),
        ("parameter", pa.string()),
        ("kind", pa.string()),
        ("from_ms", pa.int64()),
        ("to_ms", pa.int64()),
    ]
)


class EventWriter(ABC):
    """Takes pieces of one fleet; all of them have the same parameters."""

    @abstractmethod
    def write(self, piece: Arrivals) -> None:
        """Append the events."""

    @abstractmethod
    def close(self) -> None:
        """Finish the file."""


class _NdjsonWriter(EventWriter):
    def __init__(self, path: Path, arrival: bool) -> None:
        self._file = path.open("wb")
        self._arrival = arrival

    def write(self, piece: Arrivals) -> None:
        self._file.write(encode_ndjson((_with_arrival(piece) if self._arrival else piece).batch))

    def close(self) -> None:
        self._file.close()


class _TableWriter(EventWriter):
    """Parquet holds times as time stamps, CSV as milliseconds since 1970."""

    def __init__(self, path: Path, arrival: bool, names: Sequence[str]) -> None:
        parquet = path.name.endswith(".parquet.part")
        time = pa.timestamp("ms", "UTC") if parquet else pa.int64()
        times = [("ts", time), (ARRIVAL_COLUMN, time)] if arrival else [("ts", time)]
        self._schema = pa.schema([("device", pa.string()), *times, *((name, pa.float64()) for name in names)])
        self._arrival = arrival
        self._writer: Any = (
            pq.ParquetWriter(path, self._schema, compression="zstd")
            if parquet
            else pacsv.CSVWriter(path, self._schema)
        )

    def write(self, piece: Arrivals) -> None:
        batch = piece.batch
        values = batch.value.reshape(len(batch), len(batch.names))
        times = [batch.ts, piece.arrival_ms] if self._arrival else [batch.ts]
        kind = self._schema.field("ts").type
        self._writer.write_batch(
            pa.record_batch(
                [
                    _device_column(piece),
                    *(pa.array(time).cast(kind) for time in times),
                    *(pa.array(np.ascontiguousarray(column)) for column in values.T),
                ],
                schema=self._schema,
            )
        )

    def close(self) -> None:
        self._writer.close()


def write_events(
    path: Path,
    pieces: Iterable[Arrivals],
    names: Sequence[str],
    *,
    arrival: bool = False,
    on_written: Callable[[int], None] = lambda _: None,
) -> int:
    """Write all pieces to `path` in the format of its suffix; how many events.

    The file appears under its name only when it is complete. With `arrival`, a column of that name holds
    when each event arrived; the rows are in that order in any case.
    """
    draft = path.with_name(path.name + ".part")
    writer = _open_writer(path, draft, arrival, names)
    count = 0
    try:
        for piece in pieces:
            writer.write(piece)
            count += len(piece)
            on_written(len(piece))
    finally:
        writer.close()
    draft.replace(path)
    return count


def write_labels(path: Path, labels: Sequence[Label]) -> None:
    """Write the labels as a table in the format of the suffix: one row a fault."""
    rows = [{name: getattr(label, name) for name in _LABELS.names} for label in labels]
    table = pa.Table.from_pylist(rows, _LABELS)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        pacsv.write_csv(table, path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def labels_path(path: Path) -> Path:
    """Where the labels of a file of events are written unless something else is asked for.

    >>> labels_path(Path("fleet.parquet")).name
    'fleet.labels.parquet'
    """
    return path.with_name(f"{path.stem}.labels{path.suffix}")


def _open_writer(path: Path, draft: Path, arrival: bool, names: Sequence[str]) -> EventWriter:
    if path.suffix not in SUFFIXES:
        raise InvalidInputError(f"the name of {path.name} must end in {', '.join(SUFFIXES)}", field="out")
    if arrival and ARRIVAL_COLUMN in names:
        raise InvalidInputError(f"a quantity can't be called {ARRIVAL_COLUMN!r} here", field="out")
    try:
        return (
            _NdjsonWriter(draft, arrival) if path.suffix == ".ndjson" else _TableWriter(draft, arrival, names)
        )
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be written: {error.strerror}", field="out") from error


def _device_column(piece: Arrivals) -> pa.Array:
    device = piece.batch.device
    return pa.StringArray.from_buffers(
        len(device), pa.py_buffer(device.offsets.tobytes()), pa.py_buffer(device.data.tobytes())
    )


def _with_arrival(piece: Arrivals) -> Arrivals:
    """The events with their time of arrival as one more reading, which comes last."""
    batch, width = piece.batch, len(piece.batch.names)
    offsets = np.arange(len(batch) + 1, dtype=np.int32) * (width + 1)
    value = np.column_stack([batch.value.reshape(-1, width), piece.arrival_ms.astype(np.float64)])
    parameter = np.tile(np.arange(width + 1, dtype=np.int32), len(batch))
    longer = replace(
        batch,
        names=(*batch.names, ARRIVAL_COLUMN),
        reading_offsets=offsets.astype(np.int32),
        parameter=parameter,
        value=value.reshape(-1),
    )
    return Arrivals(longer, piece.arrival_ms)
