"""`tocsin feedback`"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from tocsin.cli.opened import ask
from tocsin.cli.options import CaFile, ServerUrl, Token
from tocsin.cli.output import Exit, JsonFlag, fail, finish

_KINDS = {"false-alarm": "false_alarm", "withdrawn": "withdrawn"}


def feedback(
    anomaly: Annotated[str, typer.Argument(help="Id of the anomaly.")],
    kind: Annotated[str, typer.Argument(help=f"What it was: {', '.join(_KINDS)}.")],
    note: Annotated[str, typer.Option(help="Why, for people.")] = "",
    if_version: Annotated[
        int | None, typer.Option(min=0, help="Give it only if this is still the anomaly's version.")
    ] = None,
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    json: JsonFlag = False,
) -> None:
    """Say what an anomaly was, so that its series are judged otherwise from now on.

    A false alarm raises their limits to 1.5 times what they are, at most three times in all; withdrawn takes
    the last step back. Asks the server.
    """
    from tocsin.client import Destination
    from tocsin.visible import visible

    if kind not in _KINDS:
        fail("usage", f"what it was is one of {', '.join(_KINDS)}", json, Exit.USAGE)
    server = Destination(url=url, token=token, ca_file=ca_file)
    etag = "*" if if_version is None else f'"{if_version}"'
    path = f"/v1/anomalies/{quote(anomaly, safe='')}/feedback"
    result = ask(server, "POST", path, if_match=etag, json={"kind": _KINDS[kind], "note": note})
    lines = [visible(f"{each['parameter']}, as {each['detector']} judges it") for each in result["series"]]
    finish(result, [*lines, f"{kind}: action {result['action']}, in force from the next reading on"], json)
