"""`tocsin ingest`"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.event_files import note_refused, open_described
from tocsin.cli.options import (
    ArrivalColumn,
    CaFile,
    Decimal,
    Delimiter,
    DeviceColumn,
    Exclude,
    Format,
    Parameters,
    ServerUrl,
    StepSeconds,
    TimeColumn,
    TimeFormat,
    TimeUnit,
    Token,
    mapping_of,
)
from tocsin.cli.output import Exit, JsonFlag, finish, lines_of, note_once, progress
from tocsin.cli.targets import require_file

if TYPE_CHECKING:
    from tocsin.client import Journal
    from tocsin.events import EventBatch
    from tocsin.files import EventFile, Report


def ingest(
    file: Annotated[
        Path, typer.Argument(help="Parquet, CSV (also .gz) or NDJSON; - reads a stream from stdin.")
    ],
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    connections: Annotated[int, typer.Option(help="Parallel connections; a device stays on one.")] = 1,
    body_events: Annotated[int, typer.Option(help="Most events in one request.")] = 5_000,
    compress: Annotated[bool, typer.Option("--gzip", help="Compress the requests.")] = False,
    ca_file: CaFile = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Remember here what was acknowledged; run again with it, only the rest is sent."),
    ] = None,
    logs: Annotated[
        bool,
        typer.Option("--logs", help="The file has lines of logs, NDJSON with device, component, time, text."),
    ] = False,
    kind: Format = None,
    device_column: DeviceColumn = None,
    time_column: TimeColumn = None,
    time_unit: TimeUnit = None,
    time_format: TimeFormat = None,
    step_seconds: StepSeconds = None,
    arrival_column: ArrivalColumn = None,
    parameters: Parameters = None,
    exclude: Exclude = "",
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    json: JsonFlag = False,
) -> None:
    """Send the readings of a file, or lines of logs, to a server.

    In order per device, and tried again until every row is acknowledged once.
    """
    from tocsin.client import Destination, EventSender

    began = time.perf_counter()
    times = (time_unit, time_format, step_seconds)
    columns = (device_column, time_column, *times, arrival_column, parameters, exclude, delimiter, decimal)
    stream = sys.stdin.buffer if str(file) == "-" else None
    path = None if stream is not None else file
    destination = Destination(url=url, token=token, compress=compress, ca_file=ca_file)
    events = open_described(path, mapping_of(*columns), stream=stream, kind=kind, logs=logs)
    with progress("sending", events.rows) as advance:
        journal = _journal(resume, file, (columns, body_events), connections)
        sender = EventSender(
            destination,
            connections=connections,
            body_events=body_events,
            journal=journal,
            on_acknowledged=advance,
            on_retry=note_once("{}; trying again, for up to ten minutes a request"),
        )
        try:
            sent = sender.send(_batches(events, body_events * connections))
        finally:
            if journal is not None:
                journal.close()
    note_refused(events.report)
    result = asdict(sent) | _counts(events.report) | {"seconds": round(time.perf_counter() - began, 3)}
    problem = bool(result["rejected"] or result["refused"])
    code = Exit.PROBLEM if problem else Exit.OK
    finish(result | {"warnings": events.warnings}, lines_of(result), json, code)


def _batches(events: EventFile, rows: int) -> Iterator[EventBatch]:
    return (chunk.batch for chunk in events.chunks(rows))


def _journal(path: Path | None, file: Path, options: object, connections: int) -> Journal | None:
    from tocsin.client import Journal
    from tocsin.errors import InvalidInputError

    if path is None:
        return None
    if str(file) == "-":
        raise InvalidInputError("a stream can't be resumed: save it to a file first", field="resume")
    require_file(path, "resume")
    stat = file.stat()
    return Journal(path, f"{file.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{options}", connections)


def _counts(report: Report) -> dict[str, Any]:
    return {"rows": report.rows, "empty": report.empty, "refused": report.refused}
