"""An event written as the line that would be read as it: for what is refused after it was parsed."""

from __future__ import annotations

import json

from tocsin.events import EventBatch
from tocsin.ingest.parsing.json_reader import JsonValue


def event_line(batch: EventBatch, row: int) -> bytes:
    """One NDJSON line without its end; `ts` in epoch milliseconds, text fields after the readings."""
    application, version = batch.streams[batch.stream[row]]
    fields: dict[str, JsonValue] = {"device": batch.device[row], "ts": int(batch.ts[row])}
    reserved = {"application": application, "version": version, "id": batch.event_id[row]}
    fields |= {name: value for name, value in reserved.items() if value}
    for reading in range(batch.reading_offsets[row], batch.reading_offsets[row + 1]):
        fields[batch.names[batch.parameter[reading]]] = float(batch.value[reading])
    if batch.text_count[row]:
        fields |= json.loads(batch.text[row])
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
