"""Appends to the tables that are not filled from the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.errors import InvalidInputError
from tocsin.lake.files import FRESH, FileWriter, LakeFile, partition_value, write_file
from tocsin.lake.grouping import OVERFLOW, group_rows
from tocsin.lake.schemas import LOG_TABLES, OVERFLOW_DATE, TableSpec
from tocsin.lake.store import Change, LakeStore


def append_table(store: LakeStore, name: str, rows: pa.Table, *, writer: str, version: int) -> bool:
    """Add rows to a declared table; synced on return. False if `writer` has reached `version` already.

    `rows` must have the table's columns (lake/schemas.py), partition columns included.
    """
    if name in {spec.name for spec in LOG_TABLES}:
        raise InvalidInputError(f"the table {name} is filled from the log alone")
    with store.writing:
        table = store.table(name)
        if table.writers.get(writer, -1) >= version:
            return False
        cast = _checked(table.spec, rows)
        files = list(_write(store, table.spec, cast))
        store.commit([Change(name, add=files, writers={writer: version})])
    return True


def append_parts(
    store: LakeStore, name: str, tenant: str, parts: Iterable[pa.Table], *, writer: str, version: int
) -> bool:
    """As `append_table`, for rows of a tenant that come part by part, of a table without dates; one is held.

    Others may append until all parts are written. False too, and nothing appended, without any part.
    """
    table, coming = store.table(name), iter(parts)
    if table.writers.get(writer, -1) >= version or (first := next(coming, None)) is None:
        return False
    with FileWriter(table.folder, table.spec, {"tenant": tenant}, FRESH) as file:
        for rows in chain([first], coming):
            file.add(_checked(table.spec, rows).drop_columns(["tenant"]))
        entry = file.finish()
    with store.writing:
        if table.writers.get(writer, -1) >= version:  # somebody else was quicker; vacuum takes the file
            return False
        store.commit([Change(name, add=[entry], writers={writer: version})])
    return True


def _checked(spec: TableSpec, rows: pa.Table) -> pa.Table:
    try:
        return rows.select(spec.schema.names).cast(spec.schema)
    except (KeyError, pa.ArrowInvalid, ValueError) as error:
        raise InvalidInputError(f"rows do not fit the table {spec.name}: {error}") from error


def _write(store: LakeStore, spec: TableSpec, rows: pa.Table) -> Iterator[LakeFile]:
    for tenant in pc.unique(rows.column("tenant")).to_pylist():
        own = rows.filter(pc.equal(rows.column("tenant"), tenant))
        dates = [name for name in spec.partition_by if name != "tenant"]
        days = own.column(dates[0]).cast(pa.int32()).to_numpy() if dates else np.zeros(own.num_rows)
        for group in group_rows(days.astype(np.int64)):
            part = own if group.rows is None else own.take(pa.array(group.rows))
            partition = {"tenant": tenant, **{name: _day(part, name, group.key) for name in dates}}
            yield write_file(
                store.folder / spec.name, spec, partition, part.drop_columns(list(spec.partition_by)), FRESH
            )


def _day(part: pa.Table, name: str, key: int) -> str:
    return OVERFLOW_DATE.isoformat() if key == OVERFLOW else partition_value(part.column(name)[0].as_py())
