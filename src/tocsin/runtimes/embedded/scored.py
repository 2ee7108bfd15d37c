"""Scores out of what the processor put out, as columns for the lake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tocsin.events import F64
from tocsin.lake.columns import arrow_names, arrow_strings
from tocsin.lake.scores import CORRECTED, SCORE_COLUMNS
from tocsin.model import Verdict
from tocsin.processing.corrections import Correction
from tocsin.processing.judging import Judged
from tocsin.processing.processor import Output
from tocsin.processing.scoring import Verdicts
from tocsin.scores.abstract import Scored

Keep = Literal["abnormal", "all"]
KeepOf = Callable[[str], Keep]
"""Which scores of a tenant the lake gets."""

Places = npt.NDArray[np.intp]

_VERDICTS: Final = tuple(verdict.name.lower() for verdict in Verdict)
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="zstd")


def scored_of(partition: int, output: Output, keep_of: KeepOf, after: int) -> list[Scored]:
    """The scores of one step that its tenants keep, without those that offsets below `after` gave.

    A correction gives a device's scores again, under the offset of its control record as revision, and
    a row that says so.
    """
    tables: dict[str, list[pa.Table]] = {}
    for judged in output.judged:
        tables.setdefault(judged.tenant, []).extend(
            _tables(partition, judged, keep_of(judged.tenant), after, revision=0)
        )
    for correction in output.corrections:
        if correction.offset >= after:
            tables.setdefault(correction.tenant, []).extend(
                _corrected(partition, correction, keep_of(correction.tenant))
            )
    return [Scored(tenant, _payload(found)) for tenant, found in tables.items() if found]


def _corrected(partition: int, correction: Correction, keep: Keep) -> Iterator[pa.Table]:
    marker = {
        "device": correction.device,
        "verdict": CORRECTED,
        "log_partition": partition,
        "log_offset": correction.offset,
        "revision": correction.offset,
    }
    blank = {"application": "", "parameter": "", "detector": "", "ts": 0}
    yield pa.Table.from_pylist([blank | marker], schema=SCORE_COLUMNS)
    for judged in correction.judged:
        yield from _tables(partition, judged, keep, after=0, revision=correction.offset)


def _tables(partition: int, judged: Judged, keep: Keep, after: int, revision: int) -> Iterator[pa.Table]:
    for verdicts in judged.verdicts:
        given = verdicts.scores.verdict
        places = np.flatnonzero(given == Verdict.ABNORMAL) if keep == "abnormal" else np.arange(len(given))
        places = places[judged.offsets[verdicts.gathered.event[places]] >= after]
        if len(places):
            yield _table(partition, judged, verdicts, places, revision)


def _table(partition: int, judged: Judged, verdicts: Verdicts, places: Places, revision: int) -> pa.Table:
    batch, gathered, scores = judged.batch, verdicts.gathered, verdicts.scores
    event, row, rows = gathered.event[places], gathered.row[places], len(places)
    applications = [application for application, _ in batch.streams]
    arrays = [
        arrow_names(batch.stream[event], applications).cast(pa.string()),
        arrow_strings(batch.device.take(event.astype(np.int64))),
        arrow_names(batch.parameter[row], batch.names).cast(pa.string()),
        pa.array(gathered.readings.ts[places]),
        pa.array(gathered.readings.value[places]),
        pa.repeat(pa.scalar(verdicts.detector, pa.string()), rows),
        arrow_names(scores.verdict[places].astype(np.int32), _VERDICTS).cast(pa.string()),
        *(_known(column[places]) for column in (scores.score, scores.expected, scores.lower, scores.upper)),
        pa.array(np.full(rows, partition, np.int32)),
        pa.array(judged.offsets[event].astype(np.int64)),
        pa.array(np.full(rows, revision, np.int64)),
    ]
    return pa.Table.from_arrays(arrays, schema=SCORE_COLUMNS)


def _known(numbers: F64) -> pa.Array:
    return pa.array(numbers, mask=~np.isfinite(numbers))


def _payload(tables: Iterable[pa.Table]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCORE_COLUMNS, options=_OPTIONS) as stream:
        for table in tables:
            stream.write_table(table)
    return bytes(sink.getvalue())
