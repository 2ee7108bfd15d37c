"""`tocsin digest`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.opened import TENANT, ask, config_of, opened
from tocsin.cli.options import CaFile, ConfigFile, DataFolder, ServerUrl, Token
from tocsin.cli.output import Exit, JsonFlag, counted, finish, lines_of, note

if TYPE_CHECKING:
    from tocsin.client import Destination


def digest(
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    data: DataFolder = None,
    config: ConfigFile = None,
    wait_s: Annotated[
        float, typer.Option(help="Wait so long for everything to be processed and corrected.")
    ] = 0.0,
    json: JsonFlag = False,
) -> None:
    """Print the digests of what was received and said.

    And how many corrections are pending; ends with 1 while there are any, since `final` is not final
    then. Asks the server; with --data (and no server on it) the folder is opened instead.
    """
    from tocsin.client import Destination

    if data is None:
        result = _asked(Destination(url=url, token=token, ca_file=ca_file), wait_s)
    else:
        with opened(config_of(config, data), "tocsin digest") as application:
            result = _plain(application.runtime.views.digest(TENANT))
    pending = bool(result["pending"]) or not result["caught_up"]
    if pending:
        waiting = (
            f"{counted(result['pending'], 'correction')} pending, "
            f"{counted(result['dumps_unjudged'], 'dump')} not yet judged"
        )
        note(f"not final: {waiting}, caught up: {result['caught_up']}")
    finish(result, lines_of(result), json, Exit.PROBLEM if pending else Exit.OK)


def _asked(server: Destination, wait_s: float) -> dict[str, Any]:
    from tocsin.clock import SystemClock

    clock = SystemClock()
    end_s = clock.monotonic_s() + wait_s
    while True:
        result = ask(server, "GET", "/v1/digest")
        settled = result["caught_up"] and not result["pending"]
        if settled or clock.monotonic_s() >= end_s:
            return result
        clock.sleep(0.25)


def _plain(digest: object) -> dict[str, Any]:
    import msgspec

    result: dict[str, Any] = msgspec.to_builtins(digest)
    return result
