"""The files of `events` that one append adds: a partition each, written row group by row group."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final, Self

from tocsin.lake.columns import EventColumns, event_table, join_columns
from tocsin.lake.feed import BLOCK_ROWS, Feed
from tocsin.lake.files import FRESH, FileWriter, LakeFile
from tocsin.lake.grouping import OVERFLOW, EventGroups
from tocsin.lake.schemas import EVENTS
from tocsin.lake.store import LakeStore

_DEVICES_PER_ROW_MAX: Final = 1 / 8


@dataclass(slots=True)
class _Open:
    """A file that is being written, and the parts that wait until they make a row group."""

    writer: FileWriter
    parts: list[EventColumns] = field(default_factory=list)
    rows: int = 0


class EventFiles:
    """Gathers the blocks of a feed by partition; at most 65 files, as EventGroups bounds them."""

    def __init__(self, store: LakeStore, feed: Feed, *, row_group_rows: int = BLOCK_ROWS) -> None:
        self._folder: Final = store.folder / EVENTS.name
        self._groups: Final = EventGroups(feed)
        self._row_group_rows: Final = row_group_rows
        self._open: Final[dict[int, _Open]] = {}
        self._opened: Final = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def add(self, block: EventColumns) -> None:
        """Take in a block; full row groups are written."""
        for group in self._groups.of(block):
            part = block if group.rows is None else block.take(group.rows)
            file = self._file(group.key)
            file.parts.append(part)
            file.rows += len(part)
            if file.rows >= self._row_group_rows:
                self._write(group.key, file)

    def finish(self) -> list[LakeFile]:
        """Write what waits; the files, synced."""
        for key, file in self._open.items():
            if file.parts:
                self._write(key, file)
        return [file.writer.finish() for file in self._open.values()]

    def _file(self, key: int) -> _Open:
        if key not in self._open:
            writer = FileWriter(self._folder, EVENTS, self._groups.partition(key), FRESH)
            self._open[key] = _Open(self._opened.enter_context(writer))
        return self._open[key]

    def _write(self, key: int, file: _Open) -> None:
        """Write a row group; its dictionary names every device of the feed only where most of them occur."""
        columns = join_columns(file.parts)
        if not self._groups.single or len(columns.devices) > len(columns) * _DEVICES_PER_ROW_MAX:
            columns = columns.narrowed()
        file.writer.add(event_table(columns, name_streams=key == OVERFLOW))
        file.parts.clear()
        file.rows = 0
