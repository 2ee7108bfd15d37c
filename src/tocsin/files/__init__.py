"""Tables of readings (Parquet, CSV, NDJSON) as batches of events, for backtests and imports."""

from tocsin.files.mapping import Mapping
from tocsin.files.reader import Chunk, EventFile, Report, open_events

__all__ = ["Chunk", "EventFile", "Mapping", "Report", "open_events"]
