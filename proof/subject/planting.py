"""Takes one protection away from a running Tocsin, so that whoever claims to notice can show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import apsw

from proof.subject.dump_plants import DUMP_PLANTS
from proof.subject.people_plants import PEOPLE_PLANTS


def _no_full_sync() -> None:
    """synchronous=NORMAL: commits in a write-ahead log are not synced."""
    from tocsin.storage import database

    class Hasty(apsw.Connection):
        def pragma(self, name: str, value: Any = None, **options: Any) -> Any:
            if value is None:
                return super().pragma(name, **options)
            return super().pragma(name, "NORMAL" if name == "synchronous" else value, **options)

    vars(database)["apsw"] = _Apsw(Hasty)


class _Apsw:
    """apsw with another connection class."""

    def __init__(self, connection: type[apsw.Connection]) -> None:
        self.Connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(apsw, name)


def _no_directory_sync() -> None:
    """Names are never synced."""
    from tocsin.lake import files as lake_files
    from tocsin.lake import table, upkeep
    from tocsin.log import catalogue, segment
    from tocsin.storage import database, files

    for module in (files, lake_files, table, upkeep, catalogue, segment, database):
        module.sync_directory = lambda _: None  # type: ignore[attr-defined]


def _rename_before_sync() -> None:
    """A lake file gets its name before its bytes are synced, and nobody syncs them afterwards."""
    from tocsin.lake import files

    files.sync_descriptor = lambda *_: None


def _acknowledge_before_commit() -> None:
    """A sender hears that its records are durable while they are only queued."""
    from concurrent.futures import Future

    from tocsin.log.abstract import Append, Appended
    from tocsin.log.embedded import EmbeddedLog

    submit = EmbeddedLog.submit

    def submit_early(self: EmbeddedLog, append: Append) -> Future[Appended]:
        done = submit(self, append)
        if not append.producer:
            return done
        early: Future[Appended] = Future()
        early.set_result(Appended(append.answer, False, ()))
        return early

    EmbeddedLog.submit = submit_early  # type: ignore[method-assign]


def _trim_before_lake() -> None:
    """Segments go as soon as they are processed, whether the lake has their records or not."""
    from tocsin.runtimes.embedded.runtime import Runtime

    Runtime._safe = lambda self: {  # type: ignore[method-assign]
        worker.partition: min(self._committed(worker), self._covered(worker)) for worker in self.workers
    }


PLANTS: Final[dict[str, Callable[[], None]]] = {
    "synchronous_normal": _no_full_sync,
    "no_directory_sync": _no_directory_sync,
    "rename_before_sync": _rename_before_sync,
    "acknowledge_before_commit": _acknowledge_before_commit,
    "trim_before_lake": _trim_before_lake,
    **DUMP_PLANTS,
    **PEOPLE_PLANTS,
}


def plant(name: str) -> None:
    """Take the protection away in this process; "" takes none."""
    if name:
        PLANTS[name]()
