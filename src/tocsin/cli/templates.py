"""`tocsin templates`"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.opened import ask
from tocsin.cli.options import CaFile, ServerUrl, Token
from tocsin.cli.output import Exit, JsonFlag, fail, finish, progress
from tocsin.cli.targets import require_file
from tocsin.visible import visible

if TYPE_CHECKING:
    from tocsin.templates.dictionary import Dictionary, Template
    from tocsin.templates.mined import Mined
    from tocsin.templates.miner import Learnt, Miner
    from tocsin.templates.reader import Reader

_PIECE_BYTES = 1 << 20


def templates(
    file: Annotated[Path, typer.Argument(help="Log to read, or with --dictionary an exported dictionary.")],
    out: Annotated[Path | None, typer.Option(help="CSV with a row for each line of the log.")] = None,
    dictionary: Annotated[bool, typer.Option("--dictionary", help="Show the dictionary.")] = False,
    compare: Annotated[
        Path | None,
        typer.Option(
            help="Log or exported dictionary to compare with: what is new in FILE, what has vanished."
        ),
    ] = None,
    export: Annotated[Path | None, typer.Option(help="Write the dictionary to this file, as JSON.")] = None,
    heads: Annotated[
        bool, typer.Option("--heads", help="Add the columns stamp, level and component to --out.")
    ] = False,
    zone: Annotated[
        str, typer.Option(help="Time zone of stamps that name none, such as Europe/Berlin.")
    ] = "UTC",
    layout: Annotated[
        str | None,
        typer.Option(
            "--format", help="Format of the lines, such as '{time} {level} {component}: {message}'."
        ),
    ] = None,
    take_over: Annotated[
        str | None,
        typer.Option(
            help="Have the server take the dictionary over for this application's dumps: what is in it is "
            "new on no device, what is not in it is."
        ),
    ] = None,
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    json: JsonFlag = False,
) -> None:
    """Find the templates of a log: what its lines have in common, and what varies.

    Formats are recognised line by line, unless --format declares one. The rows of --out have the columns
    line (from 1), template_id, template and parameters (a JSON list); lines that continue, as stack traces
    do, belong to their first. Stamps are in UTC; a year that they do not say is the last that is not beyond
    the time of the file. With --compare the exit code is 1 if the dictionaries differ.
    """
    if not (dictionary or any(each is not None for each in (out, compare, export, take_over))):
        wanted = "--out, --dictionary, --compare, --export or --take-over"
        fail("usage", f"say what is wanted: {wanted}", json, Exit.USAGE)
    from tocsin.templates.dictionary import read_dictionary

    require_file(out)
    require_file(export, "export")
    _check_file(file, json)
    if any(each is not None and each.exists() and each.samefile(file) for each in (out, export)):
        fail("usage", f"{file} would be written over: name another place", json, Exit.USAGE)
    found = read_dictionary(file)
    if found is None:
        reader = _reader(file, zone, layout, json)
        miner = _mined(file, reader)
        found = miner.dictionary()
        if out is not None:
            _write_rows(file, miner, out, reader, heads)
    elif out is not None:
        fail("usage", f"{file} is a dictionary and has no lines for --out", json, Exit.USAGE)
    if export is not None:
        found.write(export)
    before = None if compare is None else _compared_with(compare, zone, layout, json)
    taken = None if take_over is None else _taken_over(found, take_over, url, token, ca_file)
    _finish(found, before, taken, dictionary, json)


def _compared_with(compare: Path, zone: str, layout: str | None, as_json: bool) -> Dictionary:
    from tocsin.templates.dictionary import read_dictionary

    _check_file(compare, as_json)
    return read_dictionary(compare) or _mined(compare, _reader(compare, zone, layout, as_json)).dictionary()


def _taken_over(
    found: Dictionary, application: str, url: str, token: str, ca_file: Path | None
) -> dict[str, Any]:
    from tocsin.client import Destination

    server = Destination(url=url, token=token, ca_file=ca_file)
    parameters = {"application": application}
    return ask(server, "PUT", "/v1/dictionary", params=parameters, content=found.to_json())


def _check_file(path: Path, as_json: bool) -> None:
    if not path.is_file():
        fail("usage", f"{path} is no file", as_json, Exit.USAGE)


def _pieces(path: Path, what: str) -> Iterator[bytes]:
    with path.open("rb") as file, progress(what, path.stat().st_size) as advance:
        while piece := file.read(_PIECE_BYTES):
            yield piece
            advance(len(piece))


def _reader(path: Path, zone: str, layout: str | None, as_json: bool) -> Reader:
    """How the lines of a file are to be read."""
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    from tocsin.errors import InvalidInputError
    from tocsin.templates.format import RECOGNISED, declared
    from tocsin.templates.reader import Reader

    try:
        reference = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return Reader(ZoneInfo(zone), reference, RECOGNISED if layout is None else declared(layout))
    except IsADirectoryError:
        fail("usage", f"{zone} is a part of the world, no time zone", as_json, Exit.USAGE)
    except (ZoneInfoNotFoundError, InvalidInputError, ValueError) as error:
        fail("usage", str(error), as_json, Exit.USAGE)


def _mined(path: Path, reader: Reader) -> Miner:
    from tocsin.templates.miner import Miner

    miner = Miner()
    for _ in miner.mine(_pieces(path, "reading"), reader):
        pass
    return miner


def _write_rows(path: Path, miner: Miner, out: Path, reader: Reader, heads: bool) -> None:
    """Read the lines a second time, now that every template is known."""
    import csv

    learnt = miner.learnt()
    line = 0
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = ("line", "template_id", "template", "parameters")
        writer.writerow((*names, "stamp", "level", "component") if heads else names)
        for mined in miner.anew().mine(_pieces(path, "writing"), reader):
            rows = _rows(mined, learnt, line)
            writer.writerows(map(_joined, rows, _heads(mined)) if heads else rows)
            line += len(mined.shapes)


def _rows(mined: Mined, learnt: Learnt, line: int) -> Iterator[tuple[int, str, str, str]]:
    import json

    for place, shape in enumerate(mined.shapes.tolist()):
        number = int(learnt.number[shape])
        values = [] if mined.continued[place] else learnt.parameters(shape, mined.words_of(place))
        yield (
            line + place + 1,
            learnt.ids[number],
            learnt.texts[number],
            json.dumps(values, ensure_ascii=False),
        )


def _joined(row: tuple[int, str, str, str], head: tuple[str, str, str]) -> tuple[int | str, ...]:
    return row + head


def _heads(mined: Mined) -> Iterator[tuple[str, str, str]]:
    from datetime import UTC, datetime, timedelta

    from tocsin.templates.reader import LEVELS, NO_STAMP

    epoch, raw = datetime(1970, 1, 1, tzinfo=UTC), mined.data
    columns = mined.columns()
    rows = zip(*(each.tolist() for each in columns[:3]), strict=True)
    for stamp, level, (start, end) in rows:
        said = "" if stamp == NO_STAMP else (epoch + timedelta(microseconds=stamp)).isoformat()
        yield said, LEVELS[level], raw[start:end].tobytes().decode("utf-8", "backslashreplace")


def _finish(
    found: Dictionary, before: Dictionary | None, taken: dict[str, Any] | None, show: bool, as_json: bool
) -> None:
    import msgspec

    result: dict[str, Any] = {
        "version": found.version,
        "templates": len(found.templates),
        "lines": sum(each.lines for each in found.templates),
    }
    lines = [f"{name}: {value}" for name, value in result.items()]
    if show:
        result["dictionary"] = msgspec.to_builtins(found.templates)
        lines += [_line(" ", each) for each in found.templates]
    code = Exit.OK
    if before is not None:
        difference = found.compared(before)
        result["new"], result["vanished"] = (
            msgspec.to_builtins(difference.new),
            msgspec.to_builtins(difference.vanished),
        )
        lines += [_line("+", each) for each in difference.new]
        lines += [_line("-", each) for each in difference.vanished]
        code = Exit.PROBLEM if difference.new or difference.vanished else Exit.OK
    if taken is not None:
        result["taken_over"] = taken
        what = (
            f"{len(taken['new'])} templates were not in force before, {len(taken['vanished'])} are no longer"
        )
        lines.append(
            visible(f"taken over for {taken['application'] or 'dumps without an application'}: {what}")
        )
    finish(result, lines, as_json, code)


def _line(mark: str, template: Template) -> str:
    return f"{mark} {template.id} {template.lines:>8} {template.template}"
