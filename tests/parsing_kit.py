"""Parsed bodies compared, and events written in every content type."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tocsin.errors import TocsinError
from tocsin.events import Strings
from tocsin.ingest.parsing.body import parse_body
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.parsed_body import ParsedBody

NDJSON = "application/x-ndjson"
JSON = "application/json"
CSV = "text/csv"
ARROW = "application/vnd.apache.arrow.stream"
Reader = Callable[[bytes, ParseLimits], ParsedBody]
"""Parses a body under limits."""


def parse(body: bytes, content_type: str = NDJSON, content_encoding: str = "", **limits: int) -> ParsedBody:
    """The body, under default limits where none are given."""
    return parse_body(
        body, content_type=content_type, content_encoding=content_encoding, limits=ParseLimits(**limits)
    )


def differences(left: ParsedBody, right: ParsedBody) -> list[str]:
    """The parts in which two parsed bodies differ; floats are compared bit by bit."""
    found = [
        field.name
        for field in dataclasses.fields(left.batch)
        if plain(getattr(left.batch, field.name)) != plain(getattr(right.batch, field.name))
    ]
    parts = ("line", "errors", "received")
    return found + [part for part in parts if plain(getattr(left, part)) != plain(getattr(right, part))]


def difference(careful: Reader, fast: Reader, body: bytes, limits: ParseLimits) -> str:
    """How two readers differ on a body, also where they refuse all of it; "" if they don't."""
    expected, found = _answer(careful, body, limits), _answer(fast, body, limits)
    if isinstance(expected, str) or isinstance(found, str):
        return "" if expected == found else f"careful: {expected}, fast: {found}"[:500]
    return ", ".join(differences(expected, found))


def _answer(reader: Reader, body: bytes, limits: ParseLimits) -> ParsedBody | str:
    try:
        return reader(body, limits)
    except TocsinError as error:
        return f"{error.code}: {error.detail}"


def plain(column: Any) -> Any:
    """A column as something that == compares exactly, its type included."""
    if isinstance(column, Strings):
        return plain(column.offsets), plain(column.data)
    if isinstance(column, np.ndarray):
        return column.dtype.str, column.tobytes()
    return column


def events_in(body: ParsedBody) -> list[dict[str, Any]]:
    """The accepted events as the fields that they have."""
    batch = body.batch
    found = []
    for row in range(len(batch)):
        application, version = batch.streams[batch.stream[row]]
        event: dict[str, Any] = {"device": batch.device[row], "ts": int(batch.ts[row])}
        optional = {"application": application, "version": version, "id": batch.event_id[row]}
        event |= {name: value for name, value in optional.items() if value}
        for i in range(batch.reading_offsets[row], batch.reading_offsets[row + 1]):
            event[batch.names[batch.parameter[i]]] = float(batch.value[i])
        text = json.loads(batch.text[row] or "{}")
        assert len(text) == batch.text_count[row]
        found.append(event | text)
    return found


def codes(body: ParsedBody) -> list[tuple[int, str, str]]:
    """Line, code and field of each error."""
    return [(error.line, error.code.value, error.field) for error in body.errors]


def ndjson(events: Sequence[dict[str, Any]]) -> bytes:
    """A line each."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def csv_rows(events: Sequence[dict[str, Any]]) -> bytes:
    """A row each under a header of all fields in the order of their first appearance."""
    header = list(dict.fromkeys(name for event in events for name in event))
    out = io.StringIO()
    writer = csv.DictWriter(out, header or ["device", "ts"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in event.items()} for event in events)
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, bool) else value


def arrow_stream(table: Any, **options: Any) -> bytes:
    """The table as an IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body
