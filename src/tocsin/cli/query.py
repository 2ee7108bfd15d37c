"""`tocsin query`"""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.opened import TENANT, ask, config_of, opened
from tocsin.cli.options import CaFile, ConfigFile, DataFolder, ServerUrl, SkipDamaged, Token
from tocsin.cli.output import JsonFlag, finish, lines_of, progress
from tocsin.cli.targets import require_file
from tocsin.visible import visible

if TYPE_CHECKING:
    from tocsin.bootstrap import Application

_SHOWN_MAX = 200


def query(
    sql: Annotated[str, typer.Argument(help="One SELECT over the tables of the lake.")],
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    data: DataFolder = None,
    config: ConfigFile = None,
    out: Annotated[
        Path | None, typer.Option(help="With --data: write all rows to a .parquet, .csv or .ndjson file.")
    ] = None,
    skip_damaged: SkipDamaged = False,
    json: JsonFlag = False,
) -> None:
    """Ask with SQL what was received and what was found.

    Covers lake and log, so what was accepted a moment ago is included. For example: SELECT device,
    max(value) FROM readings WHERE parameter = 'temperature' GROUP BY device. The views are readings,
    events, logs, hours, days, weeks, months, seasons, episodes, scores, control, models and dead_letters.
    Asks the server (at most 10,000 rows); with --data (and no server on it) the folder is opened instead.
    """
    from tocsin.client import Destination
    from tocsin.lake.export import require_target

    if data is None and out is not None:
        raise typer.BadParameter("--out needs --data: the server answers small questions only")
    question = {"sql": sql, "skip_damaged": skip_damaged}
    if data is None:
        server = Destination(url=url, token=token, ca_file=ca_file)
        result = ask(server, "POST", "/v1/query", json=question)
    else:
        if out is not None:
            require_target(out)
            require_file(out)
        with opened(config_of(config, data), f"tocsin query {quote(sql)}") as application:
            result = (
                _plain(application, sql, skip_damaged)
                if out is None
                else _written(application, sql, out, skip_damaged)
            )
    finish(result, _lines(result), json)


def _plain(application: Application, sql: str, skip_damaged: bool) -> dict[str, Any]:
    from msgspec.json import decode

    from tocsin.lake.json_rows import json_rows

    rows = application.query_table(sql, tenant=TENANT, skip_damaged=skip_damaged)
    return decode(json_rows(rows), type=dict[str, Any])


def _written(application: Application, sql: str, out: Path, skip_damaged: bool) -> dict[str, Any]:
    from tocsin.lake.export import export, spilling

    with (
        spilling(out) as spill,
        application.query_rows(sql, tenant=TENANT, spill=spill, skip_damaged=skip_damaged) as rows,
        progress("rows written", None) as advance,
    ):
        count = export(rows, out, advance)
    return {"rows_written": count, "out": str(out)}


def _lines(result: dict[str, Any]) -> list[str]:
    """Columns side by side; long answers are cut with a word about it."""
    if "columns" not in result:
        return lines_of(result)
    head = [visible(column["name"]) for column in result["columns"]]
    shown = result["rows"][:_SHOWN_MAX]
    rows = [["" if cell is None else visible(str(cell)) for cell in row] for row in shown]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    left_out = len(result["rows"]) - len(rows)
    return lines + ([f"… and {left_out} more rows"] if left_out else [])
