"""Lake files: written whole, synced, and named after the hash of their bytes.

A random part makes names unique, since two appends may hold the same rows.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from tocsin.errors import StorageFullError, StorageUnavailableError, TocsinError
from tocsin.lake.names import directory_of
from tocsin.lake.schemas import TableSpec
from tocsin.storage.faults import end_process
from tocsin.storage.files import make_directory, sync_directory

TEMPORARY_SUFFIX: Final = ".tmp"

Bound = int | str | float
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ISO_SPAN_US: Final = (-62_135_596_800_000_000, 253_402_300_799_999_999)


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One file of a table's current version.

    `path` is relative to the table's folder, `partition` has every partition column ("" = null), `ranges`
    the smallest and largest value of columns (times in microseconds); a column may be missing there.
    """

    path: str
    size_bytes: int
    rows: int
    partition: Mapping[str, str]
    ranges: Mapping[str, tuple[Bound, Bound]] = field(default_factory=dict)

    @property
    def content_hash(self) -> str:
        """The xxh3_128 of the file's bytes, as it was when written."""
        return self.path.rsplit("/", 1)[-1].split("-")[-1].removesuffix(".parquet")

    def overlaps(self, column: str, lower: Bound, upper: Bound) -> bool:
        """Whether a row may lie in [lower, upper]; true when the file doesn't state its range."""
        known = self.ranges.get(column)
        return known is None or (known[0] <= upper and known[1] >= lower)  # type: ignore[operator]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a file is written. Fresh files are made for speed, compacted ones for size and for readers.

    `row_group_bytes`, as Arrow counts them, end a row group of rows that come batch by batch.
    """

    compression: str = "none"
    row_group_rows: int = 1 << 20
    row_group_bytes: int = 32 << 20
    statistics: bool = False


FRESH: Final = Layout()
COMPACTED: Final = Layout(compression="zstd", row_group_rows=1 << 16, statistics=True)


def write_file(
    folder: Path, spec: TableSpec, partition: Mapping[str, str], rows: pa.Table, layout: Layout
) -> LakeFile:
    """Write rows of one partition; file and directory are synced on return.

    `rows` has the columns of `spec.file_schema`, strings may be dictionary-encoded.
    """
    with FileWriter(folder, spec, partition, layout) as writer:
        writer.add(rows)
        return writer.finish()


def write_batches(
    folder: Path,
    spec: TableSpec,
    partition: Mapping[str, str],
    batches: Iterable[pa.RecordBatch],
    layout: Layout,
) -> LakeFile:
    """As `write_file`, for rows that come batch by batch; no more than a row group of them is held."""
    with FileWriter(folder, spec, partition, layout) as writer:
        for part in _row_groups(batches, spec.file_schema, layout):
            writer.add(part)
        return writer.finish()


def _row_groups(batches: Iterable[pa.RecordBatch], schema: pa.Schema, layout: Layout) -> Iterator[pa.Table]:
    """The batches, as many together as make a row group; there is one even if there are no rows."""
    waiting: list[pa.RecordBatch] = []
    count = size_bytes = given = 0
    for batch in batches:
        waiting.append(batch)
        count, size_bytes = count + batch.num_rows, size_bytes + batch.nbytes
        if count >= layout.row_group_rows or size_bytes >= layout.row_group_bytes:
            yield pa.Table.from_batches(waiting, schema)
            waiting, count, size_bytes, given = [], 0, 0, given + 1
    if waiting or not given:
        yield pa.Table.from_batches(waiting, schema)


class FileWriter:
    """Writes one file part by part, at least a row group each; nothing is visible before `finish`.

    Leaving the context without `finish` leaves nothing behind.
    """

    def __init__(self, folder: Path, spec: TableSpec, partition: Mapping[str, str], layout: Layout) -> None:
        self._spec: Final = spec
        self._layout: Final = layout
        self._partition: Final = dict(partition)
        self._folder: Final = folder
        self._directory: Final = directory_of(partition)
        make_directory(folder / self._directory)
        self._name: Final = f"part-{secrets.token_hex(4)}"
        self._temporary: Final = folder / self._directory / (self._name + TEMPORARY_SUFFIX)
        with _writing(self._temporary):
            self._sink: Final = _Sink(self._temporary)
        self._parquet: pq.ParquetWriter | None = None
        self._rows = 0
        self._ranges: dict[str, tuple[Bound, Bound]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.close()
        if self._parquet is not None:
            self._parquet.close()  # the library insists on a last write
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)

    def add(self, rows: pa.Table) -> None:
        """Write rows, all parts with the same columns."""
        with _writing(self._temporary):
            if self._parquet is None:
                self._parquet = _parquet_writer(self._spec, rows.schema, self._sink, self._layout)
            self._parquet.write_table(rows, row_group_size=self._layout.row_group_rows)
        self._rows += rows.num_rows
        for name, (low, high) in _ranges(self._spec, rows).items():
            known_low, known_high = self._ranges.get(name, (low, high))
            self._ranges[name] = (min(low, known_low), max(high, known_high))

    def finish(self) -> LakeFile:
        """Sync the file, name it by its hash, sync its directory; ends the process where syncing fails."""
        path = f"{self._directory}/{self._name}-"
        with _writing(self._temporary):
            if self._parquet is not None:
                self._parquet.close()
            self._sink.sync()
        path += f"{self._sink.content_hash}.parquet"
        with _writing(self._folder / path):
            self._temporary.replace(self._folder / path)
        sync_directory(self._folder / self._directory)
        return LakeFile(
            path=path,
            size_bytes=self._sink.size_bytes,
            rows=self._rows,
            partition=self._partition,
            ranges=self._ranges,
        )


class _Sink:
    """A file that is hashed as it is written; once closed it takes writes and forgets them."""

    closed: Final = False  # as pyarrow sees it

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        self._hash = xxhash.xxh3_128()
        self.size_bytes = 0

    def write(self, part: Any) -> int:
        data = memoryview(part)
        if self._file.closed:
            return data.nbytes
        self._file.write(data)
        self._hash.update(data)
        self.size_bytes += data.nbytes
        return data.nbytes

    def flush(self) -> None:
        """Nothing: only `sync` counts."""

    def sync(self) -> None:
        self._file.flush()
        sync_descriptor(self._file.fileno(), self._path)

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()

    @property
    def content_hash(self) -> str:
        return self._hash.hexdigest()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Errors of the disk as answers."""
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error) from error


def publish(path: Path, payload: bytes | memoryview) -> None:
    """Make the bytes visible under `path`, synced; ends the process when syncing fails."""
    with publishing(path) as sink:
        sink.write(payload)


@contextmanager
def publishing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that gets its name, synced, when the context ends well; else nothing is left of it.

    Ends the process when syncing fails.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    try:
        with _writing(path), temporary.open("wb") as sink:
            yield sink
            sink.flush()
            sync_descriptor(sink.fileno(), path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    with _writing(path):
        temporary.replace(path)
    sync_directory(path.parent)


def _unwritable(path: Path, error: OSError) -> TocsinError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageFullError(f"the disk is full at {path}: free space and try again", retry_after_s=10)
    return StorageUnavailableError(f"{path} can't be written: {error.strerror}", retry_after_s=10)


def sync_file(path: Path) -> None:
    """Sync a file that another library has written, then its directory."""
    with path.open("rb") as written:
        sync_descriptor(written.fileno(), path)
    sync_directory(path.parent)


def sync_descriptor(descriptor: int, path: Path) -> None:
    """fsync; ends the process when that fails."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        end_process(f"fsync of {path} failed: {error}")


def _parquet_writer(spec: TableSpec, schema: pa.Schema, sink: _Sink, layout: Layout) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"),
        schema,
        compression=layout.compression,
        use_dictionary=[path for path in spec.dictionary if path.split(".")[0] in schema.names],
        column_encoding=dict.fromkeys(spec.delta, "DELTA_BINARY_PACKED"),
        write_statistics=list(spec.statistics) if layout.statistics else False,
        store_schema=False,
    )


def _ranges(spec: TableSpec, rows: pa.Table) -> dict[str, tuple[Bound, Bound]]:
    return {name: _range(rows.column(name)) for name in spec.statistics} if rows.num_rows else {}


def _range(column: pa.ChunkedArray) -> tuple[Bound, Bound]:
    if pa.types.is_dictionary(column.type):
        used = pa.chunked_array([chunk.dictionary for chunk in column.chunks])
        return _range(used)
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    limits = pc.min_max(column)
    return limits["min"].as_py(), limits["max"].as_py()


def stats_json(spec: TableSpec, entry: LakeFile) -> str:
    """The file's statistics as the table log carries them."""
    stated = {name: _stated(spec, name, limits) for name, limits in entry.ranges.items()}
    known = {name: limits for name, limits in stated.items() if limits}
    return json.dumps(
        {
            "numRecords": entry.rows,
            "minValues": {name: limits[0] for name, limits in known.items()},
            "maxValues": {name: limits[1] for name, limits in known.items()},
            "nullCount": dict.fromkeys(known, 0),
        }
    )


def _stated(spec: TableSpec, name: str, limits: tuple[Bound, Bound]) -> Sequence[Bound]:
    if not pa.types.is_timestamp(spec.schema.field(name).type):
        return limits
    lower, upper = int(limits[0]), int(limits[1])
    if lower < _ISO_SPAN_US[0] or upper > _ISO_SPAN_US[1]:
        return ()
    return _iso(lower), _iso(upper)


def _iso(microseconds: int) -> str:
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def partition_value(value: Any) -> str:
    """A partition value as the table log writes it; null is ""."""
    if value is None:
        return ""
    return value.isoformat() if isinstance(value, date) else str(value)
