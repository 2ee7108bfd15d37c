"""`tocsin lake`"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.opened import TENANT, config_of, require_folder
from tocsin.cli.options import ConfigFile, DataFolder, SkipDamaged
from tocsin.cli.output import Exit, JsonFlag, counted, finish, progress
from tocsin.cli.targets import require_file

if TYPE_CHECKING:
    from tocsin.config import Config
    from tocsin.lake.delta import DeltaLake


class Action(StrEnum):
    """What to do with the lake."""

    LIST = "list"
    COMPACT = "compact"
    CHECK = "check"
    REPAIR = "repair"
    EXPORT = "export"


def lake(
    action: Annotated[
        Action,
        typer.Argument(help="list: sizes; compact: merge small files; check; repair; export."),
    ] = Action.LIST,
    data: DataFolder = None,
    config: ConfigFile = None,
    sql: Annotated[str, typer.Option(help="export: which rows.")] = "SELECT * FROM readings",
    out: Annotated[Path | None, typer.Option(help="export: a .parquet, .csv or .ndjson file.")] = None,
    skip_damaged: SkipDamaged = False,
    json: JsonFlag = False,
) -> None:
    """List, compact, check, repair or export the tables of the lake.

    Check names files that are not as they were written, repair rebuilds them from the log or from the events
    where these have what was lost, and says what to do where they don't. All but compact and repair work
    beside a running server; those need the folder for itself.
    """
    from tocsin.clock import SystemClock
    from tocsin.lake.delta import DeltaLake

    loaded = config_of(config, data)
    target = _target(out) if action is Action.EXPORT else Path()
    require_folder(loaded)
    if action is Action.REPAIR:
        result, lines = _repair(loaded)
        finish(result, lines, json, Exit.PROBLEM if result["left"] else Exit.OK)
        return
    found = DeltaLake(loaded.data / "lake", SystemClock(), read_only=action is not Action.COMPACT)
    try:
        result, lines = (
            _ACTIONS[action](found)
            if action is not Action.EXPORT
            else _export(found, sql, target, skip_damaged)
        )
    finally:
        found.close()
    problem = bool(result.get("damaged"))
    finish(result, lines, json, Exit.PROBLEM if problem else Exit.OK)


def _list(lake: DeltaLake) -> tuple[dict[str, Any], list[str]]:
    tables = {
        name: {
            "files": len(files),
            "rows": sum(entry.rows for entry in files),
            "bytes": sum(entry.size_bytes for entry in files),
        }
        for name, files in sorted(lake.snapshot().files.items())
    }
    lines = [
        f"{name}: {counted(table['rows'], 'row')} in {counted(table['files'], 'file')}, "
        f"{table['bytes'] / (1 << 20):.1f} MiB"
        for name, table in tables.items()
    ]
    return {"tables": tables}, lines


def _compact(lake: DeltaLake) -> tuple[dict[str, Any], list[str]]:
    from tocsin.lake.compaction import compact
    from tocsin.lake.upkeep import vacuum

    with progress("compacting", None) as advance:
        before, after = 0, 0
        for done in compact(lake.store):
            before, after = before + done.files_before, after + done.files_after
            advance(1)
        removed = len(vacuum(lake.store))
    result = {"files_before": before, "files_after": after, "files_removed": removed}
    return result, [f"{counted(before, 'file')} merged into {after}, {counted(removed, 'old file')} removed"]


def _check(lake: DeltaLake) -> tuple[dict[str, Any], list[str]]:
    from tocsin.lake.upkeep import check

    snapshot = lake.snapshot()
    total = sum(len(files) for files in snapshot.files.values())
    damaged: list[dict[str, str]] = []
    with progress("checking", total) as advance:
        for done in check(snapshot):
            advance(1)
            if done.damage is not None:
                damage = done.damage
                damaged.append({"table": damage.table, "path": damage.path, "problem": damage.problem})
    lines = [f"{each['table']}/{each['path']} {each['problem']}" for each in damaged]
    return {"files": total, "damaged": damaged}, [
        *lines,
        f"{counted(total, 'file')} read, {len(damaged)} damaged",
    ]


def _repair(config: Config) -> tuple[dict[str, Any], list[str]]:
    from tocsin.bootstrap import Application
    from tocsin.lake.delta import DeltaLake
    from tocsin.lake.repairing import QUARANTINE, repair

    application = Application(config)
    try:
        lake = application.lake
        with progress("repairing", None) as advance:
            done = []
            for step in repair(lake.store, application.log) if isinstance(lake, DeltaLake) else ():
                done.append(step)
                advance(1)
    finally:
        application.stop()
    files = [
        {"table": each.damage.table, "path": each.damage.path, "problem": each.damage.problem,
         "rebuilt_from": each.source, "remedy": each.remedy}
        for each in done
    ]  # fmt: skip
    left = sum(not each.source for each in done)
    lines = [
        f"{each.damage.table}/{each.damage.path} {each.damage.problem}: "
        + (f"rebuilt from {each.source}" if each.source else f"not rebuilt: {each.remedy}")
        for each in done
    ]
    aside = f"; the damaged files are in {config.data / 'lake' / QUARANTINE}" if len(done) > left else ""
    return {"files": files, "left": left}, [
        *lines,
        f"{len(done)} damaged files, {len(done) - left} rebuilt, {left} left{aside}",
    ]


def _target(out: Path | None) -> Path:
    from tocsin.errors import InvalidInputError
    from tocsin.lake.export import require_target

    if out is None:
        raise InvalidInputError("export needs --out FILE", field="out")
    require_target(out)
    require_file(out)
    return out


def _export(lake: DeltaLake, sql: str, out: Path, skip_damaged: bool) -> tuple[dict[str, Any], list[str]]:
    from tocsin.lake.export import export, spilling
    from tocsin.lake.query import whole_result

    with (
        spilling(out) as spill,
        whole_result(sql, lake=lake, log=None, tenant=TENANT, spill=spill, skip_damaged=skip_damaged) as rows,
        progress("rows written", None) as advance,
    ):
        count = export(rows, out, advance)
    return {"rows": count, "out": str(out)}, [f"{counted(count, 'row')} written to {out}"]


_ACTIONS = {Action.LIST: _list, Action.COMPACT: _compact, Action.CHECK: _check}
