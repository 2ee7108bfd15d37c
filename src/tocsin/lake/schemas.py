"""The tables of the lake: their columns, how they are partitioned and how their files are laid out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import pyarrow as pa

TIME: Final = pa.timestamp("us", tz="UTC")
READINGS: Final = pa.map_(pa.string(), pa.field("value", pa.float64(), nullable=False))
OVERFLOW_DATE: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """What a table is.

    `schema` lists partition columns first; they live in the table log and in the path, not in the files.
    `sort` is the order of compacted rows. `dictionary` names the columns (Parquet paths) with few distinct
    values, `delta` those that grow by small steps, `statistics` those whose range every file states.
    """

    name: str
    schema: pa.Schema
    partition_by: tuple[str, ...]
    sort: tuple[str, ...] = ()
    dictionary: tuple[str, ...] = ()
    delta: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()

    @property
    def file_schema(self) -> pa.Schema:
        """The columns that a file holds."""
        return pa.schema([field for field in self.schema if field.name not in self.partition_by])


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


_ORIGIN: Final = [_required("log_partition", pa.int32()), _required("log_offset", pa.int64())]

EVENTS: Final = TableSpec(
    name="events",
    schema=pa.schema(
        [
            pa.field("tenant", pa.string()),
            pa.field("application", pa.string()),
            pa.field("version", pa.string()),
            pa.field("date", pa.date32()),
            _required("device", pa.string()),
            _required("ts", TIME),
            _required("arrival", TIME),
            _required("readings", READINGS),
            pa.field("text", pa.string()),
            _required("text_count", pa.int32()),
            pa.field("id", pa.string()),
            _required("flags", pa.int32()),
            *_ORIGIN,
            pa.field("sent_application", pa.string()),
            pa.field("sent_version", pa.string()),
        ]
    ),
    partition_by=("tenant", "application", "version", "date"),
    sort=("hour", "device", "log_partition", "log_offset"),
    dictionary=(
        "device",
        "arrival",
        "readings.key_value.key",
        "readings.key_value.value",
        "text_count",
        "flags",
        "log_partition",
        "sent_application",
        "sent_version",
    ),
    delta=("ts", "log_offset"),
    statistics=("device", "ts", "log_partition", "log_offset"),
)

HOURS: Final = TableSpec(
    name="hours",
    schema=pa.schema(
        [
            pa.field("tenant", pa.string()),
            pa.field("month", pa.date32()),
            _required("application", pa.string()),
            _required("device", pa.string()),
            _required("parameter", pa.string()),
            _required("hour", TIME),
            _required("count", pa.int64()),
            _required("sum", pa.float64()),
            _required("m2", pa.float64()),
            _required("min", pa.float64()),
            _required("max", pa.float64()),
            _required("revision", pa.int32()),
        ]
    ),
    partition_by=("tenant", "month"),
    sort=("application", "device", "parameter", "hour"),
    dictionary=("application", "device", "parameter", "hour", "count", "revision"),
    statistics=("device", "hour"),
)

CONTROL: Final = TableSpec(
    name="control",
    schema=pa.schema(
        [
            pa.field("tenant", pa.string()),
            _required("log_partition", pa.int32()),
            _required("log_offset", pa.int64()),
            _required("arrival", TIME),
            _required("type", pa.string()),
            _required("payload", pa.string()),
        ]
    ),
    partition_by=("tenant",),
    sort=("log_partition", "log_offset"),
    dictionary=("log_partition", "type"),
    delta=("log_offset",),
    statistics=("log_partition", "log_offset"),
)

EPISODES: Final = TableSpec(
    name="episodes",
    schema=pa.schema(
        [
            pa.field("tenant", pa.string()),
            _required("sequence", pa.int64()),
            _required("id", pa.string()),
            _required("revision", pa.int32()),
            _required("retracted", pa.bool_()),
            _required("application", pa.string()),
            _required("version", pa.string()),
            _required("device", pa.string()),
            _required("parameter", pa.string()),
            _required("detector", pa.string()),
            _required("reason", pa.string()),
            _required("severity", pa.string()),
            _required("started", TIME),
            _required("opened", TIME),
            pa.field("ended", TIME),
            _required("last_abnormal", TIME),
            _required("peak", TIME),
            _required("readings", pa.int64()),
            _required("value", pa.float64()),
            _required("expected", pa.float64()),
            _required("lower", pa.float64()),
            _required("upper", pa.float64()),
            _required("score", pa.float64()),
            _required("explanation", pa.string()),
        ]
    ),
    partition_by=("tenant",),
    sort=("sequence",),
    statistics=("sequence", "started"),
)

SCORES: Final = TableSpec(
    name="scores",
    schema=pa.schema(
        [
            pa.field("tenant", pa.string()),
            pa.field("date", pa.date32()),
            _required("application", pa.string()),
            _required("device", pa.string()),
            _required("parameter", pa.string()),
            _required("ts", TIME),
            pa.field("value", pa.float64()),
            _required("detector", pa.string()),
            _required("verdict", pa.string()),
            pa.field("score", pa.float64()),
            pa.field("expected", pa.float64()),
            pa.field("lower", pa.float64()),
            pa.field("upper", pa.float64()),
            *_ORIGIN,
            _required("revision", pa.int64()),
        ]
    ),
    partition_by=("tenant", "date"),
    sort=("device", "parameter", "ts"),
    dictionary=("application", "device", "parameter", "detector", "verdict", "log_partition", "revision"),
    delta=("log_offset",),
    statistics=("device", "ts"),
)

MODELS: Final = TableSpec(
    name="models",
    schema=pa.schema(
        [
            pa.field("tenant", pa.string()),
            _required("recorded", TIME),
            _required("application", pa.string()),
            _required("device", pa.string()),
            _required("parameter", pa.string()),
            _required("detector", pa.string()),
            pa.field("hour_of_week", pa.int32()),
            _required("name", pa.string()),
            _required("value", pa.float64()),
        ]
    ),
    partition_by=("tenant",),
    sort=("recorded", "device", "parameter", "hour_of_week", "name"),
    dictionary=("recorded", "application", "device", "parameter", "detector", "hour_of_week", "name"),
    statistics=("recorded", "device"),
)

DEAD_LETTERS: Final = TableSpec(
    name="dead_letters",
    schema=pa.schema(
        [
            pa.field("tenant", pa.string()),
            _required("id", pa.int64()),
            _required("arrival", TIME),
            _required("source", pa.string()),
            _required("line", pa.int64()),
            _required("code", pa.string()),
            _required("field", pa.string()),
            _required("detail", pa.string()),
            _required("body", pa.binary()),
        ]
    ),
    partition_by=("tenant",),
    sort=("id",),
    dictionary=("source", "code", "field"),
    statistics=("id", "arrival"),
)

TABLES: Final = {spec.name: spec for spec in (EVENTS, HOURS, CONTROL, EPISODES, SCORES, MODELS, DEAD_LETTERS)}
LOG_TABLES: Final = (EVENTS, HOURS, CONTROL)
"""What `append` fills from the log; the others are filled by `append_table`."""
