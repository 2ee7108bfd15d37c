"""`tocsin feedback`"""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from tocsin.cli.opened import ask
from tocsin.cli.options import CaFile, ServerUrl, Token
from tocsin.cli.output import Exit, JsonFlag, fail, finish

_KINDS: Final = {
    "false-alarm": "false_alarm",
    "confirmed": "confirmed",
    "expected": "expected",
    "new-normal": "new_normal",
    "withdrawn": "withdrawn",
}
_NEXT: Final = "in force from the next reading on"
_BEGINNING: Final = "in force from the anomaly's beginning on, or from where earlier feedback acts"
_EFFECTS: Final = {
    "false-alarm": _NEXT,
    "confirmed": _BEGINNING,
    "expected": _BEGINNING,
    "new-normal": _NEXT,
    "withdrawn": "the last answer acts no more",
}
_FATES: Final = {"vanishing": "would vanish", "changing": "would become", "appearing": "would appear"}


def feedback(
    anomaly: Annotated[str, typer.Argument(help="Id of the anomaly.")],
    kind: Annotated[str, typer.Argument(help=f"What it was: {', '.join(_KINDS)}.")],
    note: Annotated[str, typer.Option(help="Why, for people.")] = "",
    preview: Annotated[
        bool, typer.Option("--preview", help="Only show what it would have changed in the last 30 days.")
    ] = False,
    if_version: Annotated[
        int | None, typer.Option(min=0, help="Give it only if this is still the anomaly's version.")
    ] = None,
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    json: JsonFlag = False,
) -> None:
    """Say what an anomaly was, so that its series are judged otherwise from now on.

    A false alarm raises their limits to 1.5 times what they are, at most three times in all. What is
    confirmed is not learnt; what is expected is learnt at the same hours of the week, both for 30 days from
    where the anomaly began. A new normal has the series learnt anew. Withdrawn takes the last one back. Asks
    the server.
    """
    from tocsin.client import Destination
    from tocsin.visible import visible

    kind = kind.replace("_", "-")
    if kind not in _KINDS:
        fail("usage", f"what it was is one of {', '.join(_KINDS)}", json, Exit.USAGE)
    server = Destination(url=url, token=token, ca_file=ca_file)
    path = f"/v1/anomalies/{quote(anomaly, safe='')}/feedback"
    if preview:
        found = ask(server, "POST", f"{path}/preview", json={"kind": _KINDS[kind]})
        finish(found, [visible(line) for line in _previewed(found)], json)
        return
    etag = "*" if if_version is None else f'"{if_version}"'
    result = ask(server, "POST", path, if_match=etag, json={"kind": _KINDS[kind], "note": note})
    lines = [visible(f"{each['parameter']}, as {each['detector']} judges it") for each in result["series"]]
    finish(result, [*lines, f"{kind}: action {result['action']}, {_EFFECTS[kind]}"], json)


def _previewed(found: dict[str, Any]) -> list[str]:
    """Each episode that would be otherwise, then how many there are."""
    told = [
        f"{fate}: {each['started_at']} {each['explanation']}"
        for name, fate in _FATES.items()
        for each in found[name]
    ]
    count, other = found["episodes_without"], found["episodes_with"]
    noun = "episode" if count == 1 else "episodes"
    return [*told, f"{count} {noun} since {found['from_at']}, with it {other}; nothing was saved"]
