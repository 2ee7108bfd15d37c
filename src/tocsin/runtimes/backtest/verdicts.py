"""The table of verdicts: one row for each reading and detector, as corrections left them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tocsin.events import I64, Strings
from tocsin.model import Status, Verdict
from tocsin.processing.judging import Judged
from tocsin.processing.scoring import Verdicts

ROWS_PER_GROUP: Final = 200_000

SCHEMA: Final = pa.schema(
    [
        ("device", pa.dictionary(pa.int32(), pa.utf8())),
        ("parameter", pa.dictionary(pa.int32(), pa.utf8())),
        ("ts", pa.timestamp("ms", "UTC")),
        ("value", pa.float64()),
        ("detector", pa.dictionary(pa.int32(), pa.utf8())),
        ("score", pa.float64()),
        ("expected", pa.float64()),
        ("lower", pa.float64()),
        ("upper", pa.float64()),
        ("verdict", pa.dictionary(pa.int32(), pa.utf8())),
        ("status", pa.dictionary(pa.int32(), pa.utf8())),
    ]
)
_NUMBERS: Final = ("score", "expected", "lower", "upper")
_VERDICTS: Final = [verdict.name.lower() for verdict in Verdict]
_STATUSES: Final = [status.name.lower() for status in Status]
_UNKNOWN: Final = 255


class PartitionVerdicts:
    """Verdicts of one partition: full-length columns per batch, null (NaN, 255) where nothing was scored."""

    def __init__(self, detectors: Collection[str]) -> None:
        # The state has a slot for every known detector; those that are switched off say nothing.
        self._detectors = detectors
        self._batches: list[_BatchVerdicts] = []

    def add(self, judged: Iterable[Judged]) -> None:
        """Verdicts as first given."""
        self._batches += [_BatchVerdicts(batch, self._detectors) for batch in judged]

    def correct(self, judged: Sequence[Judged]) -> None:
        """Put in the verdicts of readings that were derived again, found by their offset and parameter."""
        starts = np.array([batch.first_offset for batch in self._batches], np.int64)
        for fresh in judged:
            event = np.repeat(np.arange(len(fresh.batch)), np.diff(fresh.batch.reading_offsets))
            offset = fresh.offsets[event]
            home = np.searchsorted(starts, offset, side="right") - 1
            for number in np.unique(home):
                self._batches[number].correct(fresh, offset, home == number)

    def tables(self) -> Iterable[pa.Table]:
        """The rows, batch by batch; within a batch, detector by detector."""
        for batch in self._batches:
            yield from batch.tables()


class _BatchVerdicts:
    def __init__(self, judged: Judged, detectors: Collection[str]) -> None:
        self._judged = judged
        self._detectors = detectors
        self.first_offset = int(judged.offsets[0])
        self._columns: dict[str, dict[str, npt.NDArray[Any]]] = {}
        for verdicts in self._wanted(judged):
            columns = self._fresh_columns(verdicts.detector)
            _put(columns, verdicts.gathered.row, verdicts.scores)

    def correct(self, fresh: Judged, offset: I64, here: npt.NDArray[np.bool_]) -> None:
        rows = self._rows_of(fresh, offset, here)
        for verdicts in self._wanted(fresh):
            columns = self._columns.get(verdicts.detector) or self._fresh_columns(verdicts.detector)
            mine = here[verdicts.gathered.row]
            places = rows[verdicts.gathered.row[mine]]
            for name in _NUMBERS:
                columns[name][places] = getattr(verdicts.scores, name)[mine]
            columns["verdict"][places] = verdicts.scores.verdict[mine]

    def tables(self) -> Iterable[pa.Table]:
        judged = self._judged
        batch = judged.batch
        event = np.repeat(np.arange(len(batch)), np.diff(batch.reading_offsets)).astype(np.int64)
        device = _device_column(batch.device.take(event))
        parameter = _dictionary(batch.parameter, batch.names)
        status = _dictionary(judged.status.astype(np.int32), _STATUSES)
        ts = pa.array(batch.ts[event]).cast(pa.timestamp("ms", "UTC"))
        for detector, columns in self._columns.items():
            verdict = columns["verdict"].astype(np.int32)
            arrays = [
                device,
                parameter,
                ts,
                pa.array(batch.value),
                _dictionary(np.zeros(len(event), np.int32), [detector]),
                *(pa.array(columns[name], mask=np.isnan(columns[name])) for name in _NUMBERS),
                _dictionary(verdict, _VERDICTS, mask=verdict == _UNKNOWN),
                status,
            ]
            yield pa.Table.from_arrays(arrays, schema=SCHEMA)

    def _wanted(self, judged: Judged) -> Iterator[Verdicts]:
        return (verdicts for verdicts in judged.verdicts if verdicts.detector in self._detectors)

    def _fresh_columns(self, detector: str) -> dict[str, npt.NDArray[Any]]:
        readings = self._judged.batch.readings
        columns: dict[str, npt.NDArray[Any]] = {name: np.full(readings, np.nan) for name in _NUMBERS}
        columns["verdict"] = np.full(readings, _UNKNOWN, np.uint8)
        self._columns[detector] = columns
        return columns

    def _rows_of(self, fresh: Judged, offset: I64, here: npt.NDArray[np.bool_]) -> I64:
        """For each derived reading, its row in this batch (only where `here`)."""
        judged = self._judged
        batch = judged.batch
        width = len(batch.names)
        event = np.repeat(np.arange(len(batch)), np.diff(batch.reading_offsets))
        own = judged.offsets[event] * width + batch.parameter
        order = np.argsort(own)
        codes = np.array([_code(batch.names, name) for name in fresh.batch.names], np.int64)
        wanted = offset * width + codes[fresh.batch.parameter]
        rows = np.zeros(len(offset), np.int64)
        rows[here] = order[np.searchsorted(own[order], wanted[here])]
        return rows


def write_verdicts(path: Path, partitions: Iterable[PartitionVerdicts]) -> int:
    """Write all rows to a Parquet file; how many there are."""
    written = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        waiting: list[pa.Table] = []
        for partition in partitions:
            for table in partition.tables():
                waiting.append(table)
                if sum(len(part) for part in waiting) >= ROWS_PER_GROUP:
                    written += _flush(writer, waiting)
        written += _flush(writer, waiting)
    return written


def _flush(writer: pq.ParquetWriter, waiting: list[pa.Table]) -> int:
    if not waiting:
        return 0
    table = pa.concat_tables(waiting).unify_dictionaries()
    writer.write_table(table)
    waiting.clear()
    return len(table)


def _put(columns: dict[str, npt.NDArray[Any]], rows: npt.NDArray[Any], scores: Any) -> None:
    for name in _NUMBERS:
        columns[name][rows] = getattr(scores, name)
    columns["verdict"][rows] = scores.verdict


def _code(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else -1


def _device_column(device: Strings) -> pa.DictionaryArray:
    strings = pa.StringArray.from_buffers(
        len(device), pa.py_buffer(device.offsets.tobytes()), pa.py_buffer(device.data.tobytes())
    )
    return strings.dictionary_encode()


def _dictionary(
    codes: npt.NDArray[np.int32], names: Sequence[str], mask: npt.NDArray[np.bool_] | None = None
) -> pa.DictionaryArray:
    safe = codes if mask is None else np.where(mask, 0, codes)
    return pa.DictionaryArray.from_arrays(
        pa.array(safe.astype(np.int32), mask=mask), pa.array(list(names), pa.utf8())
    )
