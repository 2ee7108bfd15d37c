"""Derives the hour aggregates again from the events, as a new revision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tocsin.lake.files import COMPACTED, LakeFile, write_batches
from tocsin.lake.intake import REVISION_WRITER
from tocsin.lake.schemas import EVENTS, HOURS
from tocsin.lake.scripts import lake_queries, open_engine, read_batches
from tocsin.lake.store import Change, LakeStore

_SQL: Final = lake_queries("rebuilding")


def rebuild_hours(store: LakeStore, tenant: str, *, memory_bytes: int = 1 << 30) -> int:
    """Replace all hour aggregates of a tenant by what its events give; the new revision.

    Appends wait meanwhile. Sums may differ from the old ones in their last bits, since they are added
    in another order.
    """
    with store.writing:
        revision = store.table(HOURS.name).writers.get(REVISION_WRITER, 0) + 1
        old = store.snapshot().of(HOURS.name, tenant)
        new = list(_tenant_files(store, tenant, revision, memory_bytes))
        store.commit([Change(HOURS.name, add=new, remove=old, writers={REVISION_WRITER: revision})])
    return revision


def _tenant_files(store: LakeStore, tenant: str, revision: int, memory_bytes: int) -> Iterator[LakeFile]:
    snapshot = store.snapshot()
    files = snapshot.readable(EVENTS.name, snapshot.of(EVENTS.name, tenant))
    with open_engine(store.folder, memory_bytes) as engine:
        engine.execute(_SQL["aggregate"], {"files": files, "revision": revision})
        months = engine.execute(_SQL["months"]).fetchall()
        for (month,) in months:
            rows = read_batches(engine, _SQL["rows"], {"month": month}, HOURS.file_schema)
            partition = {"tenant": tenant, "month": month.isoformat()}
            yield write_batches(store.folder / HOURS.name, HOURS, partition, rows, COMPACTED)
