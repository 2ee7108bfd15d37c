"""`tocsin people`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from tocsin.cli.opened import ask
from tocsin.cli.options import CaFile, ServerUrl, Token
from tocsin.cli.output import Exit, JsonFlag, counted, fail, finish
from tocsin.visible import visible

if TYPE_CHECKING:
    from tocsin.client import Destination


ROLES: Final = ("admin", "operator", "technician", "viewer")


def people(
    name: Annotated[str | None, typer.Argument(help="Name to sign in with; none lists everybody.")] = None,
    add: Annotated[bool, typer.Option("--add", help="Let this person in.")] = False,
    display_name: Annotated[
        str | None, typer.Option("--display-name", help="Name that others see. Default: the name.")
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            help="admin, operator, technician or viewer; may be repeated, and replaces those before."
        ),
    ] = None,
    technician: Annotated[
        str | None, typer.Option(help="The directory's GUID of this technician; '' takes it away.")
    ] = None,
    disable: Annotated[bool, typer.Option("--disable", help="End access; nothing is removed.")] = False,
    enable: Annotated[bool, typer.Option("--enable", help="Give access again.")] = False,
    one_time_password: Annotated[
        bool, typer.Option("--one-time-password", help="Replace the password by a new one-time password.")
    ] = False,
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    json: JsonFlag = False,
) -> None:
    """List people, let one in, change one, or give one a new password. Needs the role admin.

    A one-time password is shown once, can be used for 7 days, and is replaced at the first sign-in.
    """
    from tocsin.client import Destination

    server = Destination(url=url, token=token, ca_file=ca_file)
    said: dict[str, Any] = {"display_name": display_name, "roles": role or None, "technician": technician}
    change = {field: value for field, value in said.items() if value is not None}
    if enable or disable:
        change["disabled"] = disable
    if unknown := [each for each in role or () if each not in ROLES]:
        fail(
            "usage", f"--role: there is no role {unknown[0]}: there are {', '.join(ROLES)}", json, Exit.USAGE
        )
    if mistake := _mistake(name, change, add=add, invited=one_time_password, both=enable and disable):
        fail("usage", mistake, json, Exit.USAGE)
    if name is None:
        _list(server, json)
    elif add:
        _add(server, name, change, json)
    elif one_time_password:
        path = f"/v1/people/{quote(_found(server, name, json)['id'], safe='')}/one-time-password"
        _finish_invited(ask(server, "POST", path), json)
    elif change:
        _change(server, _found(server, name, json), change, json)
    else:
        found = _found(server, name, json)
        finish(found, [_line(found)], json)


def _mistake(name: str | None, change: dict[str, Any], *, add: bool, invited: bool, both: bool) -> str:
    if name is None and (change or add or invited):
        return "name the person"
    if both:
        return "--enable and --disable exclude each other"
    if add and "roles" not in change:
        return "--add needs at least one --role"
    if add and "disabled" in change:
        return "--add lets somebody in: --enable and --disable are for whoever is there"
    if invited and (add or change):
        return "--one-time-password goes alone"
    return ""


def _found(server: Destination, name: str, json: bool) -> dict[str, Any]:
    found = ask(server, "GET", "/v1/people", params={"name": name})["people"]
    if not found:
        fail("not_found", f"there is nobody with the name {name}", json)
    person: dict[str, Any] = found[0]
    return person


def _add(server: Destination, name: str, change: dict[str, Any], json: bool) -> None:
    body = {"name": name, "display_name": name} | change | {"technician": change.get("technician") or None}
    _finish_invited(ask(server, "POST", "/v1/people", json=body), json)


def _change(server: Destination, person: dict[str, Any], change: dict[str, Any], json: bool) -> None:
    if "technician" in change:
        change["technician"] = change["technician"] or None
    path = f"/v1/people/{quote(person['id'], safe='')}"
    changed = ask(server, "PATCH", path, if_match=f'"{person["version"]}"', json=change)
    finish(changed, [_line(changed)], json)


def _finish_invited(invited: dict[str, Any], json: bool) -> None:
    person = invited["person"]
    lines = [
        _line(person),
        f"one-time password, until {person['one_time_until']}: {invited['one_time_password']}",
    ]
    finish(invited, lines, json)


def _list(server: Destination, json: bool) -> None:
    found: list[dict[str, Any]] = []
    parameters = {"limit": "200"}
    while True:
        page = ask(server, "GET", "/v1/people", params=parameters)
        found += page["people"]
        if page["next"] is None:
            break
        parameters["cursor"] = page["next"]
    finish({"people": found}, [*map(_line, found), counted(len(found), "person", "people")], json)


def _line(person: dict[str, Any]) -> str:
    facts = [", ".join(person["roles"])]
    if person["technician"]:
        facts.append(f"technician {person['technician']}")
    elif person["roles"] == ["technician"]:
        facts.append("without --technician GUID, so where there is a directory no device is theirs")
    if person["disabled"]:
        facts.append("disabled")
    elif person["must_change_password"]:
        facts.append("has not yet chosen a password")
    return visible(f"{person['name']} ({person['display_name']}): {'; '.join(facts)}")
