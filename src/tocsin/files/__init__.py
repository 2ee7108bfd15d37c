"""Tables of readings (Parquet, CSV, NDJSON) as batches of events, for backtests and imports."""

from tocsin.files.event_file import Chunk, EventFile, Report
from tocsin.files.log_file import open_log_lines
from tocsin.files.mapping import Mapping
from tocsin.files.opening import open_events

__all__ = ["Chunk", "EventFile", "Mapping", "Report", "open_events", "open_log_lines"]
