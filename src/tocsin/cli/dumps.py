"""`tocsin dumps`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from tocsin.cli.opened import TENANT, ask, config_of, opened
from tocsin.cli.options import CaFile, ConfigFile, DataFolder, ServerUrl, Token
from tocsin.cli.output import JsonFlag, counted, finish
from tocsin.visible import visible

if TYPE_CHECKING:
    from tocsin.client import Destination


def dumps(
    device: Annotated[str, typer.Argument(help="Name of the device.")],
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    data: DataFolder = None,
    config: ConfigFile = None,
    json: JsonFlag = False,
) -> None:
    """List a device's log dumps and what became of each.

    Waiting ones wait for a dump before them, ready ones for dump detectors. Asks the server; with --data
    (and no server on it) the folder is opened instead.
    """
    from tocsin.client import Destination

    if data is None:
        result = _asked(Destination(url=url, token=token, ca_file=ca_file), device)
    else:
        with opened(config_of(config, data), f"tocsin dumps {device}") as application:
            result = _plain(application.runtime.views.dumps(TENANT, device), device)
    lines = [_dump_line(dump) for dump in result["dumps"]]
    lines += [_missing_line(span) for span in result["missing"]]
    lines += [visible(f"{name}: {note}") for name, note in result["notes"].items()]
    lines.append(f"{counted(len(result['dumps']), 'dump')}, {counted(len(result['missing']), 'gap')}")
    finish(result, lines, json)


def _asked(server: Destination, device: str) -> dict[str, Any]:
    found: list[Any] = []
    parameters: dict[str, str] = {"limit": "200"}
    while True:
        page = ask(server, "GET", f"/v1/devices/{quote(device, safe='')}/dumps", params=parameters)
        found += page["dumps"]
        if page["next"] is None:
            return {"device": device, "dumps": found, "missing": page["missing"], "notes": page["notes"]}
        parameters["cursor"] = page["next"]


def _plain(found: Any, device: str) -> dict[str, Any]:
    """As the server says it."""
    import msgspec

    from tocsin.errors import NotFoundError

    if found is None:
        raise NotFoundError("This device has not sent a dump yet.")
    names = ("epoch", "sequence", "sha256", "size_bytes")
    shown = [
        {name: getattr(item.dump, name) for name in names}
        | {"state": item.state, "code": item.dump.code, "detail": item.dump.detail}
        for item in found.dumps
    ]
    missing = msgspec.to_builtins(found.missing)
    return {"device": device, "dumps": shown, "missing": missing, "notes": dict(found.notes)}


def _dump_line(dump: dict[str, Any]) -> str:
    why = f": {dump['code']}: {dump['detail']}" if dump["code"] else ""
    return f"{_named(dump['epoch'], dump['sequence'])} {dump['state']}, {dump['size_bytes']} bytes{why}"


def _missing_line(span: dict[str, Any]) -> str:
    what = "given up" if span["given_up"] else "waited for"
    last = "" if span["first"] == span["last"] else f" to {span['last']}"
    return f"{_named(span['epoch'], span['first'])}{last} missing, {what}"


def _named(epoch: int, sequence: int) -> str:
    return f"{epoch}-{sequence}" if epoch else str(sequence)
