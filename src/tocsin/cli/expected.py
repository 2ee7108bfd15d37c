"""`tocsin expected`"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from tocsin.cli.opened import ask
from tocsin.cli.options import CaFile, ServerUrl, Token
from tocsin.cli.output import JsonFlag, counted, finish


def expected(
    anomaly: Annotated[str, typer.Argument(help="Id of an anomaly that tells of new templates.")],
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    json: JsonFlag = False,
) -> None:
    """Say that the new log lines of an anomaly are to be expected.

    Teaches the dictionary of the device's application: from the next dump on, their templates are new on none
    of its devices. Asks the server.
    """
    from tocsin.client import Destination
    from tocsin.visible import visible

    server = Destination(url=url, token=token, ca_file=ca_file)
    result = ask(server, "POST", f"/v1/anomalies/{quote(anomaly, safe='')}/expected")
    lines = [visible(f"expected: {text}") for text in result["new"]] or ["it is expected already"]
    name = visible(result["application"]) or "of devices without an application"
    finish(result, [*lines, f"dictionary {name}: {counted(result['templates'], 'template')}"], json)
