"""`tocsin keys`"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from tocsin.cli.opened import ask
from tocsin.cli.options import CaFile, ServerUrl, Token
from tocsin.cli.output import JsonFlag, counted, fail, finish
from tocsin.visible import visible


def keys(
    name: Annotated[str, typer.Argument(help="Name with which the person signs in.")],
    revoke: Annotated[str | None, typer.Option(help="End the key with this id, for good.")] = None,
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    json: JsonFlag = False,
) -> None:
    """List the keys that a person made for programs, or revoke one. Needs the role admin.

    People make their own at /account, signed in: nobody makes one in another's name.
    """
    from tocsin.client import Destination

    server = Destination(url=url, token=token, ca_file=ca_file)
    people = ask(server, "GET", "/v1/people", params={"name": name})["people"]
    if not people:
        fail("not_found", f"there is nobody with the name {name}", json)
    path = f"/v1/people/{quote(people[0]['id'], safe='')}/keys"
    if revoke is not None:
        ask(server, "DELETE", f"{path}/{quote(revoke, safe='')}")
    found = ask(server, "GET", path)
    finish(found, [*map(_line, found["keys"]), counted(len(found["keys"]), "key", "keys")], json)


def _line(key: dict[str, Any]) -> str:
    facts = [", ".join(key["scopes"])]
    facts.append(f"revoked {key['revoked_at']}" if key["revoked_at"] else f"until {key['expires_at']}")
    facts.append(f"last used {key['last_used_at']}" if key["last_used_at"] else "never used")
    return visible(f"{key['id']} ({key['name']}): {'; '.join(facts)}")
