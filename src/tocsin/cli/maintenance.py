"""`tocsin maintenance`"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from tocsin.cli.opened import ask
from tocsin.cli.options import CaFile, ServerUrl, Token
from tocsin.cli.output import Exit, JsonFlag, counted, fail, finish

maintenance = typer.Typer(
    name="maintenance", no_args_is_help=True, help="Have devices in maintenance, so that nobody is alerted."
)


@maintenance.command("list")
def list_(
    over: Annotated[bool, typer.Option("--over", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="List at most so many.")] = 50,
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    json: JsonFlag = False,
) -> None:
    """List maintenance windows, the newest first."""
    from tocsin.client import Destination

    server = Destination(url=url, token=token, ca_file=ca_file)
    found: list[dict[str, Any]] = []
    parameters = {"limit": "200"}
    while len(found) < limit:
        page = ask(server, "GET", "/v1/maintenance", params=parameters)
        found += [each for each in page["windows"] if over or each["state"] != "over"]
        if page["next"] is None:
            break
        parameters["cursor"] = page["next"]
    found = found[:limit]
    lines = [*map(_line, found), counted(len(found), "window", "windows")]
    finish({"windows": found}, lines, json)


@maintenance.command()
def add(
    from_: Annotated[str, typer.Option("--from", help="RFC 3339, or milliseconds since 1970.")],
    to: Annotated[str | None, typer.Option(help="The same; may be left out of what repeats.")] = None,
    device: Annotated[str | None, typer.Option(help="The device that is worked on.")] = None,
    location: Annotated[str | None, typer.Option(help="Or all devices that stand there.")] = None,
    application: Annotated[str | None, typer.Option(help="Or all devices that run it.")] = None,
    day: Annotated[
        list[str] | None, typer.Option(help="Each week on this day, such as sunday; may be repeated.")
    ] = None,
    hours: Annotated[
        str | None, typer.Option(help="On these days, between two times; all day by default.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="Of days and hours; UTC by default.")] = None,
    why: Annotated[str, typer.Option(help="For people.")] = "",
    no_alert: Annotated[bool, typer.Option("--no-alert/--alert", help="Alert nobody, or do.")] = True,
    no_learn: Annotated[
        bool, typer.Option("--no-learn/--learn", help="Learn nothing from what is sent; or all.")
    ] = False,
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    json: JsonFlag = False,
) -> None:
    """Have a device, a location or an application in maintenance, once or each week.

    Within the window nobody is alerted. What goes on behind its end is told. With --no-learn nothing is
    learnt from what is sent within it; with --alert that is all.
    """
    from tocsin.client import Destination

    begins, _, ends = (hours or "00:00-00:00").partition("-")
    if not ends:
        fail("usage", "--hours are two times, such as 22:00-02:00", json, Exit.USAGE)
    if not day and (hours is not None or timezone is not None):
        fail("usage", "--hours and --timezone are of days: name these by --day", json, Exit.USAGE)
    named = {"device": device, "location": location, "application": application}
    wanted: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    wanted |= {"from": from_, "to": to, "why": why, "no_alert": no_alert, "no_learn": no_learn}
    if day:
        wanted["weekly"] = {"days": day, "from": begins, "to": ends, "timezone": timezone or "UTC"}
    server = Destination(url=url, token=token, ca_file=ca_file)
    made = ask(server, "POST", "/v1/maintenance", json=wanted)
    finish(made, [_line(made)], json)


@maintenance.command()
def change(
    window: Annotated[str, typer.Argument(help="Id of the window.")],
    to: Annotated[str | None, typer.Option(help="Another end: RFC 3339, or milliseconds since 1970.")] = None,
    no_end: Annotated[
        bool, typer.Option("--no-end", help="What repeats goes on until somebody ends it.")
    ] = False,
    why: Annotated[str | None, typer.Option(help="Another reason.")] = None,
    no_alert: Annotated[
        bool | None, typer.Option("--no-alert/--alert", help="From now on alert nobody, or do.")
    ] = None,
    no_learn: Annotated[
        bool | None, typer.Option("--no-learn/--learn", help="From now on learn nothing; or all.")
    ] = None,
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    json: JsonFlag = False,
) -> None:
    """Have a maintenance window end at another time, keep back something else, or say why otherwise."""
    from tocsin.client import Destination

    if no_end and to is not None:
        fail("usage", "a window has an end or none: leave out --to or --no-end", json, Exit.USAGE)
    given = {"to": to, "why": why, "no_alert": no_alert, "no_learn": no_learn}
    changes: dict[str, str | bool | None] = {
        name: value for name, value in given.items() if value is not None
    }
    if no_end:
        changes["to"] = None
    if not changes:
        told = "say what is to change: --to, --no-end, --why, --no-alert or --no-learn"
        fail("usage", told, json, Exit.USAGE)
    server = Destination(url=url, token=token, ca_file=ca_file)
    changed = ask(server, "PATCH", f"/v1/maintenance/{quote(window, safe='')}", json=changes, if_match="*")
    finish(changed, [_line(changed)], json)


@maintenance.command()
def end(
    window: Annotated[str, typer.Argument(help="Id of the window.")],
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    json: JsonFlag = False,
) -> None:
    """End a maintenance window now."""
    from tocsin.client import Destination

    server = Destination(url=url, token=token, ca_file=ca_file)
    path = f"/v1/maintenance/{quote(window, safe='')}/end"
    ended = ask(server, "POST", path, if_match="*")
    finish(ended, [_line(ended)], json)


def _line(found: dict[str, Any]) -> str:
    from tocsin.visible import visible

    covers = next(name for name in ("device", "location", "application") if found[name] is not None)
    until = f" to {found['to_at']}" if found["to_at"] else ""
    weekly = found["weekly"]
    when = f"{found['from_at']}{until}"
    if weekly is not None:
        days = ", ".join(weekly["days"])
        when += f", each {days} {weekly['from']}-{weekly['to']} {weekly['timezone']}"
    ended = f", ended {found['ended_at']}" if found["ended_at"] else ""
    why = f": {found['why']}" if found["why"] else ""
    effects = "".join(
        [
            "" if found["no_alert"] else "; people are alerted",
            "; nothing is learnt" if found["no_learn"] else "",
        ]
    )
    return visible(f"{found['id']} {covers} {found[covers]} ({when}; {found['state']}{ended}{effects}){why}")
